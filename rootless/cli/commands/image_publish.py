"""`rl image publish`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app

app = make_app()


@declare(app, "image publish")
def image_publish(
    ctx: typer.Context,
    directory: Annotated[
        str,
        argument("DIR", help="The shared store; made if missing.", complete=completion.files),
    ],
    images: Annotated[
        list[str],
        argument("IMAGE...", help="By name, or by ID.", complete=completion.images),
    ],
) -> int:
    """Put images into a read-only store for other users.

    They set RL_IMAGE_STORES=DIR, and need neither a pull nor a copy: see docs/shared-stores.md.
    """
    return call(ctx)
