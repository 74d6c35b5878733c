"""`rl network rm`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "network rm")
def network_rm(
    ctx: typer.Context,
    names: Annotated[
        list[str],
        argument("NETWORK [NETWORK...]", help="Names or IDs.", complete=completion.named_networks),
    ],
    *,
    force: Annotated[bool, option("--force", "-f", help="A missing one is no error.")] = False,
) -> int:
    """Remove networks that no container has."""
    return call(ctx)
