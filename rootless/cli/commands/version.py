"""`rl version`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import call, declare, make_app, option

app = make_app()


@declare(app, "version")
def version(
    ctx: typer.Context,
    *,
    format: Annotated[
        str | None,
        option("--format", "-f", help="A Go template, or json.", metavar="FORMAT"),
    ] = None,
) -> int:
    """Show the versions of rl and what it stands on."""
    return call(ctx)
