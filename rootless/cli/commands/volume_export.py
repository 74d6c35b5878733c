"""`rl volume export`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "volume export")
def volume_export(
    ctx: typer.Context,
    name: Annotated[str, argument("VOLUME", help="Its name.", complete=completion.volumes)],
    *,
    output: Annotated[
        str | None,
        option("--output", "-o", help="A file, not standard output.", metavar="FILE"),
    ] = None,
) -> int:
    """Write a volume's files as a tar archive."""
    return call(ctx)
