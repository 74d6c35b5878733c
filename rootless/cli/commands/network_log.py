"""`rl network log`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "network log")
def network_log(
    ctx: typer.Context,
    container: Annotated[
        str, argument("CONTAINER", help="Its name or ID.", complete=completion.containers)
    ],
    *,
    format: Annotated[
        str | None, option("--format", help="json: a line each.", metavar="FORMAT")
    ] = None,
) -> int:
    """Show what --egress has refused or written down, oldest first.

    The same peer is written down once in ten seconds.
    """
    return call(ctx)
