"""`rl doctor`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import call, declare, make_app, option

app = make_app()


@declare(app, "doctor")
def doctor(
    ctx: typer.Context,
    *,
    format: Annotated[str | None, option("--format", help="json.", metavar="FORMAT")] = None,
    json: Annotated[bool, option("--json", help="The same as --format json.")] = False,
    admin: Annotated[
        bool, option("--admin", help="Only what to ask the administrator for, to paste.")
    ] = False,
) -> int:
    """Say what this host can do, and what to ask its admin for.

    The exit status is 0 when containers can run here.
    """
    return call(ctx)
