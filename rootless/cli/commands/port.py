"""`rl port`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app

app = make_app()


@declare(app, "port")
def port(
    ctx: typer.Context,
    container: Annotated[
        str, argument("CONTAINER", help="Its name or ID.", complete=completion.running_containers)
    ],
    private_port: Annotated[
        str | None, argument("[PORT[/PROTO]]", help="Only where this port is published.")
    ] = None,
) -> int:
    """List the published ports of a container."""
    return call(ctx)
