"""`rl snapshot`."""

from rootless import log
from rootless.cli.actions import several
from rootless.cli.output import write
from rootless.context import Context
from rootless.errors import UsageError
from rootless.ids import is_name
from rootless.runtime import snapshots
from rootless.store import events


def main(ctx: Context, values: dict[str, object]) -> int:
    """Take a snapshot, or with --rm forget one, and print its name."""
    container = several.find(ctx, str(values["container"]))
    name = str(values["name"] or "")
    if values["rm"]:
        if not name:
            raise UsageError("which snapshot is to be forgotten?", remedy="name it")
        snapshots.forget(ctx, container, name)
    else:
        # As for containers; numbers, which are given without a name, have one character.
        if name and not is_name(name) and not name.isdecimal():
            raise UsageError(
                f"invalid snapshot name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
                remedy="at least two of these characters, or a number",
            )
        name = snapshots.take(ctx, container, name, log.note)
        events.record_container(ctx.paths, container, "snapshot", snapshot=name)
    write(f"{name}\n")
    return 0
