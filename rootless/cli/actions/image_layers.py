"""`rl image layers`: what each layer adds, the biggest first."""

from typing import Any

from rootless.cli.image_contents import LayerContent, layer_contents
from rootless.cli.output import human_size, table, write
from rootless.context import Context
from rootless.store import images

HEADINGS = {
    "Number": "LAYER",
    "ID": "DIFF ID",
    "Size": "SIZE",
    "Files": "FILES",
    "Directories": "DIRECTORIES",
    "Removed": "REMOVED",
    "Stored": "STORED",
    "Digest": "DIGEST",
    "SharedBy": "SHARED BY",
    "CreatedBy": "CREATED BY",
}
_COLUMNS = ("Number", "ID", "Size", "Files", "Removed", "Stored", "SharedBy", "CreatedBy")
_CREATED_BY_MAX = 60


def main(ctx: Context, values: dict[str, Any]) -> int:
    """One line per layer; `SharedBy` is how many other images have it."""
    record: dict[str, Any] = images.resolve(ctx.paths, str(values["image"]))
    found = sorted(layer_contents(ctx, record), key=lambda one: (-one.size, one.number))
    everyone: list[dict[str, Any]] = images.list_images(ctx.paths)
    owners = [one["layers"] for one in everyone if one["id"] != record["id"]]
    cut = not values["no_trunc"]
    rows = [_row(one, sum(one.diff_id in owner for owner in owners), cut=cut) for one in found]
    form = str(values["format"] or "")
    if values["quiet"]:
        write("".join(f"{row['ID']}\n" for row in rows))
    elif form in ("", "table"):
        lines = [[HEADINGS[name] for name in _COLUMNS]]
        write(table(lines + [[row[name] for name in _COLUMNS] for row in rows]))
        files = sum(one.files for one in found)
        total = human_size(sum(one.size for one in found))
        layers = "1 layer" if len(found) == 1 else f"{len(found)} layers"
        write(f"\n{layers}, {total} in {files} files\n")
    else:
        from rootless.cli.template import render_rows

        write(render_rows(form, rows, HEADINGS))
    return 0


def _row(one: LayerContent, shared: int, *, cut: bool) -> dict[str, str]:
    by = one.created_by.replace("\t", " ")
    if cut and len(by) > _CREATED_BY_MAX:
        by = by[: _CREATED_BY_MAX - 1] + "…"
    return {
        "Number": str(one.number),
        "ID": one.diff_id[7:19] if cut else one.diff_id,
        "Size": human_size(one.size),
        "Files": str(one.files),
        "Directories": str(one.directories),
        "Removed": str(one.removed),
        "Stored": human_size(one.stored) if one.blob else "-",
        "Digest": one.blob[7:19] if cut else one.blob,
        "SharedBy": str(shared),
        "CreatedBy": by,
    }
