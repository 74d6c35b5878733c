"""`rl snapshots`."""

import time
from typing import cast

from rootless.cli import sizes
from rootless.cli.actions import several
from rootless.cli.output import human_duration, human_size, parse_time, table, write
from rootless.context import Context
from rootless.runtime import snapshots
from rootless.store import containers

HEADINGS = {
    "Container": "CONTAINER",
    "Name": "SNAPSHOT",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
}
_COLUMNS = ("Container", "Name", "CreatedSince", "Size")


def main(ctx: Context, values: dict[str, object]) -> int:
    """One line per snapshot, the oldest of a container first; SIZE is all that it holds."""
    names = [str(one) for one in cast("list[object]", values["containers"])]
    chosen = [several.find(ctx, one) for one in names] if names else containers.list_all(ctx)
    rows = []
    found = []
    for container in chosen:
        for name, snapshot in snapshots.listed(container).items():
            found.append((container.name, name, snapshot))
    used = {one for _, _, snapshot in found for one in snapshot["frozen"]}
    bytes_of = sizes.trees(ctx, {one: ctx.paths.frozen_diff(one) for one in used})
    now = time.time()
    for owner, name, snapshot in found:
        created = parse_time(snapshot["created"])
        rows.append(
            {
                "Container": owner,
                "Name": name,
                "CreatedSince": f"{human_duration(now - created)} ago",
                "CreatedAt": snapshot["created"],
                "Size": human_size(sum(bytes_of[one] for one in snapshot["frozen"])),
            }
        )
    form = str(values["format"] or "")
    if values["quiet"]:
        write("".join(f"{row['Name']}\n" for row in rows))
    elif form in ("", "table"):
        lines = [[HEADINGS[name] for name in _COLUMNS]]
        write(table(lines + [[row[name] for name in _COLUMNS] for row in rows]))
    else:
        from rootless.cli.template import render_rows

        write(render_rows(form, rows, HEADINGS))
    return 0
