"""`rl unpause`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app

app = make_app()


@declare(app, "unpause")
def unpause(
    ctx: typer.Context,
    containers: Annotated[
        list[str],
        argument(
            "CONTAINER [CONTAINER...]",
            help="Names or IDs.",
            complete=completion.running_containers,
        ),
    ],
) -> int:
    """Let paused containers go on."""
    return call(ctx)
