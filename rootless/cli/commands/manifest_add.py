"""`rl manifest add`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option
from rootless.cli.commands._options import (
    Annotation,
    Arch,
    Features,
    Insecure,
    Os,
    OsFeatures,
    OsVersion,
    TlsVerify,
    Variant,
)

app = make_app()

EPILOG = (
    "An image is looked for in the store, then in the registry of its name; docker://NAME means "
    "the registry, containers-storage:NAME the store."
)


@declare(app, "manifest add", epilog=EPILOG)
def manifest_add(
    ctx: typer.Context,
    name: Annotated[
        str, argument("LIST", help="The manifest list.", complete=completion.manifest_lists)
    ],
    images: Annotated[
        list[str],
        argument(
            "IMAGE...",
            help="Images of the store, else of their registry.",
            complete=completion.images,
        ),
    ],
    *,
    all: Annotated[
        bool,
        option("--all", help="Of an image for several platforms all, not this host's alone."),
    ] = False,
    arch: Arch = None,
    os: Os = None,
    variant: Variant = None,
    os_version: OsVersion = None,
    os_features: OsFeatures = None,
    features: Features = None,
    annotation: Annotation = None,
    insecure: Insecure = False,
    tls_verify: TlsVerify = True,
) -> int:
    """Put images into a manifest list."""
    return call(ctx)
