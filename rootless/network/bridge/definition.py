"""A new network with a name: what was asked for, checked, and its addresses chosen."""

import ipaddress
import os

from rootless import ids
from rootless.errors import NetworkError, UsageError
from rootless.network.bridge import settings
from rootless.store import atomic, containers, events, networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from rootless.paths import Paths

    Document = dict[str, Any]
    Net = ipaddress.IPv4Network | ipaddress.IPv6Network

PREDEFINED = ("bridge", "default", "host", "none", "private")
# What --network takes for a driver, or a form of its own.
_RESERVED = (*PREDEFINED, "container", "netstack", "ns", "pasta", "slirp4netns")
# As podman's, and its bridge's: beside Docker's, which a host may have, too.
_POOL = ("10.89.0.0/16", "10.90.0.0/15", "10.92.0.0/14", "10.96.0.0/11", "172.29.0.0/16")
_DEFAULT_BRIDGE = "10.88.0.0/16"
_OUTSIDE = "10.0.2.0/24"  # between the bridges and the host: slirp4netns's and netstack's
_NEVER = ("127.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "0.0.0.0/8", "::/127", "ff00::/8",
          "fe80::/10", "::ffff:0:0/96")  # fmt: skip
_PREFIX_MAX = {4: 30, 6: 126}  # room for the gateway and one container
_PREFIX_MIN = {4: 8, 6: 16}


def check_name(name: str) -> None:
    """Raises UsageError for a name that no network may have."""
    if name in _RESERVED:
        raise UsageError(
            f"a network cannot be called {name}: the word has a meaning for --network",
            remedy="choose another name",
        )
    if not ids.is_name(name):
        raise UsageError(
            f'invalid name of a network: "{name}"',
            remedy="two or more letters, digits, _, . and -, beginning with a letter or digit",
        )


def create(paths: "Paths", asked: "Document", *, ignore: bool = False) -> "Document":
    """Make the network of `asked`, which check() or default_bridge() gave; its document.

    Raises NetworkError RL-NETWORK-EXISTS (unless `ignore`), RL-NETWORK-SUBNET.
    """
    with networks.lock(paths, shared=False):
        there = networks.read(paths, asked["name"])
        if there is not None:
            if ignore:
                return there
            raise NetworkError(
                f"the network {asked['name']} exists already",
                remedy="choose another name, or remove it first: rl network rm",
                code="RL-NETWORK-EXISTS",
            )
        others = [
            ipaddress.ip_network(one["subnet"])
            for network in networks.list_all(paths)
            for one in network["subnets"]
        ]
        document = asked | {
            "id": ids.new_container_id(),
            "created": containers.now(),
            "driver": "bridge",
            "subnets": _complete(asked, others),
        }
        atomic.write_json(paths.network(document["name"]), document)
    events.record(
        paths, "network", "create", document["id"], {"name": document["name"], "type": "bridge"}
    )
    return document


def default_bridge(paths: "Paths") -> "Document":
    """The network of --network bridge, made when it is first used."""
    there = networks.read(paths, "bridge")
    if there is not None:
        return there
    asked: Document = {
        "name": "bridge", "internal": False, "ipv4": True, "ipv6": False, "dns": True,
        "labels": {}, "options": {}, "subnets": [],
    }  # fmt: skip
    return create(paths, asked, ignore=True)


def check(
    name: str,
    *,
    subnets: "Sequence[str]",
    gateways: "Sequence[str]",
    ranges: "Sequence[str]",
    aux: "Sequence[str]",
    flags: "dict[str, bool]",
    labels: "dict[str, str]",
    options: "Sequence[str]",
) -> "Document":
    """What create() takes, of Docker's options.  `flags`: internal, ipv4, ipv6, dns.

    Raises UsageError.
    """
    check_name(name)
    rows: list[Document] = []
    for text in subnets:
        rows.append({"subnet": str(_network(text)), "gateway": "", "ip_range": "", "aux": {}})
    for text in ranges:
        wanted = _network(text, "--ip-range")
        row = _row_of(rows, wanted.network_address, f"--ip-range {text}")
        if wanted.prefixlen < ipaddress.ip_network(row["subnet"]).prefixlen or row["ip_range"]:
            raise UsageError(
                f"--ip-range {text} does not fit its subnet {row['subnet']}",
                remedy="give one part of each subnet",
            )
        row["ip_range"] = str(wanted)
    for text in gateways:
        row = _row_of(rows, _address(text, "--gateway"), f"--gateway {text}")
        if row["gateway"]:
            raise UsageError(f"two gateways for the subnet {row['subnet']}", remedy="give one")
        row["gateway"] = str(_address(text, "--gateway"))
    for text in aux:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"invalid --aux-address {text}", remedy="write NAME=ADDRESS")
        address = _address(value, "--aux-address")
        _row_of(rows, address, f"--aux-address {text}")["aux"][key] = str(address)
    _check_families(rows, flags)
    given = settings.parse(options)
    settings.of(given, ipv6=flags["ipv6"])
    return {"name": name, **flags, "labels": labels, "options": given, "subnets": rows}


