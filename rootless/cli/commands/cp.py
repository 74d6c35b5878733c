"""`rl cp`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()

EPILOG = (
    "A path with a colon is written ./like:this. SRC/. stands for what is in a directory; - is a "
    "tar archive on standard input or output."
)


@declare(app, "cp", epilog=EPILOG)
def cp(
    ctx: typer.Context,
    source: Annotated[
        str,
        argument(
            "CONTAINER:SRC|SRC|-", help="What to copy.", complete=completion.containers_and_files
        ),
    ],
    target: Annotated[
        str,
        argument(
            "CONTAINER:DEST|DEST|-", help="Where to.", complete=completion.containers_and_files
        ),
    ],
    *,
    archive: Annotated[
        bool, option("--archive", "-a", help="Keep the owners of the files.")
    ] = False,
    follow_link: Annotated[
        bool, option("--follow-link", "-L", help="Follow SRC if it is a symbolic link.")
    ] = False,
    quiet: Annotated[bool, option("--quiet", "-q", help="Do not say what was copied.")] = False,
) -> int:
    """Copy files between a container and the host."""
    return call(ctx)
