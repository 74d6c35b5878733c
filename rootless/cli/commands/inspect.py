"""`rl inspect`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "inspect")
def inspect(
    ctx: typer.Context,
    names: Annotated[
        list[str],
        argument(
            "NAME|ID [NAME|ID...]",
            help="Containers or images.",
            complete=completion.containers_and_images,
        ),
    ],
    *,
    format: Annotated[
        str | None,
        option("--format", "-f", help="A Go template, or json.", metavar="FORMAT"),
    ] = None,
    type: Annotated[
        str | None,
        option(
            "--type",
            help="Only a container, image, volume, network, or exec (an ID of ExecIDs).",
            metavar="TYPE",
        ),
    ] = None,
    platform: Annotated[
        str | None,
        option("--platform", help="Only an image that is made for this.", metavar="OS/ARCH"),
    ] = None,
    size: Annotated[
        bool, option("--size", "-s", help="Show how much a container has written.")
    ] = False,
) -> int:
    """Show everything about containers, images, volumes and networks."""
    return call(ctx)
