"""`rl network connect`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "network connect")
def network_connect(
    ctx: typer.Context,
    network: Annotated[
        str, argument("NETWORK", help="Its name or ID.", complete=completion.named_networks)
    ],
    container: Annotated[
        str, argument("CONTAINER", help="Its name or ID.", complete=completion.containers)
    ],
    *,
    alias: Annotated[
        list[str] | None,
        option("--alias", help="Another name on this network; repeatable.", metavar="NAME"),
    ] = None,
    ip: Annotated[str | None, option("--ip", help="Its IPv4 address there.", metavar="IP")] = None,
    ip6: Annotated[
        str | None, option("--ip6", help="Its IPv6 address there.", metavar="IP")
    ] = None,
    mac_address: Annotated[
        str | None,
        option("--mac-address", help="The hardware address of its device.", metavar="MAC"),
    ] = None,
) -> int:
    """Put a container on a network, too, while it runs or not."""
    return call(ctx)
