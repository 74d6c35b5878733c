"""`rl volume inspect`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "volume inspect")
def volume_inspect(
    ctx: typer.Context,
    names: Annotated[
        list[str], argument("VOLUME [VOLUME...]", help="Names.", complete=completion.volumes)
    ],
    *,
    format: Annotated[
        str | None, option("--format", "-f", help="json, or a Go template.", metavar="FORMAT")
    ] = None,
) -> int:
    """Show everything about volumes."""
    return call(ctx)
