"""`rl volume create`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "volume create")
def volume_create(
    ctx: typer.Context,
    name: Annotated[str | None, argument("[NAME]", help="Its name; a random one without.")] = None,
    *,
    driver: Annotated[
        str, option("--driver", "-d", help="local is the only one.", metavar="DRIVER", default=True)
    ] = "local",
    label: Annotated[
        list[str] | None,
        option("--label", "-l", help="A label; repeatable.", metavar="KEY[=VALUE]"),
    ] = None,
    opt: Annotated[
        list[str] | None,
        option(
            "--opt",
            "-o",
            help="type=tmpfs, or o=bind with device=/DIRECTORY; repeatable.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    ignore: Annotated[
        bool, option("--ignore", help="Accepted: a volume that is there is no error anyway.")
    ] = False,
) -> int:
    """Make a volume."""
    return call(ctx)
