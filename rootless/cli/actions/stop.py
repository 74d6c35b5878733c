"""`rl stop`.  Warm."""

from rootless.cli.actions import several
from rootless.runtime import stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Stop containers: their stop signal, and SIGKILL when their time is over."""
    return several.for_each(
        ctx,
        several.names(values, "stop"),
        lambda container: stop.stop(ctx, container, **stop.manner(container, values)),
    )
