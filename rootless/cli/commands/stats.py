"""`rl stats`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()

EPILOG = (
    "Fields of --format: Container ID Name CPUPerc MemUsage MemPerc NetIO BlockIO PIDs Pressure "
    "Source."
)


@declare(app, "stats", epilog=EPILOG)
def stats(
    ctx: typer.Context,
    containers: Annotated[
        list[str] | None,
        argument(
            "[CONTAINER...]",
            help="Names or IDs; else all that run.",
            complete=completion.running_containers,
        ),
    ] = None,
    *,
    all: Annotated[bool, option("--all", "-a", help="Also those that do not run.")] = False,
    format: Annotated[
        str | None,
        option("--format", help="table, json, or a Go template.", metavar="FORMAT"),
    ] = None,
    no_stream: Annotated[bool, option("--no-stream", help="Look once and leave.")] = False,
    no_trunc: Annotated[bool, option("--no-trunc", help="Show IDs in full.")] = False,
) -> int:
    """Show what containers use, again every second.

    From a container's control group; one without is measured from /proc, and rl says so.
    """
    return call(ctx)
