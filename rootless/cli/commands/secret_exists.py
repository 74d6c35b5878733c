"""`rl secret exists`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app

app = make_app()


@declare(app, "secret exists")
def secret_exists(
    ctx: typer.Context,
    name: Annotated[str, argument("SECRET", help="A name or ID.", complete=completion.secrets)],
) -> int:
    """Say by the exit status if there is one: 0, else 1."""
    return call(ctx)
