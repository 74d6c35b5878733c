"""`rl export`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "export")
def export(
    ctx: typer.Context,
    container: Annotated[
        str, argument("CONTAINER", help="Its name or ID.", complete=completion.containers)
    ],
    *,
    output: Annotated[
        str | None,
        option("--output", "-o", help="A file, not standard output.", metavar="FILE"),
    ] = None,
) -> int:
    """Write a container's file system as a tar archive."""
    return call(ctx)
