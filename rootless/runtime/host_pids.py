"""Containers in the host's PID namespace (--pid host): their end is not the kernel's to bring.

With a PID namespace of its own, all of a container ends with its init.  In the host's, children
that outlive the init come to the container's parent, which is their subreaper, and it ends them:
prctl(2) PR_SET_CHILD_SUBREAPER.  If the parent itself is killed, only the init goes with it, and
what it had started goes on as a process of the user's; with a control group of its own the next
command that looks kills that too.
"""

import os

from rootless.linux import process, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_KILL = 9


def adopt_orphans() -> None:
    """From now on orphaned descendants become our children."""
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)


def end_orphans(others: "Iterable[int]") -> None:
    """Kill and reap all our children but `others`, and theirs, who come to us one by one."""
    kept = set(others)
    while True:
        found = [pid for pid in _children() if pid not in kept]
        if not found:
            return
        for pid in found:
            started = process.start_time(pid)
            pidfd = process.open_pidfd(pid, started) if started else -1
            if pidfd >= 0:
                process.signal_process(pidfd, _KILL)
                os.close(pidfd)
        for pid in found:
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                kept.add(pid)  # not ours after all


def _children() -> list[int]:
    """Our children: proc(5), the field 4 of /proc/PID/stat, since not every kernel has
    /proc/PID/task/TID/children."""
    me, found = str(os.getpid()).encode(), []
    for name in os.listdir("/proc"):
        if not name.isdecimal():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if fields[1] == me:
            found.append(int(name))
    return found
