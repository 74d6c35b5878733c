"""`rl rollback`."""

from rootless.cli.actions import several
from rootless.cli.output import write
from rootless.context import Context
from rootless.runtime import snapshots
from rootless.store import events


def main(ctx: Context, values: dict[str, object]) -> int:
    """Go back to a snapshot, and print the container as it was named."""
    container = several.find(ctx, str(values["container"]))
    snapshots.roll_back(ctx, container, str(values["name"]))
    events.record_container(ctx.paths, container, "rollback", snapshot=str(values["name"]))
    write(f"{values['container']}\n")
    return 0
