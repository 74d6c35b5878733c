"""`rl secret inspect`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "secret inspect")
def secret_inspect(
    ctx: typer.Context,
    names: Annotated[
        list[str],
        argument("SECRET [SECRET...]", help="Names or IDs.", complete=completion.secrets),
    ],
    *,
    format: Annotated[
        str | None, option("--format", "-f", help="A Go template, or json.", metavar="FORMAT")
    ] = None,
    showsecret: Annotated[bool, option("--showsecret", help="Show what it holds, too.")] = False,
) -> int:
    """Show what is known of secrets."""
    return call(ctx)
