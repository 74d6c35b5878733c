"""`rl import`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "import")
def import_image(
    ctx: typer.Context,
    source: Annotated[
        str,
        argument(
            "FILE|URL|-",
            help="A tar archive, plain or compressed; - for standard input.",
            complete=completion.files,
        ),
    ],
    reference: Annotated[
        str | None, argument("[NAME[:TAG]]", help="What the image is to be called.")
    ] = None,
    *,
    change: Annotated[
        list[str] | None,
        option(
            "--change",
            "-c",
            help="An instruction as in a Dockerfile: 'CMD [\"sh\"]'; repeatable.",
            metavar="INSTRUCTION",
        ),
    ] = None,
    message: Annotated[
        str | None,
        option("--message", "-m", help="A comment for the image's history.", metavar="TEXT"),
    ] = None,
    platform: Annotated[
        str | None,
        option("--platform", help="What the programs in it are for.", metavar="OS/ARCH"),
    ] = None,
    squash_ids: Annotated[
        bool,
        option("--squash-ids", help="Files of IDs that you do not have become root's."),
    ] = False,
) -> int:
    """Make an image of a root file system in a tar archive, and print its ID."""
    return call(ctx)
