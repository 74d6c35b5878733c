"""`rl events`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import call, declare, make_app, option

app = make_app()


@declare(app, "events")
def events(
    ctx: typer.Context,
    *,
    filter: Annotated[
        list[str] | None,
        option(
            "--filter",
            "-f",
            metavar="KEY=VALUE",
            help="Only those with: container, event, image, label, network, scope, type, volume.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        option(
            "--since",
            help="With those from this time on: 2026-01-31T12:00:00Z, or 10m.",
            metavar="TIME",
        ),
    ] = None,
    until: Annotated[
        str | None, option("--until", help="End at this time.", metavar="TIME")
    ] = None,
    format: Annotated[
        str | None, option("--format", help="json, or a Go template.", metavar="FORMAT")
    ] = None,
) -> int:
    """Show what happens to containers, images and volumes."""
    return call(ctx)
