"""`rl rm`.  Warm."""

from rootless import log
from rootless.cli.actions import several
from rootless.errors import ContainerError
from rootless.runtime import stop
from rootless.store import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Remove containers."""
    force, volumes = bool(values.get("force")), bool(values.get("volumes"))
    given = several.names(values, "rm")
    if force:
        # One by one: the same container may be named twice.
        return max(_remove_any(ctx, name, volumes) for name in given)
    return several.for_each(
        ctx,
        given,
        lambda container: stop.remove(ctx, container, force=False, volumes=volumes),
    )


def _remove_any(ctx: "Context", name: str, volumes: bool) -> int:
    """As docker: with -f a container that is not there is only mentioned."""
    try:
        containers.find(ctx, name)
    except ContainerError as e:
        if e.code == "RL-CONTAINER-NOT-FOUND":
            log.warning(e.what)
            return 0
    return several.for_each(
        ctx, [name], lambda container: stop.remove(ctx, container, force=True, volumes=volumes)
    )
