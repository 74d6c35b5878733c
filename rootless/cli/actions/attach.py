"""`rl attach`.  Warm."""

import _socket
import time

from rootless.cli.actions import several
from rootless.errors import ContainerError
from rootless.runtime.attach import Connection, Detached
from rootless.runtime.supervisor import attach_path
from rootless.store import events, pause_mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.store.containers import Container

_PATIENCE_S = 0.2  # for the supervisor of a container that has just begun to run


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Relay this process's streams to a running container; its exit code, 0 after detaching."""
    container = several.find(ctx, str(values["container"]))
    connection = Connection(
        connect(ctx, container),
        terminal=bool(container.config["tty"]),
        read_input=bool(container.config["interactive"]) and not values.get("no_stdin"),
        detach_keys=several.detach_keys(ctx, values.get("detach_keys")),
        sig_proxy=bool(values.get("sig_proxy", True)),
    )
    events.record_container(ctx.paths, container, "attach")
    try:
        return connection.relay()
    except Detached:
        events.record_container(ctx.paths, container, "detach")
        return 0


def connect(
    ctx: "Context", container: "Container", purpose: str = "attach to", remedy: str = ""
) -> "_socket.socket":
    """The socket of a container's supervisor.  Raises ContainerError where it does not run."""
    container.need_running(purpose)
    if pause_mark.is_paused(container):
        from rootless.runtime import pause

        pause.refuse(container, purpose)
    path = attach_path(ctx.paths, container.id)
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            sock.connect(path)
            return sock
        except OSError as e:
            sock.close()
            if time.monotonic() > deadline:
                raise ContainerError(
                    f"cannot {purpose} {container.name}: it belongs to an rl run in the foreground",
                    remedy=remedy or f"follow its output with: rl logs -f {container.name}",
                    code="RL-CONTAINER-FOREGROUND",
                ) from e
        time.sleep(0.01)
