"""`rl restart`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "restart")
def restart(
    ctx: typer.Context,
    containers: Annotated[
        list[str],
        argument("CONTAINER [CONTAINER...]", help="Names or IDs.", complete=completion.containers),
    ],
    *,
    time: Annotated[
        int | None,
        option(
            "--time",
            "--timeout",
            "-t",
            help="How long to wait before killing; -1 for ever.",
            metavar="SECONDS",
        ),
    ] = None,
    signal: Annotated[
        str | None,
        option("--signal", "-s", help="Send this signal first.", metavar="SIGNAL"),
    ] = None,
) -> int:
    """Stop containers, if they run, and start them again."""
    return call(ctx)
