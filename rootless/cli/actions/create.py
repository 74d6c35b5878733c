"""`rl create`.  Warm."""

from rootless.cli.actions import making

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Create a container, and print its ID."""
    container, lock, _ = making.make(ctx, making.parse(ctx, values), values)
    lock.close()
    print(container.id)
    return 0
