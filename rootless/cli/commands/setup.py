"""`rl setup`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()

EPILOG = (
    "Programs: slirp4netns, pasta, fuse-overlayfs, squashfuse_ll, catatonit. apt-get fetches them "
    "from this machine's own sources and checks their signatures; they are unpacked into "
    "~/.local/share/rl/helpers ($RL_HELPERS), and the host's own go before them. newuidmap works "
    "set-user-ID root only, so it is an administrator's."
)


@declare(app, "setup", epilog=EPILOG)
def setup(
    ctx: typer.Context,
    programs: Annotated[
        list[str] | None,
        argument("[PROGRAM...]", help="What to fetch, also anew; all that is missing without."),
    ] = None,
    *,
    list: Annotated[bool, option("--list", "-l", help="Show what is fetched and in use.")] = False,
    remove: Annotated[
        bool, option("--remove", help="Remove what was fetched: PROGRAM..., or all.")
    ] = False,
) -> int:
    """Fetch programs that this machine lacks, without root."""
    return call(ctx)
