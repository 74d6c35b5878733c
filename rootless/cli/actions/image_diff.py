"""`rl image diff`: which files differ between two images."""

from typing import Any

from rootless.cli.image_contents import Change, compare
from rootless.cli.output import human_size, table, write
from rootless.context import Context
from rootless.store import images

HEADINGS = {
    "Kind": "CHANGE",
    "Size": "SIZE",
    "OldSize": "OLD SIZE",
    "Delta": "DIFFERENCE",
    "Path": "PATH",
}
_COLUMNS = ("Kind", "Size", "Delta", "Path")


def main(ctx: Context, values: dict[str, Any]) -> int:
    """From `image` to `other`; without it, what the last layer of `image` does."""
    first: dict[str, Any] = images.resolve(ctx.paths, str(values["image"]))
    if values["other"]:
        second: dict[str, Any] = images.resolve(ctx.paths, str(values["other"]))
        changes = compare(ctx, first["layers"], second["layers"])
    else:
        changes = compare(ctx, first["layers"][:-1], first["layers"])
    form = str(values["format"] or "")
    if form not in ("", "table"):
        from rootless.cli.template import render_rows

        write(render_rows(form, [_row(one) for one in changes], HEADINGS))
        return 0
    if changes and not values["quiet"]:
        rows = [_row(one) for one in changes]
        lines = [[HEADINGS[name] for name in _COLUMNS]]
        write(table(lines + [[row[name] for name in _COLUMNS] for row in rows]) + "\n")
    write(_totals(changes))
    return 0


def _row(one: Change) -> dict[str, str]:
    return {
        "Kind": one.kind,
        "Size": human_size(one.new if one.kind != "D" else one.old),
        "OldSize": human_size(one.old),
        "Delta": _signed(one.new - one.old),
        "Path": one.path,
    }


def _signed(difference: int) -> str:
    return f"{'-' if difference < 0 else '+'}{human_size(abs(difference))}"


def _totals(changes: list[Change]) -> str:
    parts = []
    for kind, word in (("A", "added"), ("C", "changed"), ("D", "deleted")):
        mine = [one for one in changes if one.kind == kind]
        parts.append(f"{len(mine)} {word} ({_signed(sum(one.new - one.old for one in mine))})")
    return ", ".join(parts) + "\n"
