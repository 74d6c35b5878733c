"""`rl system prune`: containers, networks, images, volumes and cache that nothing uses, removed."""

from typing import Any

from rootless.cli import prune
from rootless.cli.actions.container_prune import prune_containers
from rootless.cli.actions.image_prune import prune_images
from rootless.cli.actions.network_prune import prune_networks
from rootless.cli.actions.volume_prune import prune_volumes
from rootless.cli.output import human_size, write
from rootless.cli.prune_cache import prune_cache
from rootless.cli.ps_filters import split_filters
from rootless.cli.usage import CacheUse
from rootless.context import Context
from rootless.errors import UsageError
from rootless.store import atomic, image_changes, partials

_FILTERS = ("label", "label!", "until")


def main(ctx: Context, values: dict[str, Any]) -> int:
    """In Docker's order: containers first, so that what they alone have used goes with them."""
    given = [str(one) for one in values["filter"]]
    filters = split_filters(given, _FILTERS)
    prune.is_chosen(filters, {}, "")  # a bad time is told before the question
    every, volumes = bool(values["all"]), bool(values["volumes"])
    if volumes and "until" in filters:
        raise UsageError(
            'the "until" filter is not supported with "--volumes"',
            remedy="prune the volumes by themselves: rl volume prune",
        )
    with_cache = not ("label" in filters or "label!" in filters)
    if not values["force"]:
        prune.confirm(_warning(every, volumes, with_cache), sorted(given))
    atomic.sweep(ctx)
    containers, freed = prune_containers(ctx, filters)
    _show("Containers", containers)
    _show("Networks", prune_networks(ctx, filters))
    if volumes:
        names, size = prune_volumes(ctx, filters, every=False)
        _show("Volumes", names)
        freed += size
    cache, size = _prune_cache(ctx, filters, every) if with_cache else ([], 0)
    freed += size
    removed, size = prune_images(ctx, filters, every=every)
    freed += size + image_changes.collect_counted(ctx)
    if not filters:
        freed += partials.sweep(ctx.paths, 0)
    _show("Images", [f"{verb.lower()}: {what}" for verb, what in removed])
    _show("build cache objects", cache)
    write(f"Total reclaimed space: {human_size(freed, 4)}\n")
    return 0


def _warning(every: bool, volumes: bool, with_cache: bool) -> str:
    lines = ["all stopped containers", "all networks not used by at least one container"]
    if volumes:
        lines.append("all anonymous volumes not used by at least one container")
    if every:
        lines.append("all images without at least one container associated to them")
    else:
        lines.append("all dangling images")
    if with_cache:
        lines.append("all build cache" if every else "unused build cache")
    return "This will remove:\n" + "".join(f"  - {line}\n" for line in lines)


def _prune_cache(ctx: Context, filters: dict[str, list[str]], every: bool) -> tuple[list[str], int]:
    """Entries whose layer no image has, and cache mounts; with `every` all entries."""

    def wanted(one: CacheUse) -> bool:
        in_time = not filters or bool(one.created and prune.is_chosen(filters, {}, one.created))
        return (every or not one.shared) and in_time

    removed, freed = prune_cache(ctx, wanted)
    return [one.key for one in removed], freed


def _show(what: str, lines: list[str]) -> None:
    if lines:
        write(f"Deleted {what}:\n" + "".join(f"{line}\n" for line in lines) + "\n")
