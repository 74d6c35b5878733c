"""`rl attach`.  Warm."""

import _socket

from rootless.cli.actions import several
from rootless.errors import ContainerError
from rootless.runtime.attach import Connection, Detached
from rootless.runtime.supervisor import attach_path
from rootless.store import events, pause_mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Relay this process's streams to a running container; its exit code, 0 after detaching."""
    container = several.find(ctx, str(values["container"]))
    container.need_running("attach to")
    if pause_mark.is_paused(container):
        from rootless.runtime import pause

        pause.refuse(container, "attach to")
    connection = Connection(
        connect(
            attach_path(ctx.paths, container.id),
            f"attach to {container.name}",
            f"follow its output with: rl logs -f {container.name}",
        ),
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


def connect(path: str, purpose: str, remedy: str) -> "_socket.socket":
    """The supervisor's socket.  Raises ContainerError where there is no supervisor."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        sock.connect(path)
    except OSError as e:
        sock.close()
        raise ContainerError(
            f"cannot {purpose}: it belongs to an rl run in the foreground",
            remedy=remedy,
            code="RL-CONTAINER-FOREGROUND",
        ) from e
    return sock
