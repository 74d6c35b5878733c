"""`rl save`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()

EPILOG = (
    "Formats: docker-archive (default; an OCI layout with Docker's manifest.json, that docker, "
    "podman and skopeo load), oci-archive, and the same as directories: docker-dir, oci-dir."
)


@declare(app, "save", epilog=EPILOG)
def save(
    ctx: typer.Context,
    images: Annotated[
        list[str],
        argument("IMAGE...", help="By name, or by ID without a name.", complete=completion.images),
    ],
    *,
    output: Annotated[
        str | None,
        option(
            "--output",
            "-o",
            help="Where to write; standard output without.",
            metavar="FILE",
            complete=completion.files,
        ),
    ] = None,
    format: Annotated[
        str | None,
        option("--format", help="What to write, see below.", metavar="FORMAT"),
    ] = None,
    platform: Annotated[
        str | None,
        option("--platform", help="Only images that are made for this.", metavar="OS/ARCH"),
    ] = None,
    quiet: Annotated[
        bool, option("--quiet", "-q", help="Accepted as podman does; nothing is shown anyway.")
    ] = False,
) -> int:
    """Write images into an archive."""
    return call(ctx)
