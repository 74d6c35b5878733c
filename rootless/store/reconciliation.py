"""Containers whose supervisor was killed: recorded as exited by the next command that looks."""

import os

from rootless.errors import ContainerError, StoreError
from rootless.linux import process
from rootless.store import containers, events, volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.paths import Paths
    from rootless.store.containers import Container


def reconcile(ctx: "Context", container: "Container") -> "Container | None":
    """Record what has become of a container that says it runs, when nobody supervises it.

    While its supervisor lives (it holds the lock) nothing is done: it is just cleaning up.
    None when the container was to go away with its end (--rm).
    """
    try:
        lock = containers.try_lock(container.directory)
    except ContainerError:
        return None
    if lock is None:
        return container
    with lock:
        container.read_state()
        if not container.running and container.state.get("status") != "removing":
            return container
        clean_up(ctx, container)
        # A supervisor that could not write the end leaves the code in the lock: a full disk.
        code, error = lock.exit_code(), str(container.state.get("error", ""))
        if code < 0 or container.state.get("status") == "starting":
            code, error = containers.KILLED, "the supervisor was killed, and the container with it"
            lock.put_exit_code(code)
            events.record_container(ctx.paths, container, "die", exitCode=str(code))
            container.notice = (
                f"the supervisor of {container.name} was killed, and the container with it"
            )
        ended = {
            "status": "exited", "pid": 0, "exit_code": code, "finished_at": containers.now(),
            "error": error, "helpers": [], "ports": [],
        }  # fmt: skip
        try:
            container.write_state(**ended)
        except StoreError:
            pass  # a full disk: the next command that looks tries again
        if container.config.get("auto_remove"):
            volumes.discard(ctx, container, lock)
            return None
    return container


def clean_up(ctx: "Context", container: "Container") -> None:
    """End and remove what a killed supervisor has left.  The caller holds the lock."""
    _end_leftovers(container)
    _remove_sockets(ctx.paths, container.id)


def _end_leftovers(container: "Container") -> None:
    """Kill what a killed supervisor may have left: the init and the network helper."""
    state = container.state
    if state.get("boot_id") != process.boot_id():
        return
    leftovers = [state, *state.get("helpers", [])]
    for one in leftovers:
        pidfd = process.open_pidfd(int(one.get("pid", 0)), int(one.get("start_time", 0)))
        if pidfd >= 0:
            process.signal_process(pidfd, 9)
            _wait_ended(pidfd)
            os.close(pidfd)


def _remove_sockets(paths: "Paths", container_id: str) -> None:
    """What a killed supervisor has left in the runtime directory."""
    prefix = os.path.basename(paths.container_runtime(container_id))
    try:
        names = os.listdir(paths.runtime)
    except OSError:
        return
    for name in names:
        if name.startswith(f"{prefix}."):
            try:
                os.unlink(f"{paths.runtime}/{name}")
            except OSError:
                pass


def _wait_ended(pidfd: int, timeout_ms: int = 5000) -> bool:
    import select

    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(timeout_ms))
