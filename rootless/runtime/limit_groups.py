"""The control groups that hold a container to its limits.  Cold: imported when one was asked for.

 parent, delegated to us                    a slice of the user's systemd, or a group of ours
  └─ rl-ID.scope | rl-ID                    weighed against its siblings
      ├─ container                          the limits, and the container's processes: the root of
      │                                     its cgroup namespace, so that it sees its own limits
      └─ hold                               (scope) a process that keeps systemd from removing it

A cgroup namespace's root cannot be changed from inside where the hierarchy is mounted with
nsdelegate, as systemd does; elsewhere the group above has the limits, too.
Source: cgroup-v2.rst ("Delegation", "Namespace"), systemd.resource-control(5).
"""

import os

from rootless.errors import KernelError, LimitError
from rootless.linux import cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rootless.runtime.launch import Started
    from rootless.runtime.streams import Pump

INNER = "container"
HOLD = "hold"
# What counts among siblings: of the group beside others.
WEIGHTS = ("cpu.weight", "io.weight", "io.bfq.weight", "memory.low")
# What takes a limit away in each file; "max" in the others.
_NO_LIMIT = {
    "cpuset.cpus": "\n", "cpuset.mems": "\n", "memory.low": "0", "cpu.weight": "100",
    "io.weight": "100",
}  # fmt: skip


class Cgroup:
    """A group of our own below a delegated one.

    path        the group with the limits and the processes; "" before enter()
    outer       the group around it
    guarded     the outer one has the limits, too
    """

    kind = "cgroupfs"

    def __init__(self, outer: str, settings: "Mapping[str, str]", *, guarded: bool = False) -> None:
        self.outer = outer
        self.path = f"{outer}/{INNER}" if outer else ""
        self.settings = dict(settings)
        self.guarded = guarded
        self.notes: list[str] = []

    def make(self) -> None:
        """Make the groups with the limits.  Raises KernelError and OSError, with nothing left."""
        cgroup.remove_tree(self.outer)  # left by a supervisor that was killed
        os.mkdir(self.outer, 0o755)
        try:
            self._fill()
        except (KernelError, OSError):
            self.remove()
            raise

    def _fill(self) -> None:
        os.makedirs(self.path, exist_ok=True)
        cgroup.hand_out(self.outer, cgroup.controllers(self.outer))
        for name, value in self.settings.items():
            self.set(name, value)

    def set(self, name: str, value: str | None) -> None:
        """Set one limit, or take it away (None).  Raises KernelError."""
        value = _NO_LIMIT.get(name, "max") if value is None else value
        if name == "memory.swap.max" and not os.path.exists(f"{self.path}/{name}"):
            if value != "max":
                self.notes.append("this kernel does not count swap: --memory limits memory only")
            return
        names = [name]
        if name == "io.weight":
            # The cost model's and BFQ's: which one counts is the disk's, systemd sets both as well.
            both = (name, "io.bfq.weight")
            names = [one for one in both if os.path.exists(f"{self.path}/{one}")] or names
        groups = [self.outer] if name in WEIGHTS or self.guarded else []
        for directory in [*groups, self.path]:
            for one in names:
                for line in value.splitlines() or [value]:  # the file takes a device at a time
                    cgroup.Group(directory).set(one, line or "\n")

    def enter(self, pid: int) -> None:
        """Put the container's first process in.  Raises LimitError."""
        try:
            cgroup.Group(self.path).enter(pid)
        except KernelError as e:
            raise self._not_entered(e) from e

    def join(self, pid: int, init: int) -> None:
        """Put another process in, beside the container's `init`.  Raises LimitError."""
        try:
            cgroup.Group(f"{self.path}{self._division(init)}").enter(pid)
        except KernelError as e:
            raise self._not_entered(e) from e

    def _division(self, init: int) -> str:
        """Where below the group `init` is, "/init.scope", when the container has divided it.

        A group has either processes or groups with controllers (systemd and podman move away).
        """
        if not cgroup.handed_out(self.path):
            return ""
        group = f"/{os.path.basename(self.outer)}/{INNER}"
        for line in cgroup.read(f"/proc/{init}/cgroup").splitlines():
            if line.startswith("0::"):
                return line.partition(group)[2]
        return ""

    def _not_entered(self, e: KernelError) -> LimitError:
        return LimitError(
            f"the container could not enter its control group {self.path}: {os.strerror(e.errno)}",
            remedy="start rl inside the delegated subtree: "
            "systemd-run --user --scope -p Delegate=yes rl run …",
            code="RL-LIMIT-ENTER",
        )

    def unheld(self, rlimits: "Sequence[tuple[str, int, int]]") -> "Sequence[tuple[str, int, int]]":
        """Those of a process's resource limits, ("RLIMIT_NPROC", soft, hard), that are not ours."""
        return rlimits

    def kill(self) -> None:
        """Kill everything in the group."""
        if self.path:
            cgroup.Group(self.path).kill()

    def remove(self) -> bool:
        """Remove the groups; False when processes stay in them.  Does nothing the second time."""
        return not self.outer or cgroup.Group(self.outer).remove()

    def watch(self, started: "Started", pump: "Pump") -> None:
        """Hold the container while `pump` runs to what the kernel does not: nothing."""

    def oom_killed(self) -> bool:
        """Whether the kernel killed something in the group for memory."""
        events = cgroup.Group(self.path).events("memory.events") if self.path else {}
        return events.get("oom_kill", 0) > 0

    def end_message(self) -> str:
        """Why something in it was killed for memory, as one line for the user."""
        limit = self._memory_limit()
        text = f"killed: over its memory limit of {_mebibytes(limit)}" if limit.isdecimal() else (
            "killed: the machine, or a group around the container's, is out of memory"
        )  # fmt: skip
        peak = self.peak()
        return text + (f", peak {_mebibytes(str(peak))}" if peak else "") + "; raise -m"

    def _memory_limit(self) -> str:
        return cgroup.read(f"{self.path}/memory.max").strip()  # `rl update` may have changed it

    def peak(self) -> int:
        """Most memory that was in use, in bytes; 0 where that is not known (before Linux 5.19)."""
        text = cgroup.read(f"{self.path}/memory.peak").strip()
        return int(text) if text.isdecimal() else 0

    def describe(self) -> str:
        return f"control group {self.outer}"

    def to_dict(self) -> dict[str, object]:
        """For another process, such as `rl exec`: from_dict makes the same object."""
        return {
            "kind": self.kind, "path": self.path, "outer": self.outer,
            "settings": self.settings, "guarded": self.guarded,
        }  # fmt: skip


