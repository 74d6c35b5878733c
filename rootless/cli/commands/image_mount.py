"""`rl image mount`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app

app = make_app()

EPILOG = (
    "Only this command and its children see the mount, as after podman unshare: it needs no root, "
    "and ends with the command. The directory is the command's working directory and in $RL_MOUNT. "
    "The command is one of this machine, run as root of your user namespace. Copy files out with: "
    "rl image mount IMAGE cp -r etc/apt /tmp/apt"
)


@declare(app, "image mount", epilog=EPILOG, interspersed=False)
def image_mount(
    ctx: typer.Context,
    image: Annotated[str, argument("IMAGE", help="Which image.", complete=completion.images)],
    command: Annotated[
        list[str] | None,
        argument("[COMMAND] [ARG...]", help="What to run there; your shell without."),
    ] = None,
) -> int:
    """Run a command where the files of an image are mounted read-only."""
    return call(ctx)
