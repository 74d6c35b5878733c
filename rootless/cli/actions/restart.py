"""`rl restart`.  Warm."""

from rootless import log
from rootless.cli.actions import several
from rootless.runtime import start, stop
from rootless.store import containers, events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.store.containers import Container


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Stop containers, if they run, and start them again."""

    def act(container: "Container") -> None:
        kept = containers.keep(container.directory) if container.config["auto_remove"] else None
        stop.stop(ctx, container, **stop.manner(container, values))
        start.again(ctx, container, log.note, kept=kept)
        events.record_container(ctx.paths, container, "restart")

    return several.for_each(ctx, several.names(values, "restart"), act)
