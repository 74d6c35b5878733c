"""`rl unshare`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import argument, call, declare, make_app

app = make_app()

EPILOG = (
    "As podman unshare: user 0 there is you, 1 and up are your subordinate IDs, so that files of "
    "containers and volumes can be seen with their owners, changed and deleted: rl unshare rm -r "
    "old. The store is in $RL_STORE, what containers have written in $RL_CONTAINERS/NAME/upper. "
    "Mounts made there are gone with the command."
)


@declare(app, "unshare", epilog=EPILOG, interspersed=False)
def unshare(
    ctx: typer.Context,
    command: Annotated[
        list[str] | None,
        argument("[COMMAND] [ARG...]", help="What to run there; your shell without."),
    ] = None,
) -> int:
    """Run a command of this machine with the IDs that containers have."""
    return call(ctx)
