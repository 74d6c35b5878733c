"""Resource limits: which rung of the ladder holds them here (DESIGN.md section 4).

systemd user scope over D-Bus · a group in a subtree delegated to us · none: then a limit is an
error with its remedy, or, with --limits=best-effort, something weaker that says what it is.
Warm: `prepare` is called for each container and does nothing when no limit is asked for.
"""

import os

from rootless.errors import KernelError, LimitError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootless.context import Context
    from rootless.linux.cgroup import Hierarchy

NAMES = ("memory", "memory_swap", "cpus", "cpuset_cpus", "pids_limit")
CONTROLLERS = ("cpu", "cpuset", "memory", "pids")


class NotDelegated(LimitError):
    """A limit that cannot be enforced here; `admin` is the text to paste."""

    def __init__(self, what: str, *, remedy: str, admin: str) -> None:
        super().__init__(what, remedy=remedy, code="RL-LIMIT-NOT-DELEGATED")
        self.admin = admin


# The ladder.


def prepare(
    ctx: "Context",
    container_id: str,
    resources: "Mapping[str, object]",
    policy: str = "strict",
    *,
    root: str = "/",
) -> "Cgroup | None":
    """The group that will hold the container to `resources`; None when none were asked for.

    The caller then calls `.enter(pid)` for the stage, before it makes its cgroup namespace, and
    `.remove()` when the container has ended.  `.notes` are lines to show the user.
    Raises UsageError for senseless values, NotDelegated when no rung holds them and `policy` is
    "strict".
    """
    for name in NAMES:
        if resources.get(name):
            break
    else:
        return None
    from rootless.linux import cgroup
    from rootless.runtime import limit_values as values

    settings = values.cgroup_settings(resources)
    if not settings:
        return None

    where = cgroup.hierarchy(root)
    needed = sorted({name.partition(".")[0] for name in settings})
    reasons = []
    for rung in (_scope_rung, _delegated_rung):
        made = rung(ctx, container_id, settings, needed, where, root)
        if isinstance(made, Cgroup):
            return made
        reasons.append(made)
    if policy == "best-effort":
        return BestEffort(settings)
    asked = [values.flag(name) for name in NAMES if values.given(resources, name) is not None]
    raise not_delegated(asked, needed, reasons, where, ctx)


def not_delegated(
    asked: list[str], needed: list[str], reasons: list[str], where: "Hierarchy", ctx: "Context"
) -> NotDelegated:
    """The error that names the limits, why no rung holds them, and the remedy."""
    legacy = sorted(where.legacy & set(needed))
    # Under cgroup v1 both rungs fail for the one reason; the last one names what was asked for.
    why = reasons[-1] if legacy or not where.mount else "; ".join(reasons)
    what = f"{' and '.join(asked)} cannot be enforced here: {why}"
    if legacy or not where.mount:
        remedy = (
            "ask an administrator to boot with cgroup v2 (kernel command line "
            "systemd.unified_cgroup_hierarchy=1), or use --limits=best-effort"
        )
    else:
        remedy = (
            "start it as `systemd-run --user --scope -p Delegate=yes rl run …` where that works, "
            "ask an administrator for what `rl doctor --admin` prints, "
            "or use --limits=best-effort"
        )
    return NotDelegated(what, remedy=remedy, admin=admin_request(where, needed, ctx.user_name()))


def admin_request(where: "Hierarchy", needed: list[str], user: str) -> str:
    """What an administrator can paste so that the `needed` controllers are the user's."""
    if not where.mount or where.legacy & set(needed):
        return (
            "# Boot with cgroup v2 only (the default of Debian 11, Ubuntu 21.10, Fedora 31, RHEL 9"
            " and later):\n"
            "sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&systemd.unified_cgroup_hierarchy=1 /' "
            "/etc/default/grub\nsudo update-grub && sudo reboot"
        )
    return (
        "sudo mkdir -p /etc/systemd/system/user@.service.d\n"
        "printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' | \\\n"
        "  sudo tee /etc/systemd/system/user@.service.d/delegate.conf\n"
        f"sudo systemctl daemon-reload\nsudo loginctl enable-linger {user}"
    )


def _scope_rung(
    ctx: "Context",
    container_id: str,
    settings: dict[str, str],
    needed: list[str],
    where: "Hierarchy",
    root: str,
) -> "Cgroup | str":
    available = scope_controllers(ctx, where, root)
    if isinstance(available, str):
        return available
    missing = sorted(set(needed) - available)
    if missing:
        return f"systemd gives its users no controller {', '.join(missing)} (Delegate=)"
    from rootless.runtime import scope

    address = scope.bus_address(ctx.environ, ctx.uid, root)
    return Scope(f"rl-{container_id[:12]}.scope", address, where.mount, settings)


