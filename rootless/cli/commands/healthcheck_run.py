"""`rl healthcheck run`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app

app = make_app()


@declare(app, "healthcheck run")
def healthcheck_run(
    ctx: typer.Context,
    container: Annotated[
        str, argument("CONTAINER", help="Its name or ID.", complete=completion.running_containers)
    ],
) -> int:
    """Ask a container now how it is.

    The exit status is 0 where its health check succeeds, 1 where it does not, and 125 where it
    could not be asked. The answer counts as any other: see State.Health of rl inspect.
    """
    return call(ctx)
