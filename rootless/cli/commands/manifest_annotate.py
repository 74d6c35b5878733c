"""`rl manifest annotate`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "manifest annotate")
def manifest_annotate(
    ctx: typer.Context,
    name: Annotated[
        str, argument("LIST", help="The manifest list.", complete=completion.manifest_lists)
    ],
    image: Annotated[
        str | None, argument("[IMAGE]", help="Which member: its name, or its digest.")
    ] = None,
    *,
    index: Annotated[bool, option("--index", help="Annotate the list itself.")] = False,
    arch: Annotated[
        str | None, option("--arch", help="Its architecture: amd64, arm64.", metavar="ARCH")
    ] = None,
    os: Annotated[
        str | None, option("--os", help="Its operating system: linux.", metavar="OS")
    ] = None,
    variant: Annotated[
        str | None, option("--variant", help="Its variant: v7, v8.", metavar="VARIANT")
    ] = None,
    os_version: Annotated[
        str | None,
        option("--os-version", help="The version of its operating system.", metavar="VERSION"),
    ] = None,
    os_features: Annotated[
        list[str] | None,
        option("--os-features", help="What it needs of that; repeatable.", metavar="FEATURE"),
    ] = None,
    features: Annotated[
        list[str] | None,
        option("--features", help="What it needs of the processor.", metavar="FEATURE"),
    ] = None,
    annotation: Annotated[
        list[str] | None,
        option("--annotation", help="An annotation; repeatable.", metavar="KEY=VALUE"),
    ] = None,
) -> int:
    """Say what a member is made for."""
    return call(ctx)
