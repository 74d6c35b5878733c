"""`rl update`."""

from rootless.cli.actions import several
from rootless.errors import UsageError
from rootless.runtime import update

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Change limits and restart policy of containers."""
    given = several.names(values, "update")
    if all(values.get(name) in (None, []) for name in update.NAMES):
        raise UsageError(
            "rl update needs something to change", remedy="as --memory 512m or --restart always"
        )
    return several.for_each(ctx, given, lambda container: update.update(ctx, container, values))
