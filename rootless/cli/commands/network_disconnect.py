"""`rl network disconnect`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "network disconnect")
def network_disconnect(
    ctx: typer.Context,
    network: Annotated[
        str, argument("NETWORK", help="Its name or ID.", complete=completion.named_networks)
    ],
    container: Annotated[
        str, argument("CONTAINER", help="Its name or ID.", complete=completion.containers)
    ],
    *,
    force: Annotated[
        bool, option("--force", "-f", help="One that is not on it is no error.")
    ] = False,
) -> int:
    """Take a container off a network, while it runs or not."""
    return call(ctx)
