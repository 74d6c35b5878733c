"""`rl logs`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "logs")
def logs(
    ctx: typer.Context,
    container: Annotated[
        str, argument("CONTAINER", help="Its name or ID.", complete=completion.containers)
    ],
    *,
    follow: Annotated[
        bool, option("--follow", "-f", help="Go on while the container runs.")
    ] = False,
    tail: Annotated[
        str, option("--tail", "-n", help="The last N lines only.", metavar="N", default=True)
    ] = "all",
    timestamps: Annotated[
        bool, option("--timestamps", "-t", help="Begin each line with its time.")
    ] = False,
    since: Annotated[
        str | None,
        option("--since", help="From this time on: 2026-01-31T12:00:00Z, or 10m.", metavar="TIME"),
    ] = None,
    until: Annotated[str | None, option("--until", help="Up to this time.", metavar="TIME")] = None,
    details: Annotated[
        bool, option("--details", help="Show the extra attributes of the log driver.")
    ] = False,
    network: Annotated[
        bool, option("--network", help="What --egress has refused or written down instead.")
    ] = False,
) -> int:
    """Show what a container has written."""
    return call(ctx)
