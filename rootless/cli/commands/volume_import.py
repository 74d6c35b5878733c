"""`rl volume import`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "volume import")
def volume_import(
    ctx: typer.Context,
    name: Annotated[
        str, argument("VOLUME", help="Its name; made if missing.", complete=completion.volumes)
    ],
    source: Annotated[
        str | None,
        argument(
            "[FILE|-]", help="A tar archive; standard input without.", complete=completion.files
        ),
    ] = None,
    *,
    squash_ids: Annotated[
        bool, option("--squash-ids", help="Files of IDs that you do not have become root's.")
    ] = False,
) -> int:
    """Put the files of a tar archive into a volume."""
    return call(ctx)
