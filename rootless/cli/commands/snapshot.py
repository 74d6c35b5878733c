"""`rl snapshot`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "snapshot")
def snapshot(
    ctx: typer.Context,
    container: Annotated[
        str, argument("CONTAINER", help="Its name or ID.", complete=completion.containers)
    ],
    name: Annotated[str | None, argument("[NAME]", help="A number without.")] = None,
    *,
    rm: Annotated[
        bool, option("--rm", help="Forget this snapshot; the container stays as it is.")
    ] = False,
) -> int:
    """Keep what a container has written, to go back to it (rl rollback)."""
    return call(ctx)
