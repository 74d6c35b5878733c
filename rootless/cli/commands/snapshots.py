"""`rl snapshots`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "snapshots")
def snapshots(
    ctx: typer.Context,
    containers: Annotated[
        list[str] | None,
        argument("[CONTAINER...]", help="Names or IDs; else all.", complete=completion.containers),
    ] = None,
    *,
    format: Annotated[
        str | None, option("--format", help="json, table, or a Go template.", metavar="FORMAT")
    ] = None,
    quiet: Annotated[bool, option("--quiet", "-q", help="Names only.")] = False,
) -> int:
    """List the snapshots of containers."""
    return call(ctx)
