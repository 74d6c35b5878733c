"""`rl push`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option
from rootless.cli.commands._options import TlsVerify

app = make_app()


@declare(app, "push")
def push(
    ctx: typer.Context,
    name: Annotated[
        str,
        argument(
            "NAME[:TAG]", help="The image; its name says where to.", complete=completion.images
        ),
    ],
    *,
    all_tags: Annotated[
        bool, option("--all-tags", "-a", help="All tags of the repository that are here.")
    ] = False,
    quiet: Annotated[
        bool, option("--quiet", "-q", help="Print the image's name at the end only.")
    ] = False,
    compression: Annotated[
        str | None,
        option(
            "--compression",
            help="Compress all layers so; they are sent as they are stored otherwise.",
            metavar="gzip|zstd[:LEVEL]",
        ),
    ] = None,
    digestfile: Annotated[
        str | None,
        option(
            "--digestfile",
            help="Write the digest of the manifest there.",
            metavar="FILE",
            complete=completion.files,
        ),
    ] = None,
    platform: Annotated[
        str | None,
        option("--platform", help="Only if the image is made for this.", metavar="OS/ARCH"),
    ] = None,
    tls_verify: TlsVerify = True,
) -> int:
    """Send an image to a registry."""
    return call(ctx)
