"""`rl history`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()

EPILOG = "The fields of --format: .ID .CreatedAt .CreatedSince .CreatedBy .Size .Comment."


@declare(app, "history", epilog=EPILOG)
def history(
    ctx: typer.Context,
    image: Annotated[
        str, argument("IMAGE", help="The image, by name or ID.", complete=completion.images)
    ],
    *,
    format: Annotated[
        str | None,
        option("--format", help="A Go template, 'table …', or json.", metavar="FORMAT"),
    ] = None,
    human: Annotated[
        bool,
        option(
            "--human/--no-human", "-H", help="Sizes and times for people to read.", default=True
        ),
    ] = True,
    no_trunc: Annotated[bool, option("--no-trunc", help="Cut nothing off.")] = False,
    quiet: Annotated[bool, option("--quiet", "-q", help="Print the IDs only.")] = False,
    platform: Annotated[
        str | None,
        option("--platform", help="Only if the image is made for this.", metavar="OS/ARCH"),
    ] = None,
) -> int:
    """Show what an image was made of, the newest step first."""
    return call(ctx)
