"""`rl container prune`: containers that do not run, removed."""

from typing import Any

from rootless.cli import prune
from rootless.cli.output import human_size, write
from rootless.cli.ps_filters import split_filters
from rootless.cli.sizes import written
from rootless.context import Context
from rootless.errors import ContainerError
from rootless.store import containers, events

_FILTERS = ("label", "label!", "until")


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Remove those that were never started or have ended; volumes stay, as with Docker."""
    given = [str(one) for one in values["filter"]]
    filters = split_filters(given, _FILTERS)
    prune.is_chosen(filters, {}, "")  # a bad time is told before the question
    if not values["force"]:
        prune.confirm("This will remove all stopped containers.", sorted(given))
    removed, freed = prune_containers(ctx, filters)
    if removed:
        write("Deleted Containers:\n" + "".join(f"{name}\n" for name in removed) + "\n")
    write(f"Total reclaimed space: {human_size(freed, 4)}\n")
    return 0


def prune_containers(ctx: Context, filters: dict[str, list[str]]) -> tuple[list[str], int]:
    """Remove those that do not run and that `filters` are about: their IDs, and bytes freed."""
    chosen = [
        one
        for one in containers.list_all(ctx)
        if not one.running
        and prune.is_chosen(
            filters, one.config.get("labels") or {}, str(one.config.get("created") or "")
        )
    ]
    sizes = written(ctx, chosen)
    removed = [one.id for one in chosen if _remove(ctx, one)]
    freed = sum(sizes[name] for name in removed)
    events.record(ctx.paths, "container", "prune", "", {"reclaimed": str(freed)})
    return removed, freed


def _remove(ctx: Context, container: containers.Container) -> bool:
    """False for one that another command has just started, or removed."""
    try:
        lock = containers.try_lock(container.directory)
        if lock is None:
            return False
        with lock:
            container.read_state()
            if container.running:
                return False
            containers.remove(ctx, container, lock)
            return True
    except ContainerError as e:
        if e.code == "RL-CONTAINER-NOT-FOUND":
            return False
        raise
