"""`rl volume ls`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import call, declare, make_app, option

app = make_app()


EPILOG = "Filters: dangling=true|false, driver=NAME, label=KEY[=VALUE], name=PART."


@declare(app, "volume ls", epilog=EPILOG)
def volume_ls(
    ctx: typer.Context,
    *,
    filter: Annotated[
        list[str] | None,
        option(
            "--filter",
            "-f",
            help="Only those for which this holds; repeatable.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    format: Annotated[
        str | None, option("--format", help="json, table, or a Go template.", metavar="FORMAT")
    ] = None,
    quiet: Annotated[bool, option("--quiet", "-q", help="Names only.")] = False,
) -> int:
    """List volumes."""
    return call(ctx)
