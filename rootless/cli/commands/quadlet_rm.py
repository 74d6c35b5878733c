"""`rl quadlet rm`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "quadlet rm")
def quadlet_rm(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        argument("NAME...", help="As web or web.container.", complete=completion.quadlets),
    ] = None,
    *,
    all: Annotated[bool, option("--all", "-a", help="All of them.")] = False,
    force: Annotated[bool, option("--force", "-f", help="Also where it runs: stop it.")] = False,
    ignore: Annotated[bool, option("--ignore", "-i", help="Also where there is none.")] = False,
) -> int:
    """Forget installed quadlets.

    The files that they were installed from stay, and so do volumes and images.
    """
    return call(ctx)