def _mebibytes(number: str) -> str:
    return f"{int(number) / (1 << 20):.4g} MiB"


class Scope(Cgroup):
    """A scope of the user's systemd; it is made when the first process enters.

    systemd removes it when its last process has gone, before anybody could read why that ended:
    a process of ours stays in it until remove().
    """

    kind = "systemd"

    def __init__(
        self, name: str, address: str, mount: str, settings: "Mapping[str, str]", slice_: str = ""
    ) -> None:
        super().__init__("", settings)
        self.name = name
        self._address = address
        self._mount = mount
        self._slice = slice_
        self._holder = (0, -1)  # its PID, and the pipe that ends it

    def enter(self, pid: int) -> None:
        """Start the scope around `pid`, and set the limits."""
        from rootless.runtime import scope

        self._holder = _hold()
        try:
            with scope.UserManager(self._address) as manager:
                manager.start_scope(
                    self.name, f"rl container {self.name[3:-6]}", [pid, self._holder[0]],
                    scope.properties(self.settings, self._slice),
                )  # fmt: skip
            self.outer = self._mount + scope.scope_of(pid)
            self.path = f"{self.outer}/{INNER}"
            self._check_controllers()
            os.mkdir(self.path, 0o755)
            os.mkdir(f"{self.outer}/{HOLD}", 0o755)
            cgroup.Group(self.path).enter(pid)
            cgroup.Group(f"{self.outer}/{HOLD}").enter(self._holder[0])
            self._fill()
        except LimitError:
            self.remove()
            raise
        except (scope.BusError, ImportError) as e:
            self.remove()
            raise LimitError(
                f"systemd could not make a scope with the limits: {e}",
                remedy="look at `systemctl --user status`, or use --limits=best-effort",
                code="RL-LIMIT-SCOPE",
            ) from e
        except (KernelError, OSError) as e:
            self.remove()
            target = os.path.basename(getattr(e, "target", "") or self.outer)
            raise LimitError(
                f"{target} cannot be set in {self.name}: {os.strerror(e.errno or 0)}",
                remedy="the kernel may lack what it needs: leave it out, or ask for another",
                code="RL-LIMIT-SCOPE",
            ) from e

    def _check_controllers(self) -> None:
        needed = {name.partition(".")[0] for name in self.settings}
        missing = sorted(needed - cgroup.controllers(self.outer))
        if missing:
            raise LimitError(
                f"systemd made {self.name} without the controllers {', '.join(missing)}",
                remedy="ask an administrator for what `rl doctor --admin` prints",
                code="RL-LIMIT-SCOPE",
            )

    def join(self, pid: int, init: int) -> None:
        """By systemd where we may not: it moves processes out of a login session's scope."""
        from rootless.runtime import scope

        division = self._division(init)
        try:
            cgroup.Group(f"{self.path}{division}").enter(pid)
        except KernelError:
            try:
                with scope.UserManager(self._address) as manager:
                    manager.attach(self.name, f"{INNER}{division}", pid)
            except (scope.BusError, ImportError) as e:
                raise LimitError(
                    f"systemd could not put a process into {self.name}: {e}",
                    remedy="look at `systemctl --user status`",
                    code="RL-LIMIT-ENTER",
                ) from e

    def remove(self) -> bool:
        """Let systemd remove the scope, when its last process has gone."""
        pid, pipe = self._holder
        if pid:
            self._holder = (0, -1)
            os.close(pipe)
            os.waitpid(pid, 0)
        return True

    def describe(self) -> str:
        return f"systemd user scope {self.name}"

    def to_dict(self) -> dict[str, object]:
        return {
            **super().to_dict(), "name": self.name, "address": self._address, "mount": self._mount,
        }  # fmt: skip


def _hold() -> tuple[int, int]:
    """Start a process that ends with us, or with the pipe: (PID, its write end)."""
    from rootless.linux import signals, syscalls

    reading, writing = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            signals.block_all()  # those of the terminal are for the container
            syscalls.close_all_but(reading)
            os.read(reading, 1)
        finally:
            os._exit(0)
    os.close(reading)
    return pid, writing


def from_dict(document: "Mapping[str, object]") -> Cgroup:
    """What `to_dict` wrote."""
    settings = document.get("settings")
    values = {str(k): str(v) for k, v in settings.items()} if isinstance(settings, dict) else {}
    if document["kind"] == "best-effort":
        from rootless.runtime.limit_best_effort import BestEffort

        return BestEffort(values)
    made = Cgroup("", values, guarded=bool(document.get("guarded")))
    if document["kind"] == Scope.kind:
        made = Scope(
            str(document["name"]), str(document["address"]), str(document["mount"]), values
        )
    made.path, made.outer = str(document["path"]), str(document["outer"])
    return made
