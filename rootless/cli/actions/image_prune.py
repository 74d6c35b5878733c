"""`rl image prune`: images that nothing uses, removed."""

from typing import Any

from rootless.cli import prune
from rootless.cli.output import human_size, write
from rootless.cli.ps_filters import bad_value, split_filters
from rootless.context import Context
from rootless.store import events, image_changes

_FILTERS = ("dangling", "label", "label!", "until")
_YES, _NO = ("true", "1", "t"), ("false", "0", "f")


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Remove nameless images, or with `all` every one, that no container was made of."""
    given = [str(one) for one in values["filter"]]
    filters = split_filters(given, _FILTERS)
    every = bool(values["all"])
    for value in filters.get("dangling", ()):
        if value not in (*_YES, *_NO):
            raise bad_value("dangling", value, "it is true or false")
        every = value in _NO
    prune.is_chosen(filters, {}, "")  # a bad time is told before the question
    if not values["force"]:
        which = "images without at least one container associated to them"
        prune.confirm(
            f"This will remove all {which if every else 'dangling images'}.", sorted(given)
        )

    done, freed = prune_images(ctx, filters, every=every)
    text = "".join(f"{verb.lower()}: {what}\n" for verb, what in done)
    write((f"Deleted Images:\n{text}\n" if text else "") + _reclaimed(freed))
    return 0


def prune_images(
    ctx: Context, filters: dict[str, list[str]], *, every: bool
) -> tuple[list[tuple[str, str]], int]:
    """Remove nameless images, or every one, that no container has: what was done, bytes freed."""

    def wanted(record: dict[str, Any]) -> bool:
        labels = (record.get("config") or {}).get("Labels") or {}
        created = str(record.get("created") or "")
        return (every or not record["names"]) and prune.is_chosen(filters, labels, created)

    done, freed = image_changes.prune(ctx, wanted)
    events.record(ctx.paths, "image", "prune", "", {"reclaimed": str(freed)})
    return done, freed


def _reclaimed(freed: int) -> str:
    return f"Total reclaimed space: {human_size(freed, 4)}\n"
