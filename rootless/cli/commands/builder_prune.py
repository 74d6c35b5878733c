"""`rl builder prune`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import call, declare, make_app, option

app = make_app()

EPILOG = "Filters: until=TIME or unused-for=DURATION, as 24h: what no build has used since then."


@declare(app, "builder prune", epilog=EPILOG)
def builder_prune(
    ctx: typer.Context,
    *,
    all: Annotated[
        bool,
        option("--all", "-a", help="The whole cache, also what images have."),
    ] = False,
    filter: Annotated[
        list[str] | None,
        option(
            "--filter",
            help="Only those for which this holds; repeatable.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    keep_storage: Annotated[
        str | None,
        option(
            "--keep-storage",
            "--max-used-space",
            help="Keep what was used last, up to this size.",
            metavar="SIZE",
        ),
    ] = None,
    force: Annotated[bool, option("--force", "-f", help="Do not ask.")] = False,
) -> int:
    """Remove what builds have kept."""
    return call(ctx)
