"""`rl system reset`: the whole store, removed."""

from typing import Any

from rootless import log
from rootless.cli import prune
from rootless.context import Context
from rootless.runtime import stop
from rootless.store import containers, reset

_WARNING = """\
This will remove:
  - all containers, also those that run
  - all images
  - all volumes, with the data in them
  - all secrets
  - all build cache
  - the store {store}
"""


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Remove containers first, those that run too, then all that is in the store."""
    reset.check(ctx.paths)
    if not values["force"]:
        prune.confirm(_WARNING.format(store=ctx.paths.store), [])
    reset.refuse_while_used(ctx.paths)
    for container in (found := containers.list_all(ctx)):
        container.need_here("remove")
    for container in found:
        stop.remove(ctx, container, force=True, volumes=True)
    left = reset.remove(ctx)
    if left:
        log.note(f"what is not rl's stays in {ctx.paths.store}: {', '.join(left)}")
    return 0
