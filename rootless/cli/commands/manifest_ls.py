"""`rl manifest ls`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import call, declare, make_app, option

app = make_app()


@declare(app, "manifest ls", epilog="The fields of --format: .Name .Members .Platforms.")
def manifest_ls(
    ctx: typer.Context,
    *,
    quiet: Annotated[bool, option("--quiet", "-q", help="Print the names only.")] = False,
    format: Annotated[
        str | None,
        option("--format", help="A Go template, 'table …', or json.", metavar="FORMAT"),
    ] = None,
) -> int:
    """List the manifest lists of the store."""
    return call(ctx)
