"""`rl restart`.  Warm."""

import os

from rootless import log
from rootless.cli.actions import several
from rootless.runtime import start, stop
from rootless.store import events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.store.containers import Container


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Stop containers, if they run, and start them again."""

    def act(container: "Container") -> None:
        with open(container.restart_mark, "w"):
            stop.stop(ctx, container, **stop.manner(container, values))
        with start.again(ctx, container) as lock:
            os.unlink(container.restart_mark)
            start.start_or_record(
                container,
                lambda: start.supervised(ctx, container, lock, attach=False, notify=log.note),
            )
        events.record_container(ctx.paths, container, "restart")

    return several.for_each(ctx, several.names(values, "restart"), act)
