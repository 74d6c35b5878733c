"""`rl network inspect`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "network inspect")
def network_inspect(
    ctx: typer.Context,
    names: Annotated[
        list[str],
        argument("NETWORK [NETWORK...]", help="Names or IDs.", complete=completion.named_networks),
    ],
    *,
    format: Annotated[
        str | None, option("--format", "-f", help="json, or a Go template.", metavar="FORMAT")
    ] = None,
    verbose: Annotated[
        bool, option("--verbose", "-v", help="Accepted: there is nothing more to show.")
    ] = False,
) -> int:
    """Show everything about networks, and who is on them."""
    return call(ctx)
