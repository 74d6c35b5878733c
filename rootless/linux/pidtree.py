"""The processes of a container as the kernel lists them: proc(5).

A container's processes are those in its init's mount namespace, which `rl exec` joins too, and
what descends from them.  (The PID namespace may be the host's, with --pid host.)
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

TICKS = os.sysconf("SC_CLK_TCK")  # of the times below, a second


class Process:
    """One line of /proc/PID/stat.  Times are in ticks, sizes in bytes."""

    __slots__ = (
        "child_ticks", "comm", "foreground", "group", "nice", "parent", "pid", "priority",
        "resident", "session", "started", "state", "terminal", "threads", "ticks", "virtual",
    )  # fmt: skip

    def __init__(self, pid: int, text: bytes) -> None:
        head, _, tail = text.rpartition(b")")
        fields = tail.split()
        numbers = [0, *(int(field) for field in fields[1:22])]
        self.pid = pid
        self.comm = head.partition(b"(")[2].decode("utf-8", "replace")
        self.state = fields[0].decode()  # R, S, D, T, t, Z, X, I
        self.parent, self.group, self.session = numbers[1:4]
        self.terminal = numbers[4]  # device number, 0 for none
        self.foreground = numbers[5]  # the terminal's foreground process group
        self.ticks = numbers[11] + numbers[12]
        self.child_ticks = numbers[13] + numbers[14]  # of children that were waited for
        self.priority, self.nice, self.threads = numbers[15:18]
        self.started = numbers[19]  # since boot
        self.virtual = numbers[20]
        self.resident = numbers[21] * os.sysconf("SC_PAGE_SIZE")


def read(pid: int) -> Process | None:
    """The process `pid`; None when there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return Process(pid, file.read())
    except (OSError, ValueError, IndexError):
        return None


def members(init: int) -> list[Process]:
    """The processes of the container whose init is `init`, by PID; [] when it has ended.

    The caller owns the container's user namespace: that is what lets it look.
    """
    namespace = _mount_namespace(init)
    if not namespace:
        return []
    everyone = [one for one in map(read, _all_pids()) if one is not None]
    found = {one.pid for one in everyone if _mount_namespace(one.pid) == namespace}
    found.add(init)
    # Processes with a mount namespace of their own descend from one that has not.
    while more := {one.pid for one in everyone if one.parent in found} - found:
        found |= more
    return [one for one in everyone if one.pid in found]


def _all_pids() -> "Iterable[int]":
    return sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())


def _mount_namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt")
    except OSError:
        return ""