def _check_families(rows: "list[Document]", flags: "dict[str, bool]") -> None:
    versions = [ipaddress.ip_network(row["subnet"]).version for row in rows]
    for version in (4, 6):
        if versions.count(version) > 1:
            raise UsageError(
                f"several IPv{version} subnets for one network",
                remedy="give one of each family, or make several networks",
            )
    if 6 in versions:
        flags["ipv6"] = True
    if 4 in versions and not flags["ipv4"]:
        raise UsageError("an IPv4 subnet with --ipv4=false", remedy="leave one of them out")
    if not flags["ipv4"] and not flags["ipv6"]:
        raise UsageError("a network without IPv4 and IPv6", remedy="add --ipv6")


def _complete(asked: "Document", others: "list[Net]") -> "list[Document]":
    """The subnets of a new network: those that were asked for, checked, and what is missing."""
    rows: list[Document] = [dict(row) for row in asked["subnets"]]
    versions = {ipaddress.ip_network(row["subnet"]).version for row in rows}
    for row in rows:
        _refuse_overlap(ipaddress.ip_network(row["subnet"]), others)
    if asked["ipv4"] and 4 not in versions:
        first = _DEFAULT_BRIDGE if asked["name"] == "bridge" else ""
        rows.insert(0, _new_row(_free_v4(others, first)))
    if asked["ipv6"] and 6 not in versions:
        # RFC 4193: a random prefix of 48 bits.
        random = b"\xfd" + os.urandom(5) + bytes(10)
        rows.append(_new_row(ipaddress.IPv6Network((random, 64))))
    for row in rows:
        if not row["gateway"]:
            subnet = ipaddress.ip_network(row["subnet"])
            row["gateway"] = str(subnet[1])
    return rows


def _new_row(subnet: "Net") -> "Document":
    return {"subnet": str(subnet), "gateway": "", "ip_range": "", "aux": {}}


def _free_v4(others: "list[Net]", first: str) -> "Net":
    taken = [*others, *_host_networks(), ipaddress.ip_network(_OUTSIDE)]
    if first and not _overlaps(ipaddress.ip_network(first), taken):
        return ipaddress.ip_network(first)
    taken.append(ipaddress.ip_network(_DEFAULT_BRIDGE))
    for pool in _POOL:
        for candidate in ipaddress.IPv4Network(pool).subnets(new_prefix=24):
            if not _overlaps(candidate, taken):
                return candidate
    raise NetworkError(
        "there is no private subnet left for a new network",
        remedy="remove networks that nothing uses (rl network prune), or give one: --subnet",
        code="RL-NETWORK-SUBNET",
    )


def _host_networks() -> "list[Net]":
    """What the host can reach itself must stay reachable from containers."""
    from rootless.linux.netlink import Netlink

    netlink = Netlink()
    try:
        return [
            ipaddress.ip_network((address, bits), strict=False)
            for _, address, bits in netlink.networks()
            if len(address) == 4
        ]
    finally:
        netlink.close()


def _overlaps(subnet: "Net", taken: "Iterable[Net]") -> bool:
    return any(one.version == subnet.version and subnet.overlaps(one) for one in taken)


def _refuse_overlap(subnet: "Net", others: "list[Net]") -> None:
    for one in others:
        if _overlaps(subnet, [one]):
            raise NetworkError(
                f"the subnet {subnet} overlaps with {one} of another network",
                remedy="choose another one; rl network inspect shows theirs",
                code="RL-NETWORK-SUBNET",
            )


def _network(text: str, option: str = "--subnet") -> "Net":
    try:
        subnet = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise UsageError(
            f'invalid {option} "{text}"', remedy="write it as 10.89.7.0/24 or fd00:7::/64"
        ) from None
    if "/" not in text or (option == "--subnet" and subnet.prefixlen > _PREFIX_MAX[subnet.version]):
        raise UsageError(
            f"{option} {text} has no room for a gateway and containers",
            remedy="write it as 10.89.7.0/24 or fd00:7::/64",
        )
    never = [ipaddress.ip_network(one) for one in (*_NEVER, _OUTSIDE)]
    if _overlaps(subnet, never) or subnet.prefixlen < _PREFIX_MIN[subnet.version]:
        raise UsageError(
            f"{option} {text} cannot be a network's: it has addresses with a meaning of their own",
            remedy=f"choose a private one, other than {_OUTSIDE}",
        )
    return subnet


def _address(text: str, option: str) -> "ipaddress.IPv4Address | ipaddress.IPv6Address":
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise UsageError(
            f'invalid {option} "{text}"', remedy="give an address of the subnet"
        ) from None


def _row_of(
    rows: "list[Document]", address: "ipaddress.IPv4Address | ipaddress.IPv6Address", what: str
) -> "Document":
    for row in rows:
        subnet = ipaddress.ip_network(row["subnet"])
        if address in subnet:
            if subnet.version == 4 and address in (subnet[0], subnet[-1]) and "range" not in what:
                break
            return row
    raise UsageError(
        f"{what} is in no subnet of the network", remedy="give its subnet, too: --subnet"
    )
