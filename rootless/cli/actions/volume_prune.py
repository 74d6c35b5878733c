"""`rl volume prune`."""

from typing import Any

from rootless.cli import prune, sizes
from rootless.cli.output import human_size, write
from rootless.cli.ps_filters import bad_value, split_filters
from rootless.context import Context
from rootless.store import events, volume_changes

_FILTERS = ("all", "label", "label!")


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Remove anonymous volumes, or with `all` every one, that no container has."""
    given = [str(one) for one in values["filter"]]
    filters = split_filters(given, _FILTERS)
    every = bool(values["all"])
    for value in filters.pop("all", ()):
        if value not in ("true", "1", "false", "0"):
            raise bad_value("all", value, "it is true or false")
        every = value in ("true", "1")
    if not values["force"]:
        which = "all" if every else "anonymous"
        prune.confirm(
            f"This will remove {which} local volumes not used by at least one container.",
            sorted(given),
        )

    done, freed = prune_volumes(ctx, filters, every=every)
    text = "".join(f"{name}\n" for name in done)
    write((f"Deleted Volumes:\n{text}\n" if text else "")
          + f"Total reclaimed space: {human_size(freed, 4)}\n")  # fmt: skip
    return 0


def prune_volumes(
    ctx: Context, filters: dict[str, list[str]], *, every: bool
) -> tuple[list[str], int]:
    """Remove anonymous volumes, or every one, that no container has: names, and bytes freed."""

    def wanted(document: dict[str, Any]) -> bool:
        if not (every or document["anonymous"]):
            return False
        return prune.is_chosen(filters, document["labels"], document["created"])

    places = {str(one["name"]): ctx.paths.volume_data(one["name"])
              for one in volume_changes.list_all(ctx) if wanted(one)}  # fmt: skip
    found = sizes.trees(ctx, places)
    done = volume_changes.prune(ctx, wanted)
    freed = sum(found.get(name, 0) for name in done)
    events.record(ctx.paths, "volume", "prune", "", {"reclaimed": str(freed)})
    return done, freed
