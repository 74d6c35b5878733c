"""`rl bootstrap`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


def _kinds(incomplete: str) -> list[str]:
    return [kind for kind in ("busybox", "debian", "ubuntu") if kind.startswith(incomplete)]


@declare(app, "bootstrap")
def bootstrap(
    ctx: typer.Context,
    kind: Annotated[
        str,
        argument("busybox|debian[:SUITE]|ubuntu[:SUITE]", help="What to make.", complete=_kinds),
    ],
    *,
    include: Annotated[
        list[str] | None,
        option("--include", help="Packages to install, too; repeatable.", metavar="PACKAGE,…"),
    ] = None,
    mirror: Annotated[
        str | None,
        option("--mirror", help="Where the packages are; else as this host's apt.", metavar="URL"),
    ] = None,
    variant: Annotated[
        str | None,
        option("--variant", help="mmdebstrap's variant (minbase).", metavar="NAME"),
    ] = None,
    tag: Annotated[
        str | None,
        option("--tag", "--name", "-t", help="What the image is to be called.", metavar="NAME"),
    ] = None,
) -> int:
    """Make a base image on this machine, without a registry and without root."""
    return call(ctx)
