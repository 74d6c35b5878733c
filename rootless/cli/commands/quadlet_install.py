"""`rl quadlet install`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "quadlet install")
def quadlet_install(
    ctx: typer.Context,
    files: Annotated[
        list[str],
        argument(
            "FILE|DIR...",
            help="NAME.container, .volume, .network, .image and .build files.",
            complete=completion.files,
        ),
    ],
    *,
    replace: Annotated[
        bool, option("--replace", "-r", help="Also where one of that name is installed.")
    ] = False,
) -> int:
    """Install containers described in files, as units of systemd are.

    All or none. Drop-ins (NAME.container.d/*.conf) beside them come along; relative paths in them
    begin where they are. Where your own systemd runs, each becomes a unit of it, and those with an
    [Install] section start with it.
    """
    return call(ctx)
