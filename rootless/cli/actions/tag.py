"""`rl tag`: more names for an image."""

from rootless.cli.actions.import_image import canonical_name
from rootless.context import Context
from rootless.oci import reference
from rootless.store import events, image_changes, images


def main(ctx: Context, values: dict[str, object]) -> int:
    """Give the image `source` each of the names `targets`; none if one of them is no name."""
    targets = values["targets"]
    assert isinstance(targets, list)
    names = [canonical_name(str(target)) for target in targets]
    record = images.resolve(ctx.paths, str(values["source"]))
    for name in names:
        image_changes.tag(ctx.paths, str(record["id"]), name)
        events.record_image(ctx.paths, "tag", str(record["id"]), reference.parse(name).familiar())
    return 0
