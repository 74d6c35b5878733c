"""`rl volume prune`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import call, declare, make_app, option

app = make_app()


EPILOG = "Filters: label=KEY[=VALUE], label!=KEY[=VALUE], all=true."


@declare(app, "volume prune", epilog=EPILOG)
def volume_prune(
    ctx: typer.Context,
    *,
    all: Annotated[
        bool, option("--all", "-a", help="Those with a name, too, not only nameless ones.")
    ] = False,
    filter: Annotated[
        list[str] | None,
        option(
            "--filter", help="Only those for which this holds; repeatable.", metavar="KEY=VALUE"
        ),
    ] = None,
    force: Annotated[bool, option("--force", "-f", help="Do not ask.")] = False,
) -> int:
    """Remove all volumes that no container has."""
    return call(ctx)
