"""`rl manifest push`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option
from rootless.cli.commands._options import Insecure, TlsVerify

app = make_app()


@declare(app, "manifest push")
def manifest_push(
    ctx: typer.Context,
    name: Annotated[
        str, argument("LIST", help="The manifest list.", complete=completion.manifest_lists)
    ],
    destination: Annotated[
        str | None, argument("[DESTINATION]", help="Where to, if not where its name says.")
    ] = None,
    *,
    all: Annotated[
        bool, option("--all", help="Accepted as podman does; the members are sent anyway.")
    ] = False,
    purge: Annotated[
        bool, option("--purge", "-p", "--rm", help="Forget the list when it is there.")
    ] = False,
    format: Annotated[
        str | None,
        option("--format", "-f", help="The kind of index; what fits without.", metavar="oci|v2s2"),
    ] = None,
    compression: Annotated[
        str | None,
        option(
            "--compression",
            "--compression-format",
            help="Compress the layers so.",
            metavar="gzip|zstd[:LEVEL]",
        ),
    ] = None,
    digestfile: Annotated[
        str | None,
        option(
            "--digestfile",
            help="Write the digest of the index there.",
            metavar="FILE",
            complete=completion.files,
        ),
    ] = None,
    quiet: Annotated[
        bool, option("--quiet", "-q", help="Print the digest at the end only.")
    ] = False,
    insecure: Insecure = False,
    tls_verify: TlsVerify = True,
) -> int:
    """Send a manifest list and its images to a registry."""
    return call(ctx)
