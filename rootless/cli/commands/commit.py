"""`rl commit`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "commit")
def commit(
    ctx: typer.Context,
    container: Annotated[
        str, argument("CONTAINER", help="Its name or ID.", complete=completion.containers)
    ],
    reference: Annotated[
        str | None, argument("[NAME[:TAG]]", help="The image's name.", complete=completion.images)
    ] = None,
    *,
    author: Annotated[
        str | None, option("--author", "-a", help="Who has made it.", metavar="TEXT")
    ] = None,
    change: Annotated[
        list[str] | None,
        option(
            "--change",
            "-c",
            help="A Dockerfile instruction for the image's config; repeatable.",
            metavar="INSTRUCTION",
        ),
    ] = None,
    message: Annotated[
        str | None, option("--message", "-m", help="What was done.", metavar="TEXT")
    ] = None,
    pause: Annotated[
        bool,
        option("--pause/--no-pause", "-p", help="Pause the container meanwhile.", default=True),
    ] = True,
    squash: Annotated[
        bool, option("--squash", "-s", help="Put all layers into one, the image's too.")
    ] = False,
    iidfile: Annotated[
        str | None, option("--iidfile", help="Write the image's ID here.", metavar="FILE")
    ] = None,
    quiet: Annotated[
        bool, option("--quiet", "-q", help="Accepted: there is no progress to hide.")
    ] = False,
) -> int:
    """Make an image of what a container has changed."""
    return call(ctx)
