"""Resource limits: which rung of the ladder holds them here (DESIGN.md section 4).

systemd user scope over D-Bus · a group in a subtree delegated to us · none: then a limit is an
error with its remedy, or, with --limits=best-effort, something weaker that says what it is.
Warm: `prepare` is called for each container and does nothing when no limit is asked for.
"""

import os

from rootless.errors import KernelError, LimitError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rootless.context import Context
    from rootless.linux.cgroup import Hierarchy
    from rootless.runtime.limit_groups import Cgroup
    from rootless.runtime.options import RunOptions

# Of `resources`: what asks for a control group.
NAMES = (
    "memory", "memory_swap", "memory_reservation", "cpus", "cpu_quota", "cpu_period", "cpu_shares",
    "cpuset_cpus", "cpuset_mems", "pids_limit", "blkio_weight", "blkio_weight_device",
    "device_read_bps", "device_write_bps", "device_read_iops", "device_write_iops",
    "cgroup_parent", "cgroup_conf",
)  # fmt: skip
CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")
DROP_IN = "/etc/systemd/system/user@.service.d/delegate.conf"
BEST_EFFORT = (
    "memory by RLIMIT_DATA and a look at the sum once a second, processes by RLIMIT_NPROC, CPUs "
    "by affinity and nice, disks not at all"
)


class NotDelegated(LimitError):
    """A limit that cannot be enforced here; `admin` is the text to paste."""

    def __init__(self, what: str, *, remedy: str, admin: str) -> None:
        super().__init__(what, remedy=remedy, code="RL-LIMIT-NOT-DELEGATED")
        self.admin = admin


def resources(options: "RunOptions") -> "dict[str, Any]":
    """What prepare() holds a container to, of its options."""
    return {
        **{name: getattr(options, name) for name in NAMES},
        "cpus": f"{options.cpus / 10**9:.9g}" if options.cpus else "",
    }


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
    parent = str(resources.get("cgroup_parent") or "")
    if not settings and not parent:
        return None

    where = cgroup.hierarchy(root)
    needed = sorted({name.partition(".")[0] for name in settings})
    reasons = []
    for rung in (_scope_rung, _delegated_rung):
        made = rung(ctx, container_id, settings, parent, needed, where, root)
        if not isinstance(made, str):
            return made
        reasons.append(made)
    if policy == "best-effort":
        from rootless.runtime.limit_best_effort import BestEffort

        return BestEffort(settings)
    asked = [values.flag(name) for name in NAMES if values.given(resources, name) is not None]
    raise not_delegated(asked, needed, reasons, where, ctx)


def with_own_groups(config: "dict[str, Any]") -> "dict[str, Any]":
    """`config` (config.json) for a container in a group of its own: it may divide that.

    The limits on the group itself are out of its reach: limit_groups.
    """
    mounts = [
        {**one, "options": [word for word in one["options"] if word != "ro"]}
        if one["type"] == "cgroup2"
        else one
        for one in config["mounts"]
    ]
    return {**config, "mounts": mounts}


def not_delegated(
    asked: list[str], needed: list[str], reasons: list[str], where: "Hierarchy", ctx: "Context"
) -> NotDelegated:
    """The error that names the limits, why no rung holds them, and the remedy."""
    from rootless.linux import cgroup

    legacy = sorted(where.legacy & set(needed))
    # Under cgroup v1 both rungs fail for the one reason; the last one names what was asked for.
    why = reasons[-1] if legacy or not where.mount else "; ".join(reasons)
    absent = [] if legacy else cgroup.absent(where, needed)
    if absent:
        why = f"this kernel has no controller {', '.join(absent)}"
    what = f"{' and '.join(asked)} cannot be enforced here: {why}"
    if absent:
        remedy = f"leave it out, or use --limits=best-effort: {BEST_EFFORT}"
    elif legacy or not where.mount:
        remedy = (
            "ask an administrator to boot with cgroup v2 (kernel command line "
            f"systemd.unified_cgroup_hierarchy=1), or use --limits=best-effort: {BEST_EFFORT}"
        )
    else:
        remedy = (
            f"ask an administrator for the file {DROP_IN} with the lines [Service] and "
            f"Delegate={' '.join(CONTROLLERS)} (`rl doctor --admin` has the commands), or use "
            f"--limits=best-effort: {BEST_EFFORT}"
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
        f"sudo mkdir -p {os.path.dirname(DROP_IN)}\n"
        f"printf '[Service]\\nDelegate={' '.join(CONTROLLERS)}\\n' | \\\n"
        f"  sudo tee {DROP_IN}\n"
        f"sudo systemctl daemon-reload\nsudo loginctl enable-linger {user}"
    )


def _scope_rung(
    ctx: "Context",
    container_id: str,
    settings: dict[str, str],
    parent: str,
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
    from rootless.runtime import limit_groups, scope

    if parent and not parent.endswith(".slice"):
        raise UsageError(
            f"invalid --cgroup-parent {parent}: with systemd it is the name of a slice",
            remedy="as --cgroup-parent batch.slice; `systemctl --user status batch.slice` shows it",
        )
    address = scope.bus_address(ctx.environ, ctx.uid, root)
    name = f"rl-{container_id[:12]}.scope"
    return limit_groups.Scope(name, address, where.mount, settings, parent)


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
    parent: str,
    needed: list[str],
    where: "Hierarchy",
    root: str,
) -> "Cgroup | str":
    from rootless.linux import cgroup
    from rootless.runtime import limit_groups

    place = cgroup.place_for(where, needed)
    if place is None:
        return delegation_problem(where, needed)
    try:
        # From the top down, so that each has the controllers to hand out.
        for part in ["", *parent.strip("/").split("/")] if parent else [""]:
            place = f"{place}/{part}" if part else place
            os.makedirs(place, exist_ok=True)
            cgroup.hand_out(place, needed)
        group = limit_groups.Cgroup(
            f"{place}/rl-{container_id[:12]}", settings, guarded=not where.nsdelegate
        )
        group.make()
    except KernelError as e:
        return f"{os.path.basename(e.target)} cannot be set in {place}: {os.strerror(e.errno)}"
    except OSError as e:
        return f"no group can be made in {place}: {e.strerror}"
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
