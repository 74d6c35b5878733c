"""`rl secret create`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "secret create")
def secret_create(
    ctx: typer.Context,
    name: Annotated[str, argument("NAME", help="Its name.")],
    file: Annotated[
        str,
        argument(
            "FILE|-", help="What it holds: a file, or - for stdin.", complete=completion.files
        ),
    ],
    *,
    driver: Annotated[
        str, option("--driver", "-d", help="file is the only one.", metavar="DRIVER", default=True)
    ] = "file",
    env: Annotated[
        bool, option("--env", help="FILE is the name of a variable that holds it.")
    ] = False,
    label: Annotated[
        list[str] | None,
        option("--label", "-l", help="A label; repeatable.", metavar="KEY[=VALUE]"),
    ] = None,
    replace: Annotated[bool, option("--replace", help="Also where there is one.")] = False,
) -> int:
    """Keep a secret for containers.

    It is in a file of the store that only you can read, and in the memory of the containers that
    `rl run --secret NAME` gives it to.
    """
    return call(ctx)
