"""`rl manifest exists`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app

app = make_app()


@declare(app, "manifest exists")
def manifest_exists(
    ctx: typer.Context,
    name: Annotated[
        str, argument("LIST", help="The manifest list.", complete=completion.manifest_lists)
    ],
) -> int:
    """Whether there is a manifest list."""
    return call(ctx)
