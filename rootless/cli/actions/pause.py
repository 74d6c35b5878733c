"""`rl pause`."""

from rootless import log
from rootless.cli.actions import several
from rootless.runtime import pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.store.containers import Container


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Stop the processes of containers for a while."""

    def act(container: "Container") -> None:
        if pause.pause(ctx, container) == "signals":
            log.note(
                f"{container.name} has no control group to freeze: its processes are stopped by "
                "signals"
            )

    return several.for_each(ctx, several.names(values, "pause"), act)
