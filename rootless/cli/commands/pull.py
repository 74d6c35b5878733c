"""`rl pull`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option
from rootless.cli.commands._options import TlsVerify

app = make_app()


@declare(app, "pull")
def pull(
    ctx: typer.Context,
    references: Annotated[
        list[str],
        argument("NAME[:TAG|@DIGEST]...", help="What to pull.", complete=completion.images),
    ],
    *,
    all_tags: Annotated[
        bool, option("--all-tags", "-a", help="Every tag of the repository.")
    ] = False,
    platform: Annotated[
        str | None,
        option("--platform", help="Which platform of an image for several.", metavar="OS/ARCH"),
    ] = None,
    quiet: Annotated[
        bool, option("--quiet", "-q", help="Print the image's name at the end only.")
    ] = False,
    require_signature: Annotated[
        list[str] | None,
        option(
            "--require-signature",
            help="Refuse an image that this public key has not signed; repeatable.",
            metavar="KEYFILE",
            complete=completion.files,
        ),
    ] = None,
    squash_ids: Annotated[
        bool,
        option("--squash-ids", help="Files of IDs that you do not have become root's."),
    ] = False,
    tls_verify: TlsVerify = True,
) -> int:
    """Get images from a registry."""
    return call(ctx)
