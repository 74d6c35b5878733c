"""Networks, ports and names."""

from typing import Annotated

from rootless.cli import completion
from rootless.cli.commands._base import option

SECTION = "Network"

Network = Annotated[
    list[str] | None,
    option(
        "--network",
        "--net",
        help="A network with a name, repeatable; or bridge, private, netstack, slirp4netns, "
        "pasta, host, none, container:ID, ns:PATH.",
        section=SECTION,
        metavar="NETWORK",
        complete=completion.networks,
    ),
]

Egress = Annotated[
    list[str] | None,
    option(
        "--egress",
        help="What it may reach outside: none, all, allow=RULE,..., lan-off; log writes it down.",
        section=SECTION,
        metavar="POLICY",
    ),
]

NetworkAlias = Annotated[
    list[str] | None,
    option(
        "--network-alias",
        "--net-alias",
        help="Another name on its networks; repeatable.",
        section=SECTION,
        metavar="NAME",
    ),
]

Ip = Annotated[
    str | None,
    option("--ip", help="Its IPv4 address on its network.", section=SECTION, metavar="IP"),
]

Ip6 = Annotated[
    str | None,
    option("--ip6", help="Its IPv6 address on its network.", section=SECTION, metavar="IP"),
]

MacAddress = Annotated[
    str | None,
    option(
        "--mac-address",
        help="The hardware address of its device.",
        section=SECTION,
        metavar="MAC",
    ),
]

PublishAll = Annotated[
    bool,
    option(
        "--publish-all",
        "-P",
        help="Publish every exposed port on a free one of the host.",
        section=SECTION,
    ),
]

PublishPrivate = Annotated[
    list[str] | None,
    option(
        "--publish-private",
        help="As --publish, on the host's loopback, for connections of your own user alone.",
        section=SECTION,
        metavar="[HOST:]PORT",
    ),
]

PortFallback = Annotated[
    bool,
    option(
        "--port-fallback",
        help="Take another port of the host for one that is privileged, and say so.",
        section=SECTION,
    ),
]

Expose = Annotated[
    list[str] | None,
    option(
        "--expose",
        help="Expose a port, for --publish-all; repeatable.",
        section=SECTION,
        metavar="PORT[/PROTO]",
    ),
]

Hostname = Annotated[
    str | None,
    option("--hostname", "-h", help="Its host name.", section=SECTION, metavar="NAME"),
]

Domainname = Annotated[
    str | None, option("--domainname", help="Its NIS domain.", section=SECTION, metavar="NAME")
]

AddHost = Annotated[
    list[str] | None,
    option(
        "--add-host",
        help="A line for /etc/hosts; repeatable.",
        section=SECTION,
        metavar="NAME:IP",
    ),
]

Dns = Annotated[
    list[str] | None,
    option("--dns", help="A name server; repeatable.", section=SECTION, metavar="IP"),
]

DnsSearch = Annotated[
    list[str] | None,
    option(
        "--dns-search",
        help="A domain to search names in; repeatable.",
        section=SECTION,
        metavar="DOMAIN",
    ),
]

DnsOption = Annotated[
    list[str] | None,
    option(
        "--dns-option",
        "--dns-opt",
        help="An option of the resolver; repeatable.",
        section=SECTION,
        metavar="OPTION",
    ),
]
