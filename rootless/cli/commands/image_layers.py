"""`rl image layers`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()

EPILOG = (
    "The fields of --format: .ID .Number .Size .Files .Directories .Removed .Stored .Digest "
    ".SharedBy .CreatedBy."
)


@declare(app, "image layers", epilog=EPILOG)
def image_layers(
    ctx: typer.Context,
    image: Annotated[str, argument("IMAGE", help="Which image.", complete=completion.images)],
    *,
    format: Annotated[
        str | None,
        option("--format", help="A Go template, 'table …', or json.", metavar="FORMAT"),
    ] = None,
    no_trunc: Annotated[bool, option("--no-trunc", help="Cut nothing off.")] = False,
    quiet: Annotated[bool, option("--quiet", "-q", help="Print the diffIDs only.")] = False,
) -> int:
    """Show what each layer of an image adds, the biggest first."""
    return call(ctx)