def scope_controllers(
    ctx: "Context", where: "Hierarchy", root: str = "/"
) -> "frozenset[str] | str":
    """The controllers that scopes of the user's systemd can have, or why there are none."""
    from rootless.linux import cgroup
    from rootless.runtime import scope

    if not where.mount or where.legacy & set(CONTROLLERS):
        return delegation_problem(where, list(CONTROLLERS))
    address = scope.bus_address(ctx.environ, ctx.uid, root)
    if not address:
        return "no systemd user manager is running for this user (no D-Bus socket)"
    try:
        with scope.UserManager(address) as manager:
            group = manager.control_group()
    except (scope.BusError, ImportError) as e:
        return str(e)
    return cgroup.controllers(f"{where.mount}{group}")


def _delegated_rung(
    ctx: "Context",
    container_id: str,
    settings: dict[str, str],
    needed: list[str],
    where: "Hierarchy",
    root: str,
) -> "Cgroup | str":
    from rootless.linux import cgroup

    parent = cgroup.place_for(where, needed)
    if parent is None:
        return delegation_problem(where, needed)
    try:
        cgroup.hand_out(parent, needed)
        path = f"{parent}/rl-{container_id[:12]}"
        cgroup.remove_tree(path)  # left by a supervisor that was killed
        os.mkdir(path, 0o755)
    except KernelError as e:
        return f"the delegated group {parent} cannot be used: {os.strerror(e.errno)}"
    except OSError as e:
        return f"no group can be made in {parent}: {e.strerror}"
    group = Cgroup(path)
    try:
        for name, value in settings.items():
            group.set(name, value)
    except KernelError as e:
        group.remove()
        return f"{os.path.basename(e.target)} cannot be set in {parent}: {os.strerror(e.errno)}"
    return group


def delegation_problem(where: "Hierarchy", needed: list[str]) -> str:
    """Why no group of ours has the `needed` controllers."""
    from rootless.linux import cgroup

    legacy = sorted(where.legacy & set(needed))
    if not where.mount or legacy:
        bound = ", ".join(legacy) or "all controllers"
        return f"this host uses cgroup v1 for {bound}, which cannot be delegated to users"
    if not where.own:
        return "our own control group is not visible here"
    ours = cgroup.delegated(where)
    if not ours:
        return f"our control group {where.own} belongs to another user (it is not delegated)"
    missing = sorted(set(needed) - cgroup.controllers(ours[-1]))
    return f"{ours[-1]} is delegated to us without the controllers {', '.join(missing)}"


# What holds the limits.


class Cgroup:
    """A group of our own below a delegated one."""

    kind = "cgroupfs"

    def __init__(self, path: str) -> None:
        self.path = path
        self.notes: list[str] = []

    def set(self, name: str, value: str) -> None:
        """Set one limit.  A kernel without swap accounting has no memory.swap.max."""
        from rootless.linux import cgroup

        if name == "memory.swap.max" and not os.path.exists(f"{self.path}/{name}"):
            if value != "max":
                self.notes.append("this kernel does not count swap: --memory limits memory only")
            return
        cgroup.Group(self.path).set(name, value)

    def enter(self, pid: int) -> None:
        """Put a process in the group.  Raises LimitError."""
        from rootless.linux import cgroup

        try:
            cgroup.Group(self.path).enter(pid)
        except KernelError as e:
            raise LimitError(
                f"the container could not enter its control group {self.path}: "
                f"{os.strerror(e.errno)}",
                remedy="start rl inside the delegated subtree: "
                "systemd-run --user --scope -p Delegate=yes rl run …",
                code="RL-LIMIT-ENTER",
            ) from e

    def kill(self) -> None:
        """Kill everything in the group."""
        from rootless.linux import cgroup

        if self.path:
            cgroup.Group(self.path).kill()

    def remove(self) -> bool:
        """Remove the group; False when processes stay in it.  Does nothing the second time."""
        from rootless.linux import cgroup

        return not self.path or cgroup.Group(self.path).remove()

    def oom_killed(self) -> bool:
        """Whether the kernel killed something in the group for memory."""
        from rootless.linux import cgroup

        return (
            bool(self.path)
            and cgroup.Group(self.path).events("memory.events").get("oom_kill", 0) > 0
        )

    def describe(self) -> str:
        return f"control group {self.path}"

    def to_dict(self) -> dict[str, object]:
        """For another process, such as the supervisor: from_dict makes the same object."""
        return {"kind": self.kind, "path": self.path}


