"""`rl rename`.  Warm."""

from rootless.cli.actions import several
from rootless.store import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Give a container another name."""
    container = several.find(ctx, str(values["container"]))
    containers.rename(ctx, container, str(values["name"]))
    if container.config.get("networks") and container.running:
        from rootless.runtime import connecting

        connecting.renamed(ctx, container)
    return 0
