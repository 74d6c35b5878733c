"""`rl fork`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "fork")
def fork(
    ctx: typer.Context,
    container: Annotated[
        str, argument("CONTAINER", help="Its name or ID.", complete=completion.containers)
    ],
    name: Annotated[str | None, argument("[NEW]", help="A name for the new container.")] = None,
    *,
    snapshot: Annotated[
        str | None,
        option("--snapshot", help="As it was at this snapshot, not now.", metavar="NAME"),
    ] = None,
    start: Annotated[bool, option("--start", help="Start the new container.")] = False,
) -> int:
    """Make a container like another one, with all it has written."""
    return call(ctx)
