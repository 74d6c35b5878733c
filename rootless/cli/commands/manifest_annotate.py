"""`rl manifest annotate`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option
from rootless.cli.commands._options import (
    Annotation,
    Arch,
    Features,
    Os,
    OsFeatures,
    OsVersion,
    Variant,
)

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
    arch: Arch = None,
    os: Os = None,
    variant: Variant = None,
    os_version: OsVersion = None,
    os_features: OsFeatures = None,
    features: Features = None,
    annotation: Annotation = None,
) -> int:
    """Say what a member is made for."""
    return call(ctx)
