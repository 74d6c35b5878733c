"""`rl network create`: the declaration."""

from typing import Annotated

import typer

from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()

EPILOG = (
    "Options of -o: mtu=NUMBER, isolate=false (other networks with it are reached, too), "
    "enable_icc=false (its containers do not reach each other), enable_ip_masquerade=false."
)


@declare(app, "network create", epilog=EPILOG)
def network_create(
    ctx: typer.Context,
    name: Annotated[str, argument("NETWORK", help="Its name.")],
    *,
    driver: Annotated[
        str,
        option("--driver", "-d", help="bridge is the only one.", metavar="DRIVER", default=True),
    ] = "bridge",
    subnet: Annotated[
        list[str] | None,
        option("--subnet", help="Its addresses; one of each family.", metavar="CIDR"),
    ] = None,
    gateway: Annotated[
        list[str] | None,
        option("--gateway", help="Its gateway; the first address without.", metavar="IP"),
    ] = None,
    ip_range: Annotated[
        list[str] | None,
        option("--ip-range", help="The part that containers get theirs from.", metavar="CIDR"),
    ] = None,
    aux_address: Annotated[
        list[str] | None,
        option("--aux-address", help="An address that no container gets.", metavar="NAME=IP"),
    ] = None,
    internal: Annotated[
        bool, option("--internal", help="Nothing outside of it can be reached.")
    ] = False,
    ipv4: Annotated[bool, option("--ipv4/--no-ipv4", help="IPv4 addresses (the default).")] = True,
    ipv6: Annotated[bool, option("--ipv6", help="IPv6 addresses, too.")] = False,
    disable_dns: Annotated[
        bool, option("--disable-dns", help="No names: the host's resolvers are asked.")
    ] = False,
    egress: Annotated[
        list[str] | None,
        option(
            "--egress",
            help="What its containers may reach outside: none, all, allow=RULE,..., lan-off, log.",
            metavar="POLICY",
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        option("--label", help="A label; repeatable.", metavar="KEY[=VALUE]"),
    ] = None,
    opt: Annotated[
        list[str] | None,
        option("--opt", "-o", help="An option of the bridge; repeatable.", metavar="KEY=VALUE"),
    ] = None,
    ipam_driver: Annotated[
        str, option("--ipam-driver", help="default is the only one.", metavar="DRIVER")
    ] = "default",
    attachable: Annotated[bool, option("--attachable", help="Accepted: every network is.")] = False,
    ignore: Annotated[
        bool, option("--ignore", help="One that is there already is no error.")
    ] = False,
) -> int:
    """Make a network with a name, on which containers find each other."""
    return call(ctx)
