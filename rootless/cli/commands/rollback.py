"""`rl rollback`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app

app = make_app()


@declare(app, "rollback")
def rollback(
    ctx: typer.Context,
    container: Annotated[
        str, argument("CONTAINER", help="Its name or ID.", complete=completion.containers)
    ],
    name: Annotated[str, argument("SNAPSHOT", help="The snapshot's name.")],
) -> int:
    """Undo what a container has written since a snapshot, stopped or running."""
    return call(ctx)
