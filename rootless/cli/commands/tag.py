"""`rl tag`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app

app = make_app()


@declare(app, "tag")
def tag(
    ctx: typer.Context,
    source: Annotated[
        str,
        argument(
            "SOURCE_IMAGE[:TAG]", help="The image, by name or ID.", complete=completion.images
        ),
    ],
    targets: Annotated[
        list[str],
        argument("TARGET_IMAGE[:TAG]...", help="Its new names.", complete=completion.images),
    ],
) -> int:
    """Give an image more names.

    A name that another image has goes over to this one.
    """
    return call(ctx)
