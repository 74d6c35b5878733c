"""Holding a container still while what it has written is read: for snapshots, forks and commits.

One command at a time, by a lock of the container's layers; what was cut off is finished by the
next one.  A running container is paused
meanwhile; a watcher, a child in a session of its own, lets it go on when the command is killed.
"""

import contextlib
import os
from typing import TYPE_CHECKING

from rootless.errors import ContainerError, RlError
from rootless.runtime import pause
from rootless.store import containers, pause_mark
from rootless.store.locks import Locked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootless.context import Context
    from rootless.store.containers import Container

_KILL = 9


@contextlib.contextmanager
def layers_lock(ctx: "Context", container: "Container") -> "Iterator[None]":
    """Wait for the lock of the container's layers and snapshots, and hold it.

    Taken after the container was found, so it may be gone: raises ContainerError
    RL-CONTAINER-NOT-FOUND.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(Locked(container.layers_lock_path))
        except FileNotFoundError as e:
            raise containers.gone(container.directory) from e
        container.read_state()  # it may have ended, or been started, meanwhile
        if os.path.exists(container.pending_path):
            _finish(ctx, container)
        if pause_mark.is_held(container):  # and its watcher was killed, too
            _let_go(ctx, container)
        yield


def _finish(ctx: "Context", container: "Container") -> None:
    """Finish a change of layers whose command was killed."""
    from rootless.runtime import pending, start

    if container.running:
        pending.settle(ctx, container)
    else:
        start.hold(ctx, container).close()


@contextlib.contextmanager
def paused(ctx: "Context", container: "Container") -> "Iterator[None]":
    """Pause a running container for the time of the block, unless its user has paused it.

    The caller has one thread and holds layers_lock().  Raises ContainerError.
    """
    if pause_mark.is_paused(container):
        yield
        return
    # First: a kill or Ctrl-C at any later moment leaves nothing paused.
    watcher, held = _watch(ctx, container)
    try:
        pause.pause(ctx, container, held=True)
        yield
    finally:
        _let_go(ctx, container)
        os.kill(watcher, _KILL)
        os.waitpid(watcher, 0)
        os.close(held)


def _let_go(ctx: "Context", container: "Container") -> None:
    try:
        pause.unpause(ctx, container)
    except ContainerError:
        pass  # it has ended, or its user has let it go on


def _watch(ctx: "Context", container: "Container") -> tuple[int, int]:
    """A child that finishes a change of layers and unpauses the container when this process and
    its workers have ended: its PID, and what keeps it waiting.

    It shares the lock: nobody else pauses the container before it is done.
    """
    ended, held = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()  # a Ctrl-C is not for it
            os.close(held)
            null = os.open("/dev/null", os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)  # a reader of our output does not wait for it
            os.read(ended, 1)
            if os.path.exists(container.pending_path):
                with contextlib.suppress(RlError):
                    _finish(ctx, container)
            _let_go(ctx, container)
        finally:
            os._exit(0)
    os.close(ended)
    return pid, held
