"""`rl start`.  Warm."""

from rootless import log
from rootless.cli.actions import several
from rootless.errors import UsageError
from rootless.runtime import start
from rootless.runtime.attach import Connection, Detached
from rootless.store import pause_mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.store.containers import Container


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Start containers again; with --attach one of them, in the foreground."""
    given = several.names(values, "start")
    attach, interactive = bool(values.get("attach")), bool(values.get("interactive"))
    if attach or interactive:
        if len(given) > 1:
            raise UsageError(
                "only one container can be started and attached to", remedy="name one container"
            )
        return _attached(ctx, given[0], values, interactive=interactive)

    def act(container: "Container") -> None:
        start_one(ctx, container)

    return several.for_each(ctx, given, act)


def start_one(ctx: "Context", container: "Container") -> None:
    """Start the container; one that runs already is left as it is, as docker does."""
    _refuse_paused(container)
    if container.pidfd() < 0 and container.state.get("status") != "restarting":
        start.again(ctx, container, log.note)


def _refuse_paused(container: "Container") -> None:
    if pause_mark.is_paused(container):
        from rootless.runtime import pause

        pause.refuse(container, "start")


def _attached(ctx: "Context", name: str, values: "dict[str, object]", *, interactive: bool) -> int:
    container = several.find(ctx, name)
    _refuse_paused(container)
    client = start.again(ctx, container, log.note, attach=True)
    if client is None:
        from rootless.cli.actions.attach import connect

        client = connect(ctx, container)  # it runs already
    connection = Connection(
        client,
        terminal=bool(container.config["tty"]),
        read_input=interactive and bool(container.config["interactive"]),
        detach_keys=several.detach_keys(ctx, values.get("detach_keys")),
        sig_proxy=True,
    )
    try:
        status = connection.relay()
    except Detached:
        return 0
    start.take_end(ctx)
    return status
