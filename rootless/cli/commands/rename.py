"""`rl rename`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app

app = make_app()


@declare(app, "rename")
def rename(
    ctx: typer.Context,
    container: Annotated[
        str, argument("CONTAINER", help="Its name or ID.", complete=completion.containers)
    ],
    name: Annotated[str, argument("NAME", help="The new name.")],
) -> int:
    """Give a container another name."""
    return call(ctx)
