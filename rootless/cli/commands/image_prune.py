"""`rl image prune`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import call, declare, make_app, option

app = make_app()

EPILOG = "Filters: until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE], dangling=true|false."


@declare(app, "image prune", epilog=EPILOG)
def image_prune(
    ctx: typer.Context,
    *,
    all: Annotated[
        bool,
        option("--all", "-a", help="Every image that no container has, not only nameless ones."),
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
    """Remove images that nothing uses."""
    return call(ctx)
