"""`rl quadlet stop`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "quadlet stop")
def quadlet_stop(
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
    """Stop quadlets, and the containers that require them.

    The container is removed; its volumes with a name stay.
    """
    return call(ctx)
