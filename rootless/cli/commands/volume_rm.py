"""`rl volume rm`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "volume rm")
def volume_rm(
    ctx: typer.Context,
    names: Annotated[
        list[str], argument("VOLUME [VOLUME...]", help="Names.", complete=completion.volumes)
    ],
    *,
    force: Annotated[bool, option("--force", "-f", help="A missing one is no error.")] = False,
) -> int:
    """Remove volumes that no container has."""
    return call(ctx)
