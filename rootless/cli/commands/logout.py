"""`rl logout`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app

app = make_app()


@declare(app, "logout")
def logout(
    ctx: typer.Context,
    server: Annotated[
        str | None,
        argument(
            "[SERVER]",
            help="HOST[:PORT] of the registry; Docker Hub without.",
            complete=completion.registries,
        ),
    ] = None,
) -> int:
    """Forget the credentials for a registry."""
    return call(ctx)