class Scope(Cgroup):
    """A scope of the user's systemd; it is made when the first process enters."""

    kind = "systemd"

    def __init__(self, name: str, address: str, mount: str, settings: dict[str, str]) -> None:
        super().__init__("")
        self.name = name
        self._address = address
        self._mount = mount
        self._settings = settings

    def enter(self, pid: int) -> None:
        """Start the scope around `pid`, and check that the limits are the kernel's."""
        from rootless.linux import cgroup
        from rootless.runtime import scope

        try:
            with scope.UserManager(self._address) as manager:
                manager.start_scope(
                    self.name, f"rl container {self.name[3:-6]}", pid,
                    scope.properties(self._settings),
                )  # fmt: skip
            self.path = self._mount + scope.scope_of(pid)
        except (scope.BusError, OSError, ImportError) as e:
            raise LimitError(
                f"systemd could not make a scope with the limits: {e}",
                remedy="look at `systemctl --user status`, or use --limits=best-effort",
                code="RL-LIMIT-SCOPE",
            ) from e
        needed = {name.partition(".")[0] for name in self._settings}
        missing = sorted(needed - cgroup.controllers(self.path))
        if missing:
            raise LimitError(
                f"systemd made {self.name} without the controllers {', '.join(missing)}",
                remedy="ask an administrator for what `rl doctor --admin` prints",
                code="RL-LIMIT-SCOPE",
            )

    def remove(self) -> bool:
        """systemd removes a scope when its last process has gone."""
        return True

    def describe(self) -> str:
        return f"systemd user scope {self.name}"

    def to_dict(self) -> dict[str, object]:
        return {
            "kind": self.kind, "path": self.path, "name": self.name, "address": self._address,
            "mount": self._mount, "settings": self._settings,
        }  # fmt: skip


class BestEffort(Cgroup):
    """No group: weaker limits on the processes themselves, and notes that say what they are."""

    kind = "best-effort"

    def __init__(self, settings: dict[str, str]) -> None:
        super().__init__("")
        from rootless.runtime.limit_values import allowed_cpus

        self._settings = settings
        # Not an address space limit: Go, Java and sanitizers reserve far more than they use.
        self._memory = int(settings.get("memory.max", 0))
        self._processes = int(settings.get("pids.max", 0))
        self._cpus: list[int] = []
        if self._memory:
            self.notes.append(
                f"--memory: not a limit for the container: each process may have {self._memory} "
                "bytes of data (RLIMIT_DATA); swap is not limited"
            )
        if self._processes:
            self.notes.append(
                f"--pids-limit: counted per user ID of the container, {self._processes} each "
                "(RLIMIT_NPROC)"
            )
        if "cpuset.cpus" in settings:
            self._cpus = allowed_cpus(settings["cpuset.cpus"])
            self.notes.append(
                "--cpuset-cpus: set as CPU affinity, which a program in the container can change"
            )
        if "cpu.max" in settings:
            quota, period = (int(word) for word in settings["cpu.max"].split())
            count = -(-quota // period)
            candidates = self._cpus or sorted(os.sched_getaffinity(0))
            if count < len(candidates):
                self._cpus = candidates[-count:]
            self.notes.append(
                f"--cpus: the container runs on {min(count, len(candidates))} CPU(s) by affinity; "
                "fractions of a CPU are not enforced"
            )

    def enter(self, pid: int) -> None:
        """Limit `pid`, and by inheritance what it starts.  The caller is its ancestor."""
        import resource

        try:
            for kind, value in (
                (resource.RLIMIT_DATA, self._memory),
                (resource.RLIMIT_NPROC, self._processes),
            ):
                if value:
                    _, hard = resource.prlimit(pid, kind)
                    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
                    resource.prlimit(pid, kind, (value, value))
            if self._cpus:
                os.sched_setaffinity(pid, self._cpus)
        except (OSError, ValueError) as e:
            raise LimitError(
                f"the container's processes could not be limited: {e}",
                remedy="run it without the limit flags",
                code="RL-LIMIT-BEST-EFFORT",
            ) from e

    def describe(self) -> str:
        return "best effort: limits per process"

    def to_dict(self) -> dict[str, object]:
        return {"kind": self.kind, "settings": self._settings}


def from_dict(document: "Mapping[str, object]") -> Cgroup:
    """What `to_dict` wrote."""
    settings = document.get("settings")
    values = {str(k): str(v) for k, v in settings.items()} if isinstance(settings, dict) else {}
    if document["kind"] == BestEffort.kind:
        return BestEffort(values)
    if document["kind"] == Scope.kind:
        made = Scope(
            str(document["name"]), str(document["address"]), str(document["mount"]), values
        )
        made.path = str(document["path"])
        return made
    return Cgroup(str(document["path"]))
