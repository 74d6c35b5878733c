"""`rl search`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import argument, call, declare, make_app, option
from rootless.cli.commands._options import TlsVerify

app = make_app()

EPILOG = (
    "Filters: stars=N, is-official=true|false, is-automated=true|false. The fields of --format: "
    ".Name .Description .StarCount .IsOfficial .IsAutomated; with --list-tags: .Name .Tag."
)


@declare(app, "search", epilog=EPILOG)
def search(
    ctx: typer.Context,
    term: Annotated[
        str, argument("[REGISTRY/]TERM", help="What to look for, on Docker Hub or that registry.")
    ],
    *,
    filter: Annotated[
        list[str] | None,
        option("--filter", "-f", help="Only what this holds for; repeatable.", metavar="KEY=VALUE"),
    ] = None,
    limit: Annotated[
        int | None, option("--limit", help="At most so many, 1 to 100.", metavar="N")
    ] = None,
    list_tags: Annotated[
        bool, option("--list-tags", help="List the tags of the repository.")
    ] = False,
    format: Annotated[
        str | None,
        option("--format", help="A Go template, 'table …', or json.", metavar="FORMAT"),
    ] = None,
    no_trunc: Annotated[bool, option("--no-trunc", help="Cut nothing off.")] = False,
    tls_verify: TlsVerify = True,
) -> int:
    """Look for images in a registry."""
    return call(ctx)
