"""`rl wait`.  Warm."""

from rootless.cli.actions import several
from rootless.runtime import stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Block until containers stop, and print their exit codes."""
    return several.for_each(
        ctx, several.names(values, "wait"), lambda container: str(stop.wait(ctx, container))
    )
