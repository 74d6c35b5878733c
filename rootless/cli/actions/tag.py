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
    text = str(values["source"])
    record = images.resolve(ctx.paths, text)
    image_id = str(record["id"])
    is_id = image_id[7:].startswith(text.removeprefix("sha256:"))
    source = "" if is_id else images.name_meant(ctx.paths, text).canonical()
    for name in names:
        image_changes.tag(ctx.paths, image_id, name, source)
        events.record_image(ctx.paths, "tag", str(record["id"]), reference.parse(name).familiar())
    return 0
