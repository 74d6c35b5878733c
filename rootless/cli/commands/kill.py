"""`rl kill`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "kill")
def kill(
    ctx: typer.Context,
    containers: Annotated[
        list[str],
        argument(
            "CONTAINER [CONTAINER...]",
            help="Names or IDs.",
            complete=completion.running_containers,
        ),
    ],
    *,
    signal: Annotated[
        str | None, option("--signal", "-s", help="Which signal (KILL).", metavar="SIGNAL")
    ] = None,
) -> int:
    """Send a signal to containers."""
    return call(ctx)
