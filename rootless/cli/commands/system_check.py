"""`rl system check`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import call, declare, make_app, option

app = make_app()

EPILOG = (
    "The status is 1 as long as something is wrong. --repair unpacks damaged layers again from "
    "their blobs, takes out what cannot be put right without a registry and says what to pull; it "
    "never removes a container."
)


@declare(app, "system check", epilog=EPILOG)
def system_check(
    ctx: typer.Context,
    *,
    quick: Annotated[
        bool,
        option("--quick", "-q", help="Look at records and links only: do not read blobs or files."),
    ] = False,
    repair: Annotated[
        bool, option("--repair", "-r", help="Put right what can be put right.")
    ] = False,
) -> int:
    """Compare the store with its digests."""
    return call(ctx)
