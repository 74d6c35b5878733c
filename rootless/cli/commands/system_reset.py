"""`rl system reset`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import call, declare, make_app, option

app = make_app()

EPILOG = (
    "Nothing ever needs it: a store repairs itself (rl system check --repair). What is in "
    "~/.config/rl and the programs of rl setup stay."
)


@declare(app, "system reset", epilog=EPILOG)
def system_reset(
    ctx: typer.Context,
    *,
    force: Annotated[bool, option("--force", "-f", help="Do not ask.")] = False,
) -> int:
    """Remove the store with all that is in it, also files of subordinate IDs."""
    return call(ctx)
