"""`rl system generate`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()

UNITS = "Other units"


@declare(app, "system generate")
def system_generate(
    ctx: typer.Context,
    kind: Annotated[str, argument("systemd", help="What is written: units of systemd.")],
    container: Annotated[
        str, argument("CONTAINER", help="Its name or ID.", complete=completion.containers)
    ],
    *,
    new: Annotated[
        bool, option("--new", help="Make the container anew at each start, as it was made.")
    ] = False,
    name: Annotated[
        bool, option("--name", "-n", help="Use the container's name, not its ID.")
    ] = False,
    files: Annotated[
        bool, option("--files", "-f", help="Write NAME.service here and print its path.")
    ] = False,
    format: Annotated[
        str | None, option("--format", help="json: an object of unit and text.", metavar="FORMAT")
    ] = None,
    restart_policy: Annotated[
        str, option("--restart-policy", help="systemd's Restart=.", metavar="POLICY", default=True)
    ] = "on-failure",
    restart_sec: Annotated[
        int | None, option("--restart-sec", help="systemd's RestartSec=.", metavar="SECONDS")
    ] = None,
    start_timeout: Annotated[
        int | None,
        option("--start-timeout", help="How long the start may take.", metavar="SECONDS"),
    ] = None,
    stop_timeout: Annotated[
        int | None,
        option(
            "--stop-timeout",
            "--time",
            "-t",
            help="How long the container has until it is killed.",
            metavar="SECONDS",
        ),
    ] = None,
    env: Annotated[
        list[str] | None,
        option("--env", "-e", help="A variable of the unit; repeatable.", metavar="NAME=VALUE"),
    ] = None,
    wants: Annotated[
        list[str] | None,
        option("--wants", help="A unit to start with it.", section=UNITS, metavar="UNIT"),
    ] = None,
    after: Annotated[
        list[str] | None,
        option("--after", help="A unit to wait for.", section=UNITS, metavar="UNIT"),
    ] = None,
    requires: Annotated[
        list[str] | None,
        option("--requires", help="A unit it can't do without.", section=UNITS, metavar="UNIT"),
    ] = None,
    container_prefix: Annotated[
        str,
        option(
            "--container-prefix", help="The unit's name begins so.", metavar="TEXT", default=True
        ),
    ] = "container",
    separator: Annotated[
        str,
        option(
            "--separator", help="Between the prefix and the name.", metavar="TEXT", default=True
        ),
    ] = "-",
    no_header: Annotated[bool, option("--no-header", help="No comment at the top.")] = False,
) -> int:
    """Write a unit of systemd for a container, which then starts, watches and stops it.

    Put it into ~/.config/systemd/user, and then: systemctl --user enable --now NAME. It starts at
    boot where your systemd does (rl system autostart tells). See also rl quadlet, which needs no
    container to begin with.
    """
    return call(ctx)
