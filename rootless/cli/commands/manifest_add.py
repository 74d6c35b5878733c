"""`rl manifest add`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

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
    insecure: Annotated[
        bool, option("--insecure", help="Allow a registry without TLS, as Docker calls it.")
    ] = False,
    tls_verify: Annotated[
        bool,
        option(
            "--tls-verify/--no-tls-verify",
            help="Insist on TLS and a valid certificate.",
            default=True,
        ),
    ] = True,
) -> int:
    """Put images into a manifest list."""
    return call(ctx)
