"""`rl load`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import call, declare, make_app, option

app = make_app()


@declare(app, "load")
def load(
    ctx: typer.Context,
    *,
    input: Annotated[
        str | None,
        option(
            "--input",
            "-i",
            help="An archive, compressed or not, or the directory of an OCI layout; standard "
            "input without.",
            metavar="FILE",
            complete=completion.files,
        ),
    ] = None,
    quiet: Annotated[
        bool, option("--quiet", "-q", help="Accepted as Docker does; no progress is shown anyway.")
    ] = False,
    platform: Annotated[
        str | None,
        option("--platform", help="Only images that are made for this.", metavar="OS/ARCH"),
    ] = None,
    squash_ids: Annotated[
        bool,
        option("--squash-ids", help="Files of IDs that you do not have become root's."),
    ] = False,
) -> int:
    """Get images from an archive that docker, podman, skopeo or rl has saved."""
    return call(ctx)
