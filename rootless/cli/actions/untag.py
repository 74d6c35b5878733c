"""`rl untag`: names away from an image."""

from rootless.cli.actions.import_image import canonical_name
from rootless.context import Context
from rootless.store import events, image_changes, images


def main(ctx: Context, values: dict[str, object]) -> int:
    """Take `names`, or all it has, from `image`; nothing happens if one of them is not its."""
    names = values["names"] or []
    assert isinstance(names, list)
    record = images.resolve(ctx.paths, str(values["image"]))
    wanted = [canonical_name(str(name)) for name in names]
    image_changes.untag(ctx.paths, str(record["id"]), wanted)
    events.record_image(ctx.paths, "untag", str(record["id"]))
    return 0
