"""`rl image diff`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()

EPILOG = (
    "A is added, C changed, D deleted, from the first image to the second. Content, type, mode and "
    "owner count, times do not. The fields of --format: .Kind .Path .Size .OldSize .Delta."
)


@declare(app, "image diff", epilog=EPILOG)
def image_diff(
    ctx: typer.Context,
    image: Annotated[str, argument("IMAGE", help="Which image.", complete=completion.images)],
    other: Annotated[
        str | None,
        argument(
            "[OTHER]",
            help="What it is compared with; else the image below its last layer.",
            complete=completion.images,
        ),
    ] = None,
    *,
    format: Annotated[
        str | None,
        option("--format", help="A Go template, 'table …', or json.", metavar="FORMAT"),
    ] = None,
    quiet: Annotated[bool, option("--quiet", "-q", help="Print the totals only.")] = False,
) -> int:
    """Show which files differ between two images."""
    return call(ctx)
