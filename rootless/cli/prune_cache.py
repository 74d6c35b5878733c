"""The build cache, pruned: for `builder prune` and `system prune`."""

from collections.abc import Callable

from rootless.cli.usage import CacheUse, measure
from rootless.context import Context
from rootless.store import buildcache, images
from rootless.store.leases import leased
from rootless.store.removal import remove_mapped_tree


def prune_cache(
    ctx: Context, wanted: Callable[[CacheUse], bool], keep: int = 0
) -> tuple[list[CacheUse], int]:
    """Drop the entries and cache mounts for which `wanted` holds, those used last up to `keep`
    bytes apart.  A mount that a build may have now stays.

    The bytes are those of the mounts: layers are counted when they are collected.
    """
    chosen = [one for one in measure(ctx).cache if wanted(one)]
    if keep:
        chosen = _beyond(chosen, keep)
    mounts = buildcache.mounts(ctx.paths)
    with images.reading(ctx.paths):
        building = leased(ctx.paths) != set()  # or pulling
    freed = 0
    for one in list(chosen):
        if one.key in mounts and building:
            chosen.remove(one)
        elif one.key in mounts and remove_mapped_tree(ctx, mounts[one.key]):
            freed += one.size
    buildcache.drop(ctx.paths, [one.key for one in chosen if one.key not in mounts])
    return chosen, freed


def _beyond(chosen: list[CacheUse], keep: int) -> list[CacheUse]:
    """Those that are not among the last used of `keep` bytes.  What an image has costs nothing."""
    total = 0
    found = []
    for one in sorted(chosen, key=lambda one: -one.used):
        total += 0 if one.shared else one.size
        if total > keep:
            found.append(one)
    return found
