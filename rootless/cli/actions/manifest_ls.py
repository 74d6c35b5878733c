"""`rl manifest ls`: the manifest lists of the store."""

from typing import Any

from rootless.cli.output import familiar, table, write
from rootless.context import Context
from rootless.oci.descriptor import Descriptor
from rootless.store import manifest_lists as store

HEADINGS = {"Name": "NAME", "Members": "IMAGES", "Platforms": "PLATFORMS"}


def main(ctx: Context, values: dict[str, Any]) -> int:
    """A line per list."""
    rows = [_row(store.read(ctx.paths, name)) for name in store.names(ctx.paths)]
    form = str(values["format"] or "")
    if values["quiet"]:
        write("".join(f"{row['Name']}\n" for row in rows))
    elif form in ("", "table"):
        lines = [list(HEADINGS.values())]
        write(table(lines + [[row[name] for name in HEADINGS] for row in rows]))
    else:
        from rootless.cli.template import render_rows

        write(render_rows(form, rows, HEADINGS))
    return 0


def _row(made: store.ManifestList) -> dict[str, str]:
    described = [Descriptor.from_json(one.descriptor, made.name) for one in made.members]
    return {
        "Name": familiar(made.name),
        "Members": str(len(made.members)),
        "Platforms": ", ".join(str(one.platform) for one in described if one.platform),
    }
