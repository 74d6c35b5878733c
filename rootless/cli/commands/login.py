"""`rl login`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option
from rootless.cli.commands._options import TlsVerify

app = make_app()


@declare(app, "login")
def login(
    ctx: typer.Context,
    server: Annotated[
        str | None,
        argument(
            "[SERVER]",
            help="HOST[:PORT] of the registry; Docker Hub without.",
            complete=completion.registries,
        ),
    ] = None,
    *,
    username: Annotated[
        str | None, option("--username", "-u", help="Who you are there.", metavar="NAME")
    ] = None,
    password: Annotated[
        str | None,
        option(
            "--password",
            "-p",
            help="The password or token. Others see it in the list of processes.",
            metavar="TEXT",
        ),
    ] = None,
    password_stdin: Annotated[
        bool, option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    tls_verify: TlsVerify = True,
) -> int:
    """Log in to a registry, and keep the credentials as Docker does.

    What is not given is asked for.
    """
    return call(ctx)
