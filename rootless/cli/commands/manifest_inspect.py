"""`rl manifest inspect`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option
from rootless.cli.commands._options import Insecure, TlsVerify

app = make_app()


@declare(app, "manifest inspect")
def manifest_inspect(
    ctx: typer.Context,
    name: Annotated[
        str,
        argument(
            "NAME",
            help="A list of the store, else an image in its registry.",
            complete=completion.manifest_lists,
        ),
    ],
    image: Annotated[str | None, argument("[IMAGE]", help="Which member of the list.")] = None,
    *,
    verbose: Annotated[
        bool, option("--verbose", "-v", help="With the manifests that are listed.")
    ] = False,
    insecure: Insecure = False,
    tls_verify: TlsVerify = True,
) -> int:
    """Show a manifest list or a manifest."""
    return call(ctx)
