"""`rl commit`."""

from typing import cast

from rootless.build.container_image import Wish, commit
from rootless.cli.actions import several
from rootless.cli.actions.import_image import canonical_name
from rootless.cli.output import write
from rootless.context import Context
from rootless.store import atomic, events


def main(ctx: Context, values: dict[str, object]) -> int:
    """Make an image of what a container has changed, and print its ID."""
    container = several.find(ctx, str(values["container"]))
    reference = str(values["reference"] or "")
    wish = Wish(
        name=canonical_name(reference) if reference else "",
        author=str(values["author"] or ""),
        message=str(values["message"] or ""),
        changes=[str(one) for one in cast("list[object]", values["change"])],
        pause=bool(values["pause"]),
        squash=bool(values["squash"]),
    )
    record = commit(ctx, container, wish)
    events.record_container(ctx.paths, container, "commit", imageID=str(record["id"]))
    if values["iidfile"]:
        atomic.write_bytes(str(values["iidfile"]), str(record["id"]).encode(), 0o644, sync=False)
    write(f"{record['id']}\n")
    return 0
