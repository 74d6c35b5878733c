"""`rl start`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "start")
def start(
    ctx: typer.Context,
    containers: Annotated[
        list[str],
        argument(
            "CONTAINER [CONTAINER...]",
            help="Names or IDs.",
            complete=completion.stopped_containers,
        ),
    ],
    *,
    attach: Annotated[
        bool, option("--attach", "-a", help="Show its output and pass signals on.")
    ] = False,
    interactive: Annotated[
        bool, option("--interactive", "-i", help="Pass standard input to the container.")
    ] = False,
    detach_keys: Annotated[
        str | None,
        option(
            "--detach-keys",
            help="The keys that leave the container running (ctrl-p,ctrl-q).",
            metavar="KEYS",
        ),
    ] = None,
    trace: Annotated[
        str | None,
        option(
            "--trace",
            help="Show what is done and how long it takes; also in FILE, for chrome://tracing.",
            metavar="[=FILE]",
        ),
    ] = None,
) -> int:
    """Start stopped or created containers."""
    return call(ctx)
