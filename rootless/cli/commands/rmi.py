"""`rl rmi`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "rmi")
def rmi(
    ctx: typer.Context,
    images: Annotated[
        list[str],
        argument("IMAGE [IMAGE...]", help="Names, digests or IDs.", complete=completion.images),
    ],
    *,
    force: Annotated[
        bool,
        option("--force", "-f", help="Remove all its names; a missing one is no error."),
    ] = False,
    no_prune: Annotated[
        bool, option("--no-prune", help="Keep layers that no image uses any more.")
    ] = False,
) -> int:
    """Remove images."""
    return call(ctx)
