"""`rl manifest remove`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app

app = make_app()


@declare(app, "manifest remove")
def manifest_remove(
    ctx: typer.Context,
    name: Annotated[
        str, argument("LIST", help="The manifest list.", complete=completion.manifest_lists)
    ],
    images: Annotated[list[str], argument("DIGEST...", help="Which members: names or digests.")],
) -> int:
    """Take images out of a manifest list."""
    return call(ctx)
