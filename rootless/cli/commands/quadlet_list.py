"""`rl quadlet list`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import call, declare, make_app, option

app = make_app()


@declare(app, "quadlet list", epilog="Filters: name, status.")
def quadlet_list(
    ctx: typer.Context,
    *,
    filter: Annotated[
        list[str] | None,
        option("--filter", "-f", help="Only those with this; repeatable.", metavar="KEY=VALUE"),
    ] = None,
    format: Annotated[
        str | None, option("--format", help="table, json, or a Go template.", metavar="FORMAT")
    ] = None,
    quiet: Annotated[bool, option("--quiet", "-q", help="Print names only.")] = False,
) -> int:
    """List the installed quadlets."""
    return call(ctx)
