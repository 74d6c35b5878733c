"""`rl wait`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "wait")
def wait(
    ctx: typer.Context,
    containers: Annotated[
        list[str],
        argument(
            "CONTAINER [CONTAINER...]",
            help="Names or IDs.",
            complete=completion.running_containers,
        ),
    ],
    *,
    condition: Annotated[
        list[str] | None,
        option(
            "--condition",
            help=(
                "What to wait for: not-running (else), next-exit, removed, or a state as running, "
                "paused, exited, healthy; repeatable, one is enough."
            ),
            metavar="CONDITION",
        ),
    ] = None,
) -> int:
    """Wait until containers have ended and print their exit codes.

    For a state in which there is no exit code, -1 is printed. To wait for the health of a container
    that has ended, or has no health check, is an error.
    """
    return call(ctx)
