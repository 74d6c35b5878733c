"""`rl quadlet list`."""

from typing import Any

from rootless.cli import quadlets
from rootless.cli.output import table, write
from rootless.cli.ps_filters import split_filters
from rootless.context import Context
from rootless.quadlet.translate import resource

HEADINGS = {
    "Name": "NAME",
    "UnitName": "UNIT NAME",
    "Resource": "RESOURCE",
    "Status": "STATUS",
    "Path": "INSTALLED FROM",
}


def main(ctx: Context, values: dict[str, Any]) -> int:
    """One line per installed quadlet, by name."""
    installed = quadlets.Installed(ctx)
    rows = []
    for file, source in sorted(installed.sources.items()):
        rows.append(
            {
                "Name": file,
                "UnitName": source.quadlet.service,
                "Resource": resource(source.quadlet),
                "Status": installed.status(source.quadlet),
                "Path": source.path,
            }
        )
    for key, wanted in split_filters(values["filter"], ("name", "status")).items():
        field = key.capitalize()
        rows = [row for row in rows if any(one in row[field] for one in wanted)]
    form = str(values["format"] or "")
    if values["quiet"]:
        write("".join(f"{row['Name']}\n" for row in rows))
    elif form in ("", "table"):
        lines = [[row[name] for name in HEADINGS] for row in rows]
        write(table([list(HEADINGS.values()), *lines]))
    else:
        from rootless.cli.template import render_rows

        write(render_rows(form, rows, HEADINGS))
    return 0
