"""`rl rm`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "rm")
def rm(
    ctx: typer.Context,
    containers: Annotated[
        list[str],
        argument("CONTAINER [CONTAINER...]", help="Names or IDs.", complete=completion.containers),
    ],
    *,
    force: Annotated[
        bool, option("--force", "-f", help="Kill it if it runs; a missing one is no error.")
    ] = False,
    volumes: Annotated[
        bool, option("--volumes", "-v", help="Remove its nameless volumes, too.")
    ] = False,
) -> int:
    """Remove containers."""
    return call(ctx)
