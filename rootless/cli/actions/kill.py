"""`rl kill`.  Warm."""

from rootless.cli.actions import several
from rootless.runtime import stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Send a signal to containers, SIGKILL by default."""
    signal = str(values.get("signal") or "KILL")
    return several.for_each(
        ctx, several.names(values, "kill"), lambda container: stop.kill(ctx, container, signal)
    )
