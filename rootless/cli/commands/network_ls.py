"""`rl network ls`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import call, declare, make_app, option

app = make_app()

EPILOG = (
    "Filters: dangling=true|false, driver=NAME, id=PART, internal=true|false, "
    "label=KEY[=VALUE], name=PART, scope=local, type=custom|builtin."
)


@declare(app, "network ls", epilog=EPILOG)
def network_ls(
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
    no_trunc: Annotated[bool, option("--no-trunc", help="Whole IDs.")] = False,
    quiet: Annotated[bool, option("--quiet", "-q", help="IDs only.")] = False,
) -> int:
    """List networks."""
    return call(ctx)
