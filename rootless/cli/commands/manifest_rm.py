"""`rl manifest rm`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app

app = make_app()


@declare(app, "manifest rm")
def manifest_rm(
    ctx: typer.Context,
    names: Annotated[
        list[str],
        argument("LIST...", help="The manifest lists.", complete=completion.manifest_lists),
    ],
) -> int:
    """Forget manifest lists; their images stay."""
    return call(ctx)
