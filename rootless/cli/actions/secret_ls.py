"""`rl secret ls`."""

import time
from typing import Any

from rootless.cli.container_words import label_text
from rootless.cli.output import human_duration, parse_time, table, write
from rootless.cli.ps_filters import has_label, split_filters
from rootless.cli.template import render_rows
from rootless.context import Context
from rootless.store import secrets

HEADINGS = {
    "ID": "ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "CreatedAt": "CREATED",
    "UpdatedAt": "UPDATED",
    "Labels": "LABELS",
}
_COLUMNS = ("ID", "Name", "Driver", "CreatedAt", "UpdatedAt")


def main(ctx: Context, values: dict[str, Any]) -> int:
    """One line per secret, by name; never what it holds."""
    found = _select(secrets.list_all(ctx.paths), values["filter"])
    form = str(values["format"] or "")
    if values["quiet"]:
        write("".join(f"{one['id']}\n" for one in found))
        return 0
    rows = [_row(one) for one in found]
    if form in ("", "table"):
        lines = [[row[name] for name in _COLUMNS] for row in rows]
        heading = [] if values["noheading"] else [[HEADINGS[name] for name in _COLUMNS]]
        write(table(heading + lines))
    else:
        write(render_rows(form, rows, HEADINGS))
    return 0


def _select(found: list[dict[str, Any]], given: list[str]) -> list[dict[str, Any]]:
    for key, values in split_filters(given, ("id", "label", "name")).items():
        if key == "label":
            found = [one for one in found if all(has_label(one["labels"], v) for v in values)]
        elif key == "id":
            found = [one for one in found if any(one["id"].startswith(v) for v in values)]
        else:
            found = [one for one in found if any(v in one["name"] for v in values)]
    return found


def _row(one: dict[str, Any]) -> dict[str, Any]:
    now = time.time()
    return {
        "CreatedAt": f"{human_duration(now - parse_time(one['created']))} ago",
        "Driver": "file",
        "ID": one["id"],
        "Labels": label_text(one["labels"]),
        "Name": one["name"],
        "UpdatedAt": f"{human_duration(now - parse_time(one['updated']))} ago",
    }
