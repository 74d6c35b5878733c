"""`rl top`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app

app = make_app()


@declare(app, "top", interspersed=False)
def top(
    ctx: typer.Context,
    container: Annotated[
        str, argument("CONTAINER", help="A name or ID.", complete=completion.running_containers)
    ],
    options: Annotated[
        list[str] | None,
        argument("[PS OPTIONS]", help="As ps(1) has them: -ef, aux, -o pid,user,args. Else -ef."),
    ] = None,
) -> int:
    """List the processes of a container.

    They are read from /proc: the image needs no ps.  PIDs are the host's, users the container's.
    """
    return call(ctx)
