"""`rl ps`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import call, declare, make_app, option

app = make_app()

EPILOG = (
    "Filters: id, name, label, status, exited, ancestor, before, since, volume, network, "
    "publish, expose, health. The fields of --format: .ID .Names .Image .Command .CreatedAt "
    ".RunningFor .State .Status .Ports .Size .Labels .Label .Mounts .LocalVolumes .Networks."
)


@declare(app, "ps", epilog=EPILOG)
def ps(
    ctx: typer.Context,
    *,
    all: Annotated[
        bool, option("--all", "-a", help="Show containers that do not run, too.")
    ] = False,
    quiet: Annotated[bool, option("--quiet", "-q", help="Print the IDs only.")] = False,
    filter: Annotated[
        list[str] | None,
        option(
            "--filter",
            "-f",
            help="Only those for which this holds; repeatable.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    format: Annotated[
        str | None,
        option("--format", help="A Go template, 'table …', or json.", metavar="FORMAT"),
    ] = None,
    last: Annotated[
        int, option("--last", "-n", help="The N newest, in any state.", metavar="N")
    ] = -1,
    latest: Annotated[bool, option("--latest", "-l", help="The newest, in any state.")] = False,
    no_trunc: Annotated[bool, option("--no-trunc", help="Cut nothing off.")] = False,
    size: Annotated[bool, option("--size", "-s", help="Show how much each has written.")] = False,
) -> int:
    """List containers."""
    return call(ctx)
