"""`rl network prune`."""

from typing import Any

from rootless.cli import prune
from rootless.cli.output import write
from rootless.cli.ps_filters import split_filters
from rootless.context import Context
from rootless.network.bridge.definition import PREDEFINED
from rootless.store import events, networks

_FILTERS = ("label", "label!", "until")


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Remove every network that no container has."""
    given = [str(one) for one in values["filter"]]
    filters = split_filters(given, _FILTERS)
    prune.is_chosen(filters, {}, "")  # a bad time is told before the question
    if not values["force"]:
        prune.confirm(
            "This will remove all custom networks not used by at least one container.",
            sorted(given),
        )
    done = prune_networks(ctx, filters)
    if done:
        write("Deleted Networks:\n" + "".join(f"{name}\n" for name in done) + "\n")
    return 0


def prune_networks(ctx: Context, filters: dict[str, list[str]]) -> list[str]:
    """Remove the networks that no container has and that the filters let through; their names."""

    def wanted(document: dict[str, Any]) -> bool:
        if document["name"] in PREDEFINED:
            return False
        return prune.is_chosen(filters, document["labels"], document["created"])

    done = networks.prune(ctx.paths, wanted)
    if done:
        events.record(ctx.paths, "network", "prune", "", {"reclaimed": "0"})
    return done
