"""`rl system prune`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import call, declare, make_app, option

app = make_app()

EPILOG = (
    "Filters: until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]. The build cache has no labels: "
    "with a label filter it stays."
)


@declare(app, "system prune", epilog=EPILOG)
def system_prune(
    ctx: typer.Context,
    *,
    all: Annotated[
        bool,
        option("--all", "-a", help="Every image that no container has, and the whole build cache."),
    ] = False,
    volumes: Annotated[
        bool, option("--volumes", help="Anonymous volumes that no container has, too.")
    ] = False,
    filter: Annotated[
        list[str] | None,
        option(
            "--filter",
            help="Only those for which this holds; repeatable.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    force: Annotated[bool, option("--force", "-f", help="Do not ask.")] = False,
) -> int:
    """Remove all that nothing uses."""
    return call(ctx)
