"""`rl system autostart`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import argument, call, declare, make_app

app = make_app()


@declare(app, "system autostart")
def system_autostart(
    ctx: typer.Context,
    action: Annotated[
        str,
        argument(
            "[enable|disable|status|start|stop]",
            help="Status is what it does without a word.",
        ),
    ] = "status",
) -> int:
    """Start at boot what --restart promises, with always and unless-stopped.

    enable makes a unit of your own systemd that does it, and asks for a systemd that starts at
    boot and outlives your sessions (linger). status says what is missing: the exit status is 0
    when nothing is. start and stop are what the unit runs; a crontab can, too. A container of
    unless-stopped that was stopped stays down.
    """
    return call(ctx)
