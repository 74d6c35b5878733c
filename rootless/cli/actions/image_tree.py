"""`rl image tree`: an image's layers, or the images on top of it, drawn as podman does."""

from typing import Any

from rootless.cli.image_contents import layer_contents
from rootless.cli.output import familiar, human_size, printable, write
from rootless.context import Context
from rootless.store import images

Record = dict[str, Any]
_CREATED_BY_MAX = 60


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Draw the layers of `image`, the bottom first; with `whatrequires` what is built on it."""
    record: Record = images.resolve(ctx.paths, str(values["image"]))
    identifier = str(record["id"])
    cut = not values["no_trunc"]
    names = ", ".join(familiar(name) for name in images.shown_names(ctx.paths, record))
    text = f"Image ID: {_short(identifier, cut)}\nTags:     [{names}]\n"
    text += f"Size:     {human_size(record.get('size', 0))}\n"
    if values["whatrequires"]:
        everyone: list[Record] = images.list_images(ctx.paths)
        write(text + "Images on top of it\n" + _above(record, everyone, "", cut))
    else:
        write(text + "Image Layers\n" + _layers(ctx, record, cut))
    return 0


def _layers(ctx: Context, record: Record, cut: bool) -> str:
    tops: dict[str, list[str]] = {}
    everyone: list[Record] = images.list_images(ctx.paths)
    for other in everyone:
        named = [familiar(name) for name in other["names"]]
        tops.setdefault(_chain(other["layers"]), []).extend(named)
    lines = []
    found = layer_contents(ctx, record)
    for position, one in enumerate(found):
        mark = "└── " if position == len(found) - 1 else "├── "
        by = printable(one.created_by)
        if cut and len(by) > _CREATED_BY_MAX:
            by = by[: _CREATED_BY_MAX - 1] + "…"
        top = tops.get(_chain(record["layers"][: position + 1]))
        lines.append(
            f"{mark}ID: {_short(one.diff_id, cut)} Size: {human_size(one.size)} Files: {one.files}"
            + (f" Top Layer of: [{', '.join(top)}]" if top else "")
            + (f"  {by}" if by else "")
            + "\n"
        )
    return "".join(lines)


def _chain(diff_ids: list[str]) -> str:
    return " ".join(diff_ids)


def _above(record: Record, everyone: list[Record], indent: str, cut: bool) -> str:
    """The images whose layers begin with all of this one's, nested."""
    own = record["layers"]
    longer = [
        one
        for one in everyone
        if len(one["layers"]) > len(own) and one["layers"][: len(own)] == own
    ]
    # Below each only what no other one of these is in between of.
    direct = [
        one
        for one in longer
        if not any(
            len(own) < len(other["layers"]) < len(one["layers"])
            and one["layers"][: len(other["layers"])] == other["layers"]
            for other in longer
        )
    ]
    text = ""
    for position, one in enumerate(direct):
        last = position == len(direct) - 1
        names = ", ".join(familiar(name) for name in one["names"]) or "<none>"
        more = sum(1 for _ in one["layers"]) - len(own)
        text += f"{indent}{'└── ' if last else '├── '}ID: {_short(str(one['id']), cut)} "
        text += f"Layers: +{more} Tags: [{names}]\n"
        text += _above(one, longer, indent + ("    " if last else "│   "), cut)
    return text


def _short(digest: str, cut: bool) -> str:
    return digest[7:19] if cut else digest
