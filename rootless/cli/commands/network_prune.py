"""`rl network prune`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import call, declare, make_app, option

app = make_app()

EPILOG = "Filters: until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]."


@declare(app, "network prune", epilog=EPILOG)
def network_prune(
    ctx: typer.Context,
    *,
    filter: Annotated[
        list[str] | None,
        option(
            "--filter", help="Only those for which this holds; repeatable.", metavar="KEY=VALUE"
        ),
    ] = None,
    force: Annotated[bool, option("--force", "-f", help="Do not ask.")] = False,
) -> int:
    """Remove all networks that no container has."""
    return call(ctx)
