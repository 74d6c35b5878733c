"""`rl images`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()

EPILOG = (
    "Filters: dangling, label, label!, before, since, until, reference, readonly. "
    "The fields of --format: "
    ".ID .Repository .Tag .Digest .CreatedSince .CreatedAt .Size."
)


@declare(app, "images", epilog=EPILOG)
def images(
    ctx: typer.Context,
    reference: Annotated[
        str | None,
        argument("[REPOSITORY[:TAG]]", help="Only these.", complete=completion.images),
    ] = None,
    *,
    all: Annotated[
        bool, option("--all", "-a", help="Accepted as Docker does; every image is shown anyway.")
    ] = False,
    quiet: Annotated[bool, option("--quiet", "-q", help="Print the IDs only.")] = False,
    no_trunc: Annotated[bool, option("--no-trunc", help="Cut nothing off.")] = False,
    digests: Annotated[bool, option("--digests", help="Show the digests, too.")] = False,
    tree: Annotated[
        bool, option("--tree", help="Show platforms, sizes on disk, and what is used.")
    ] = False,
    filter: Annotated[
        list[str] | None,
        option(
            "--filter",
            "-f",
            help="Only those for which this holds; repeatable.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    format: Annotated[
        str | None,
        option("--format", help="A Go template, 'table …', or json.", metavar="FORMAT"),
    ] = None,
) -> int:
    """List images."""
    return call(ctx)
