"""`rl history`: the steps that have made an image."""

import time
from typing import Any

from rootless.cli.output import human_duration, human_size, parse_time, table, write
from rootless.context import Context
from rootless.errors import StoreError
from rootless.oci import image_config
from rootless.oci import platform as platforms
from rootless.store import blobs, images, layers

HEADINGS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}
_CREATED_BY_MAX = 45  # as Docker
_MISSING = "<missing>"


def main(ctx: Context, values: dict[str, Any]) -> int:
    """One line per step, the newest first.  The words and columns are Docker's."""
    record: dict[str, Any] = images.resolve(ctx.paths, str(values["image"]))
    config = image_config.parse(blobs.read(ctx.paths, str(record["id"])), "the image's config")
    if values["platform"]:
        platforms.check(config.platform, str(values["platform"]), str(values["image"]))
    human, cut = values["human"] is not False, not values["no_trunc"]
    rows = [
        _row(one, identifier, size, human=human, cut=cut)
        for one, identifier, size in _steps(ctx, record, config)
    ]
    form = str(values["format"] or "")
    if values["quiet"]:
        write("".join(f"{row['ID']}\n" for row in rows))
    elif form in ("", "table"):
        columns = ["ID", "CreatedSince" if human else "CreatedAt", "CreatedBy", "Size", "Comment"]
        headings = {**HEADINGS, "CreatedAt": "CREATED AT"}
        lines = [[headings[name] for name in columns]]
        write(table(lines + [[row[name] for name in columns] for row in rows]))
    else:
        from rootless.cli.template import render_rows

        write(render_rows(form, rows, HEADINGS))
    return 0


def _steps(
    ctx: Context, record: dict[str, Any], config: image_config.ImageConfig
) -> list[tuple[dict[str, Any], str, int]]:
    """(history entry, image ID, bytes) of each step, newest first.

    A layer that no entry tells of gets an empty one: the history is optional in an image.
    """
    left = list(config.diff_ids)
    found: list[tuple[dict[str, Any], str, int]] = []
    for entry in config.history:
        diff_id = "" if entry.get("empty_layer") or not left else left.pop(0)
        found.append((entry, _MISSING, _size(ctx, diff_id)))
    found += [({}, _MISSING, _size(ctx, diff_id)) for diff_id in left]
    found.reverse()
    if found:
        found[0] = (found[0][0], str(record["id"]), found[0][2])
    return found


def _size(ctx: Context, diff_id: str) -> int:
    if not diff_id:
        return 0
    try:
        return layers.size(ctx.paths, diff_id)
    except StoreError:
        return 0


def _row(
    entry: dict[str, Any], identifier: str, size: int, *, human: bool, cut: bool
) -> dict[str, str]:
    created = str(entry.get("created") or "")
    at = parse_time(created)
    by = str(entry.get("created_by") or "").replace("\t", " ")
    if cut and len(by) > _CREATED_BY_MAX:
        by = by[: _CREATED_BY_MAX - 1] + "…"
    if cut and identifier != _MISSING:
        identifier = identifier.removeprefix("sha256:")[:12]
    # Docker's: what is not for people is RFC 3339 in local time, and plain bytes.
    moment = time.localtime(at)
    zone = time.strftime("%z", moment)
    long = time.strftime("%Y-%m-%dT%H:%M:%S", moment)
    long += "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    since = f"{human_duration(time.time() - at)} ago" if at else "N/A"
    return {
        "ID": identifier,
        "CreatedAt": long,
        "CreatedSince": since if human else long,
        "CreatedBy": by,
        "Size": human_size(size) if human else str(size),
        "Comment": str(entry.get("comment") or ""),
    }
