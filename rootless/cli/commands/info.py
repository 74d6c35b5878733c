"""`rl info`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import call, declare, make_app, option

app = make_app()


@declare(app, "info")
def info(
    ctx: typer.Context,
    *,
    format: Annotated[
        str | None,
        option("--format", "-f", help="A Go template, or json.", metavar="FORMAT"),
    ] = None,
) -> int:
    """Show the store and how containers will run here."""
    return call(ctx)
