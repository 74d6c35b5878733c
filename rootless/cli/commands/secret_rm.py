"""`rl secret rm`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "secret rm")
def secret_rm(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        argument("[SECRET...]", help="Names or IDs.", complete=completion.secrets),
    ] = None,
    *,
    all: Annotated[bool, option("--all", "-a", help="Every one.")] = False,
    ignore: Annotated[
        bool, option("--ignore", "-i", help="One that is not there is no error.")
    ] = False,
) -> int:
    """Remove secrets.

    Containers that run keep what they have; at the next start it is missed.
    """
    return call(ctx)
