"""`rl explain`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app

app = make_app()


@declare(app, "explain")
def explain(
    ctx: typer.Context,
    code: Annotated[
        str | None,
        argument(
            "[CODE]",
            help="The code at the end of an error; none lists all.",
            complete=completion.codes,
        ),
    ] = None,
) -> int:
    """Explain an error code."""
    return call(ctx)
