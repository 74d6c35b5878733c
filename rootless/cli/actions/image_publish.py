"""`rl image publish` and `rl image unpublish`: a store that other users read."""

import os

from rootless import log
from rootless.cli.output import familiar, write
from rootless.context import Context
from rootless.errors import UsageError
from rootless.layer import publish
from rootless.store import mapping


def main(ctx: Context, values: dict[str, object]) -> int:
    """Publish `images` in `directory`, or take them out of it."""
    names = values["images"]
    assert isinstance(names, list)
    if not names:
        raise UsageError("name an image", remedy="try: rl images")
    os.umask(0o022)  # what is published is for everybody to read
    directory = str(values["directory"])
    if values.get("remove"):
        there = publish.target(ctx, directory, make=False)
        for name in names:
            done = publish.unpublish(there, str(name))
            write("".join(f"{verb}: {what}\n" for verb, what in done))
        return 0
    there = publish.target(ctx, directory, make=True)
    if mapping.default_map(ctx).single:
        log.warning("one ID alone is mapped here: all published files will belong to root")
    for name in names:
        _publish(ctx, there, str(name))
    return 0


def _publish(ctx: Context, there: Context, name: str) -> None:
    done = publish.publish(ctx, there, name)
    if done.skipped_capabilities:
        log.warning(
            f"{done.skipped_capabilities} file(s) of {name} lose their capabilities: "
            "squashfuse does not show them"
        )
    shown = " ".join(familiar(one) for one in done.names) or "without a name"
    state = "Published" if done.changed else "Already published"
    write(f"{state}: {shown} {done.image_id}\n")
