"""`rl image tree`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "image tree")
def image_tree(
    ctx: typer.Context,
    image: Annotated[str, argument("IMAGE", help="Which image.", complete=completion.images)],
    *,
    whatrequires: Annotated[
        bool, option("--whatrequires", help="The images that are made on top of this one.")
    ] = False,
    no_trunc: Annotated[bool, option("--no-trunc", help="Cut nothing off.")] = False,
) -> int:
    """Show the layers of an image as a tree, or the images on top of it."""
    return call(ctx)
