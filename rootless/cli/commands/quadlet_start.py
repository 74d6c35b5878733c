"""`rl quadlet start`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "quadlet start")
def quadlet_start(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        argument(
            "NAME...",
            help="As web, web.container, or web@1 of a template.",
            complete=completion.quadlets,
        ),
    ] = None,
    *,
    all: Annotated[bool, option("--all", "-a", help="All containers.")] = False,
) -> int:
    """Start quadlets, and first what they need.

    Your own systemd does it where it runs. Else rl does: volumes, images and builds first, then
    containers, with the restart policy that [Service] Restart= names.
    """
    return call(ctx)
