"""`rl secret ls`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import call, declare, make_app, option

app = make_app()


@declare(app, "secret ls", epilog="Filters: id, label, name.")
def secret_ls(
    ctx: typer.Context,
    *,
    filter: Annotated[
        list[str] | None,
        option("--filter", "-f", help="Only those with this; repeatable.", metavar="KEY=VALUE"),
    ] = None,
    format: Annotated[
        str | None, option("--format", help="table, json, or a Go template.", metavar="FORMAT")
    ] = None,
    noheading: Annotated[bool, option("--noheading", "-n", help="Leave the heading out.")] = False,
    quiet: Annotated[bool, option("--quiet", "-q", help="Print IDs only.")] = False,
) -> int:
    """List secrets."""
    return call(ctx)
