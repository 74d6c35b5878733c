"""`rl unpause`."""

from rootless.cli.actions import several
from rootless.runtime import pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Let paused containers go on."""
    return several.for_each(
        ctx,
        several.names(values, "unpause"),
        lambda container: pause.unpause(ctx, container),
    )
