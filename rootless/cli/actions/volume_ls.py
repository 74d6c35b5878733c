"""`rl volume ls`."""

from typing import Any

from rootless.cli.output import table, write
from rootless.cli.ps_filters import bad_value, has_label, split_filters
from rootless.context import Context
from rootless.store import volume_changes, volumes

HEADINGS = {
    "Driver": "DRIVER",
    "Name": "VOLUME NAME",
    "Labels": "LABELS",
    "Links": "LINKS",
    "Mountpoint": "MOUNTPOINT",
    "Scope": "SCOPE",
    "Size": "SIZE",
}
_FILTERS = ("dangling", "driver", "label", "name")


def main(ctx: Context, values: dict[str, Any]) -> int:
    """One line per volume, by name."""
    found = _select(ctx, values)
    form = str(values["format"] or "")
    if values["quiet"]:
        write("".join(f"{one['name']}\n" for one in found))
        return 0
    rows = [_row(ctx, one) for one in found]
    if form in ("", "table"):
        columns = ("Driver", "Name")
        lines = [[HEADINGS[name] for name in columns]]
        write(table(lines + [[row[name] for name in columns] for row in rows]))
    else:
        from rootless.cli.template import render_rows

        write(render_rows(form, rows, HEADINGS))
    return 0


def _select(ctx: Context, values: dict[str, Any]) -> list[dict[str, Any]]:
    filters = split_filters(values["filter"], _FILTERS)
    found = volume_changes.list_all(ctx)
    if "dangling" in filters:
        used = volumes.users(ctx.paths)
        for value in filters["dangling"]:
            if value not in ("true", "1", "false", "0"):
                raise bad_value("dangling", value, "it is true or false")
            unused = value in ("true", "1")
            found = [one for one in found if (one["name"] not in used) == unused]
    for key, several in filters.items():
        if key == "driver":
            found = [one for one in found if one["driver"] in several]
        elif key == "name":
            found = [one for one in found if any(value in one["name"] for value in several)]
        elif key == "label":
            found = [one for one in found if all(has_label(one["labels"], v) for v in several)]
    return found


def _row(ctx: Context, document: dict[str, Any]) -> dict[str, str]:
    return {
        "Driver": document["driver"],
        "Labels": ",".join(f"{key}={value}" for key, value in document["labels"].items()),
        "Links": "N/A",
        "Mountpoint": volume_changes.mount_point(ctx, document),
        "Name": document["name"],
        "Scope": "local",
        "Size": "N/A",
    }
