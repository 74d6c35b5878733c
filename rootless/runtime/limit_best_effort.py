"""--limits=best-effort where no control group can be had: what the processes can be held to.

Each limit has a sentence that says what is done instead, or that nothing is.
setrlimit(2), sched_setaffinity(2), setpriority(2); proc(5) (smaps_rollup).
"""

import os

from rootless.errors import LimitError
from rootless.linux import process
from rootless.runtime import usage
from rootless.runtime.limit_groups import Cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rootless.runtime.launch import Started
    from rootless.runtime.streams import Pump

WATCH_S = 1.0  # between two looks at the memory of the whole container
_NICE_MAX = 19
_NOT_HELD = {
    "memory.swap.max": "", "cgroup.procs": "",
    "memory.low": "--memory-reservation", "cpuset.mems": "--cpuset-mems",
    "io.weight": "--blkio-weight", "io.bfq.weight": "--blkio-weight-device",
    "io.max": "limits of devices",
}  # fmt: skip


class BestEffort(Cgroup):
    """No group: weaker limits on the processes themselves, and notes that say what they are."""

    kind = "best-effort"

    def __init__(self, settings: "Mapping[str, str]") -> None:
        super().__init__("", settings)
        self._memory = _number(settings.get("memory.max", ""))
        self._processes = _number(settings.get("pids.max", ""))
        self._nice = 0
        self._peak = 0
        self._over = False
        self._cpus: list[int] = []
        if self._memory:
            self.notes.append(
                f"--memory: each process may have {self._memory} bytes of data (RLIMIT_DATA), and "
                "the container is killed when the sum of its memory (PSS, looked at once a "
                "second) is over the limit; swap is not limited"
            )
        if self._processes:
            self.notes.append(
                f"--pids-limit: counted per user ID of the container, {self._processes} each "
                "(RLIMIT_NPROC)"
            )
        self._take_cpus()
        if "cpu.weight" in settings:
            self._nice = nice_of_weight(int(settings["cpu.weight"]))
            self.notes.append(f"--cpu-shares: a nice level of {self._nice} more, per process")
        for name in settings:
            what = _NOT_HELD.get(name, f"--cgroup-conf {name}" if "." in name else "")
            if name not in ("memory.max", "pids.max", "cpuset.cpus", "cpu.max", "cpu.weight"):
                self.notes += [f"{what}: not held"] if what else []

    def _take_cpus(self) -> None:
        if self.settings.get("cpuset.cpus"):
            from rootless.runtime.limit_values import allowed_cpus

            self._cpus = allowed_cpus(self.settings["cpuset.cpus"])
            self.notes.append(
                "--cpuset-cpus: set as CPU affinity, which a program in the container can change"
            )
        quota, _, period = self.settings.get("cpu.max", "max").partition(" ")
        if quota.isdecimal():
            count = -(-int(quota) // int(period))
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
                (resource.RLIMIT_DATA, self._memory),  # RLIMIT_AS: Go and Java reserve far more
                (resource.RLIMIT_NPROC, self._processes),
            ):
                if value:
                    _, hard = resource.prlimit(pid, kind)
                    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
                    resource.prlimit(pid, kind, (value, value))
            if self._cpus:
                os.sched_setaffinity(pid, self._cpus)
            if self._nice:
                level = os.getpriority(os.PRIO_PROCESS, pid) + self._nice
                os.setpriority(os.PRIO_PROCESS, pid, min(_NICE_MAX, level))
        except (OSError, ValueError) as e:
            raise LimitError(
                f"the container's processes could not be limited: {e}",
                remedy="run it without the limit flags",
                code="RL-LIMIT-BEST-EFFORT",
            ) from e

    def join(self, pid: int, init: int) -> None:
        """As enter(); it matters not what the container's other processes are in."""
        self.enter(pid)

    def unheld(self, rlimits: "Sequence[tuple[str, int, int]]") -> "Sequence[tuple[str, int, int]]":
        """Those that enter() does not set, or lower ones: a process may not raise them."""
        held = {"RLIMIT_NPROC": self._processes, "RLIMIT_DATA": self._memory}
        return [one for one in rlimits if not held.get(one[0]) or one[2] <= held[one[0]]]

    def watch(self, started: "Started", pump: "Pump") -> None:
        """Kill the container when the sum of its memory is over the limit."""
        if not self._memory:
            return
        now = usage.memory_of(started.pid)
        self._peak = max(self._peak, now)
        self._over = now > self._memory
        if self._over:
            process.signal_process(started.pidfd, 9)
        else:
            pump.call_after(WATCH_S, lambda: self.watch(started, pump))

    def remove(self) -> bool:
        """There is nothing to remove."""
        return True

    def oom_killed(self) -> bool:
        """Whether watch() has killed it."""
        return self._over

    def _memory_limit(self) -> str:
        return str(self._memory)

    def peak(self) -> int:
        return self._peak

    def describe(self) -> str:
        return "best effort: limits per process"

    def to_dict(self) -> dict[str, object]:
        return {"kind": self.kind, "settings": self.settings}


def nice_of_weight(weight: int) -> int:
    """The nice level with about the share that `weight` has beside 100, 0 to 19.

    A level is a factor of 1.25: sched(7).
    """
    level, share = 0, 100.0
    while share > weight and level < _NICE_MAX:
        share /= 1.25
        level += 1
    return level


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
