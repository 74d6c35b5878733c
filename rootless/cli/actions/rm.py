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
        # As docker: with -f a container that is not there is only mentioned.
        given = [name for name in given if _is_there(ctx, name)]
    return several.for_each(
        ctx,
        given,
        lambda container: stop.remove(ctx, container, force=force, volumes=volumes),
    )


def _is_there(ctx: "Context", name: str) -> bool:
    try:
        containers.find(ctx, name)
    except ContainerError as e:
        if e.code == "RL-CONTAINER-NOT-FOUND":
            log.warning(e.what)
            return False
    return True
