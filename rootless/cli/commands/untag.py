"""`rl untag`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app

app = make_app()


@declare(app, "untag")
def untag(
    ctx: typer.Context,
    image: Annotated[
        str,
        argument("IMAGE", help="The image, by name or ID.", complete=completion.images),
    ],
    names: Annotated[
        list[str] | None,
        argument(
            "[NAME[:TAG]...]", help="Which of its names; all without.", complete=completion.images
        ),
    ] = None,
) -> int:
    """Take names from an image, and keep the image."""
    return call(ctx)
