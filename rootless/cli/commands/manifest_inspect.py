"""`rl manifest inspect`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

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
    """Show a manifest list or a manifest."""
    return call(ctx)
