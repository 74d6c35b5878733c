"""`rl top`: the processes of a container, in the columns of ps(1)."""

from rootless.cli.actions import several
from rootless.cli.output import printable, write
from rootless.cli.top_columns import Columns, Machine
from rootless.linux import pidtree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context


def main(ctx: "Context", values: "dict[str, Any]") -> int:
    """Print a table: a column is as wide as its widest cell, the last one as it comes."""
    columns = Columns([str(word) for word in values["options"] or ()])
    container = several.find(ctx, str(values["container"]))
    container.need_running("list the processes of")
    machine = Machine(int(container.state["pid"]))
    rows = [[heading for heading, _ in columns.chosen]]
    for one in pidtree.members(machine.init):
        if one.state not in ("Z", "X") or one.pid != machine.init:
            rows.append([printable(cell(machine, one)) for _, cell in columns.chosen])
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        write("   ".join([*cells, row[-1]]) + "\n")
    return 0
