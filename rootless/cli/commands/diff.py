"""`rl diff`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "diff")
def diff(
    ctx: typer.Context,
    container: Annotated[
        str, argument("CONTAINER", help="Its name or ID.", complete=completion.containers)
    ],
    *,
    format: Annotated[
        str | None, option("--format", help="json, or a Go template.", metavar="FORMAT")
    ] = None,
) -> int:
    """Show what a container has changed in its file system: A added, C changed, D deleted."""
    return call(ctx)
