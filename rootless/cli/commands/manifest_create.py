"""`rl manifest create`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option
from rootless.cli.commands._options import Insecure, TlsVerify

app = make_app()

EPILOG = (
    "An image is looked for in the store, then in the registry of its name; docker://NAME means "
    "the registry, containers-storage:NAME the store."
)


@declare(app, "manifest create", epilog=EPILOG)
def manifest_create(
    ctx: typer.Context,
    name: Annotated[str, argument("LIST", help="What the list is to be called.")],
    images: Annotated[
        list[str] | None,
        argument(
            "[IMAGE...]",
            help="Images of the store, else of their registry.",
            complete=completion.images,
        ),
    ] = None,
    *,
    amend: Annotated[
        bool, option("--amend", "-a", help="Add to the list if there is one already.")
    ] = False,
    all: Annotated[
        bool,
        option("--all", help="Of an image for several platforms all, not this host's alone."),
    ] = False,
    annotation: Annotated[
        list[str] | None,
        option("--annotation", help="An annotation of the index.", metavar="KEY=VALUE"),
    ] = None,
    insecure: Insecure = False,
    tls_verify: TlsVerify = True,
) -> int:
    """Begin an image for several platforms."""
    return call(ctx)
