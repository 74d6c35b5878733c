"""Pausing a container: its control group is frozen; where it has none, its processes are stopped.

cgroup-v2.rst (cgroup.freeze): the processes do not see it.  SIGSTOP is the rung below: a parent
in the container is told that its child has stopped (SIGCHLD), as with any stopped job.
"""

import os
import time

from rootless.errors import ContainerError, KernelError
from rootless.linux import pidtree, process
from rootless.store import events, pause_mark
from rootless.store.locks import Locked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rootless.context import Context
    from rootless.store.containers import Container

_STOP, _CONTINUE = 19, 18
_STOPPED = ("T", "t", "Z", "X")
_PATIENCE_S = 10.0


def pause(ctx: "Context", container: "Container", *, held: bool = False) -> str:
    """Pause; "cgroup" or "signals", whichever did it.  Raises ContainerError.

    `held`: a command does so for its own time, and holds the lock of the container's layers.
    """
    os.close(container.need_running("pause"))
    if pause_mark.is_paused(container):
        raise ContainerError(
            f"{container.name} is already paused",
            remedy=f"let it go on with: rl unpause {container.name}",
            code="RL-CONTAINER-PAUSED",
        )
    init = int(container.state["pid"])
    already = [one.pid for one in pidtree.members(init) if one.state in ("T", "t")]
    pause_mark.write(container, already, held=held)
    frozen = _freeze(container, frozen=True)
    if not frozen:
        _stop(init)
    events.record_container(ctx.paths, container, "pause")
    return "cgroup" if frozen else "signals"


def unpause(ctx: "Context", container: "Container") -> None:
    """Let a paused container go on.  Raises ContainerError RL-CONTAINER-NOT-PAUSED."""
    os.close(container.need_running("unpause"))
    already = pause_mark.read(container)
    if already is None:
        raise ContainerError(
            f"{container.name} is not paused",
            remedy="rl ps shows which containers are",
            code="RL-CONTAINER-NOT-PAUSED",
        )
    _freeze(container, frozen=False)
    for one in pidtree.members(int(container.state["pid"])):
        if one.pid not in already:
            _signal(one, _CONTINUE)
    pause_mark.clear(container)
    events.record_container(ctx.paths, container, "unpause")


def is_still(container: "Container") -> bool:
    """Whether no process of a paused container runs any more: pause() is patient, not for ever."""
    path = str((container.state.get("cgroup") or {}).get("path", ""))
    if path:
        from rootless.linux import cgroup

        try:
            if cgroup.Group(path).events("cgroup.events").get("frozen") == 1:
                return True
        except KernelError:
            pass
    return all(one.state in _STOPPED for one in pidtree.members(int(container.state["pid"])))


def refuse(container: "Container", purpose: str) -> None:
    """Raises ContainerError when the container is paused: RL-CONTAINER-PAUSED.

    Where a command has paused it for its own time, that is waited for.
    """
    if pause_mark.is_held(container):
        with Locked(container.layers_lock_path):
            pass
    if pause_mark.is_paused(container):
        raise ContainerError(
            f"cannot {purpose} {container.name}: the container is paused",
            remedy=f"let it go on first: rl unpause {container.name}",
            code="RL-CONTAINER-PAUSED",
        )


def _freeze(container: "Container", *, frozen: bool) -> bool:
    """Freeze or thaw the container's control group; False when it has none that can be."""
    path = str((container.state.get("cgroup") or {}).get("path", ""))
    if not path:
        return False
    from rootless.linux import cgroup

    group = cgroup.Group(path)
    try:
        group.set("cgroup.freeze", str(int(frozen)))
    except KernelError:
        return False  # before Linux 5.2, or not ours to write
    _wait(lambda: group.events("cgroup.events").get("frozen") == int(frozen))
    return True


def _stop(init: int) -> None:
    """SIGSTOP to every process, until a look finds none that is new: a fork in between fails or
    is seen, since a process with a signal pending does not fork."""
    told: set[int] = set()
    while True:
        fresh = [one for one in pidtree.members(init) if one.pid not in told]
        if not fresh:
            break
        for one in fresh:
            _signal(one, _STOP)
            told.add(one.pid)
    _wait(lambda: _all_stopped(told))


def _all_stopped(pids: "Iterable[int]") -> bool:
    found = (pidtree.read(pid) for pid in pids)
    return all(one is None or one.state in _STOPPED for one in found)


def _signal(one: pidtree.Process, number: int) -> None:
    pidfd = process.open_pidfd(one.pid, one.started)
    if pidfd >= 0:
        try:
            process.signal_process(pidfd, number)
        finally:
            os.close(pidfd)


def _wait(condition: "Callable[[], bool]") -> None:
    """A process in an uninterruptible system call stops when that is over."""
    deadline = time.monotonic() + _PATIENCE_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.002)
