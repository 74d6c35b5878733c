"""`rl attach`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "attach")
def attach(
    ctx: typer.Context,
    container: Annotated[
        str, argument("CONTAINER", help="Its name or ID.", complete=completion.running_containers)
    ],
    *,
    detach_keys: Annotated[
        str | None,
        option(
            "--detach-keys",
            help="The keys that leave the container running (ctrl-p,ctrl-q).",
            metavar="KEYS",
        ),
    ] = None,
    no_stdin: Annotated[bool, option("--no-stdin", help="Don't pass standard input.")] = False,
    sig_proxy: Annotated[
        bool, option("--sig-proxy/--no-sig-proxy", help="Pass signals on to the process.")
    ] = True,
) -> int:
    """Attach to a running container: see its output, give it input.

    Several can be attached at once. The exit status is the container's.
    """
    return call(ctx)
