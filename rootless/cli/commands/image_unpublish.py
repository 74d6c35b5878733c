"""`rl image unpublish`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app

app = make_app()


@declare(app, "image unpublish")
def image_unpublish(
    ctx: typer.Context,
    directory: Annotated[str, argument("DIR", help="The store.", complete=completion.files)],
    images: Annotated[
        list[str],
        argument("IMAGE...", help="By name, or by ID.", complete=completion.images),
    ],
) -> int:
    """Take images out of a store that other users read.

    Containers that run of them go on.
    """
    return call(ctx)
