"""Holding a container still while what it has written is read: for snapshots, forks and commits.

One command at a time, by a lock of the container's layers.  A running container is paused
meanwhile; a watcher, a child in a session of its own, lets it go on when the command is killed.
"""

import contextlib
import os
import select
from typing import TYPE_CHECKING

from rootless.errors import ContainerError
from rootless.runtime import pause
from rootless.store import containers, pause_mark
from rootless.store.locks import Locked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootless.context import Context
    from rootless.store.containers import Container

_KILL = 9


@contextlib.contextmanager
def layers_lock(container: "Container") -> "Iterator[None]":
    """Wait for the lock of the container's layers and snapshots, and hold it.

    Taken after the container was found, so it may be gone: raises ContainerError
    RL-CONTAINER-NOT-FOUND.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(Locked(f"{container.directory}/layers.lock"))
        except FileNotFoundError as e:
            raise containers.gone(container.directory) from e
        container.read_state()  # it may have ended, or been started, meanwhile
        yield


@contextlib.contextmanager
def paused(ctx: "Context", container: "Container") -> "Iterator[None]":
    """Pause a running container for the time of the block, unless its user has paused it.

    The caller has one thread and holds layers_lock().  Raises ContainerError.
    """
    if pause_mark.is_paused(container):
        yield
        return
    # First: a kill or Ctrl-C at any later moment leaves nothing paused.
    watcher = _watch(ctx, container)
    try:
        pause.pause(ctx, container)
        yield
    finally:
        _let_go(ctx, container)
        os.kill(watcher, _KILL)
        os.waitpid(watcher, 0)


def _let_go(ctx: "Context", container: "Container") -> None:
    try:
        pause.unpause(ctx, container)
    except ContainerError:
        pass  # it has ended, or its user has let it go on


def _watch(ctx: "Context", container: "Container") -> int:
    """The PID of a child that unpauses the container when this process has ended.

    It shares the lock: nobody else pauses the container before it is done.
    """
    parent = os.pidfd_open(os.getpid())
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()  # a Ctrl-C is not for it
            null = os.open("/dev/null", os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)  # a reader of our output does not wait for it
            poll = select.poll()
            poll.register(parent, select.POLLIN)
            poll.poll()
            _let_go(ctx, container)
        finally:
            os._exit(0)
    os.close(parent)
    return pid
