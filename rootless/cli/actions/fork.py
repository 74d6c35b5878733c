"""`rl fork`."""

from rootless import log
from rootless.cli.actions import several
from rootless.cli.output import write
from rootless.context import Context
from rootless.runtime import snapshots, start
from rootless.store import events


def main(ctx: Context, values: dict[str, object]) -> int:
    """Make a container like another one, and print its ID."""
    container = several.find(ctx, str(values["container"]))
    made = snapshots.fork(
        ctx, container, str(values["name"] or ""), str(values["snapshot"] or ""), log.note
    )
    events.record_container(ctx.paths, container, "fork", forkID=made.id)
    if values["start"]:
        start.again(ctx, made, log.note)
    write(f"{made.id}\n")
    return 0
