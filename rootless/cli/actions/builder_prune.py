"""`rl builder prune`: the build cache, or what of it no image has, removed."""

from typing import Any

from rootless.cli import prune
from rootless.cli.output import human_size, parse_time, write
from rootless.cli.prune_cache import prune_cache
from rootless.cli.ps_filters import split_filters
from rootless.cli.time_option import parse_time as parse_moment
from rootless.cli.usage import CacheUse
from rootless.context import Context
from rootless.runtime.options_text import parse_size
from rootless.store import atomic, image_changes

_FILTERS = ("until", "unused-for")


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Entries that no build has used since `until`; what is used last stays, up to a size."""
    given = [str(one) for one in values["filter"]]
    filters = split_filters(given, _FILTERS)
    times = [parse_time(parse_moment(text)) for name in _FILTERS for text in filters.get(name, ())]
    size = str(values["keep_storage"] or "")
    keep = parse_size(size, "--keep-storage") if size else 0
    every = bool(values["all"])
    if not values["force"]:
        which = "all" if every else "all dangling"
        prune.confirm(f"This will remove {which} build cache.", sorted(given))

    def wanted(one: CacheUse) -> bool:
        return (every or not one.shared) and all(one.used < moment for moment in times)

    atomic.sweep(ctx)
    removed, freed = prune_cache(ctx, wanted, keep)
    freed += image_changes.collect_counted(ctx)
    if removed:
        lines = "".join(f"{one.key}\n" for one in removed)
        write(f"Deleted build cache objects:\n{lines}\n")
    write(f"Total reclaimed space: {human_size(freed, 4)}\n")
    return 0
