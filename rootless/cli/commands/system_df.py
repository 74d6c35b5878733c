"""`rl system df`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import call, declare, make_app, option

app = make_app()

EPILOG = (
    "The fields of --format: .Type .TotalCount .Active .Size .Reclaimable; with --verbose the "
    "lists .Images .Containers .Volumes .BuildCache."
)


@declare(app, "system df", epilog=EPILOG)
def system_df(
    ctx: typer.Context,
    *,
    format: Annotated[
        str | None,
        option("--format", help="A Go template, 'table …', or json.", metavar="FORMAT"),
    ] = None,
    verbose: Annotated[
        bool, option("--verbose", "-v", help="Each image, container, volume and cache entry.")
    ] = False,
) -> int:
    """Show what takes space in the store."""
    return call(ctx)
