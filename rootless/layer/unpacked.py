"""What is told of the layers that a command has brought: what this host could not give them, and
with RL_DEBUG=timing where the time went.
"""

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.layer.unpack import Unpacked

_NAMED = 3  # device nodes
# The columns of the table, with what is counted in each: see docs/configuration.md.
_COLUMNS = {
    "network": ("network",),
    "inflate": ("inflate",),
    "hash": ("hash",),
    "write": ("write",),
    "metadata": ("metadata",),
    "sync": ("sync",),
    "idle": ("wait", "input", "ahead", "pipe"),
}


def words(ctx: "Context") -> list[str]:
    """What to tell of `ctx.unpacked`, once: it is empty afterwards."""
    layers, ctx.unpacked[:] = cast("list[Unpacked]", list(ctx.unpacked)), []
    told = []
    devices = sum(layer.skipped_devices for layer in layers)
    if devices:
        names = [f"/{name}" for layer in layers for name in layer.device_names][:_NAMED]
        more = ", ..." if devices > len(names) else ""
        told.append(
            f"left out of the image, since nobody can make device nodes without root: "
            f"{', '.join(names)}{more} ({devices} in all)"
        )
    squashed = sum(layer.lost_owners for layer in layers)
    if squashed and ctx.config.get("squash-ids") is True:
        told.append(f"files of IDs that you do not have, now root's (--squash-ids): {squashed}")
    elif squashed:
        told.append(
            f"one ID is mapped: {squashed} files of others are root's here; whose they are is "
            "noted, for push and export"
        )
    if any(layer.spent for layer in layers):
        told += _table(layers)
    return told


def _table(layers: list["Unpacked"]) -> list[str]:
    """Seconds by layer and column, and in sum: of work, which goes on side by side."""
    rows = [("layer", *_COLUMNS)]
    sums = dict.fromkeys(_COLUMNS, 0.0)
    for layer in layers:
        found = {
            column: sum(layer.spent.get(part, 0.0) for part in parts)
            for column, parts in _COLUMNS.items()
        }
        for column, seconds in found.items():
            sums[column] += seconds
        rows.append((layer.diff_id[7:19], *(f"{seconds:.3f}" for seconds in found.values())))
    rows.append(("sum", *(f"{seconds:.3f}" for seconds in sums.values())))
    return [f"{row[0]:14}" + "".join(f"{cell:>10}" for cell in row[1:]) for row in rows]
