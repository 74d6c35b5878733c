"""`rl quadlet print`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "quadlet print")
def quadlet_print(
    ctx: typer.Context,
    name: Annotated[
        str, argument("NAME", help="As web or web.container.", complete=completion.quadlets)
    ],
    *,
    source: Annotated[
        bool, option("--source", help="The file and its drop-ins, as they were installed.")
    ] = False,
) -> int:
    """Show the unit that a quadlet becomes."""
    return call(ctx)
