"""`rl pause`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app

app = make_app()


@declare(app, "pause")
def pause(
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
    """Stop the processes of containers for a while.

    A container with a control group (any limit gives it one) is frozen by the kernel and does not
    notice.  Else every process gets SIGSTOP, and rl says so.
    """
    return call(ctx)
