"""The endpoints of a running container: its places on networks with names.  Warm.

    <container>.json   {network name: {"id": the network's, "endpoint": 64 hex, "network": its name,
                        "ip", "bits", "gateway", "ip6", "bits6", "gateway6", "mac", "aliases",
                        "bridge", "link", "device", "mtu", "icc", "internal", "dns",
                        "default", "default6"}}

`bridge` and `link` are devices of the networks' namespace, `device` is the container's; `default`
says that its default route leads there.  In the runtime directory, as long as it runs.
"""

import _socket
import os

from rootless import ids
from rootless.errors import UsageError
from rootless.network.bridge import leases, settings
from rootless.store import atomic, networks
from rootless.store.locks import Locked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from rootless.paths import Paths

    Document = dict[str, Any]

_LINK_BYTES = 5  # "v" and 10 digits: names of devices have 15


def device_name(network: "Document") -> str:
    """The bridge's, in the networks' namespace."""
    return f"rl{network['id'][:10]}"


def mac_of(address: str) -> bytes:
    """The hardware address of who has this IP address: the same again when it comes back, so that
    what its neighbours know of it goes on holding.  Locally administered, as Docker's."""
    if ":" in address:
        return b"\x02\x42" + _socket.inet_pton(_socket.AF_INET6, address)[-4:]
    return b"\x02\x42" + _socket.inet_aton(address)


def read(paths: "Paths", container_id: str) -> "Document":
    """Network name -> endpoint; {} for a container that is on none now."""
    try:
        return atomic.read_json(_path(paths, container_id))
    except FileNotFoundError:
        return {}


def write(paths: "Paths", container_id: str, found: "Document") -> None:
    atomic.write_json(_path(paths, container_id), found, sync=False)


def lock(paths: "Paths", container_id: str) -> Locked:
    """Held while a running container's networks are changed."""
    return Locked(f"{_path(paths, container_id)}.lock", what="the container's networks")


def forget(paths: "Paths", container_id: str) -> None:
    """The container has ended."""
    for one in read(paths, container_id).values():
        leases.give_back(paths, one["id"], container_id)
    for path in (_path(paths, container_id), f"{_path(paths, container_id)}.lock"):
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass


def _path(paths: "Paths", container_id: str) -> str:
    return f"{paths.networks_runtime}/{container_id[:12]}.json"


def check(paths: "Paths", wanted: "Document") -> None:
    """Whether the networks of a new container are there; known by ID, they get their names.

    Raises NetworkError.
    """
    for name in list(wanted):
        if name == "bridge":
            from rootless.network.bridge import definition

            definition.default_bridge(paths)
        found = str(networks.find(paths, name)["name"])
        if found != name and found in wanted:
            raise UsageError(f"the network {found} is given twice", remedy="give it once")
        if found != name:
            rest = list(wanted.items())
            wanted.clear()
            wanted.update((found if key == name else key, value) for key, value in rest)


def make(paths: "Paths", container_id: str, name: str, wanted: "Mapping[str, Any]") -> "Document":
    """An endpoint on the network `name`, with addresses that are the container's from now on.

    `wanted` has "aliases", "ip", "ip6" and "mac".  Raises NetworkError.
    """
    network = networks.find(paths, name)
    chosen = settings.of(network["options"], ipv6=network["ipv6"])
    taken = leases.take(paths, network, container_id, wanted["ip"], wanted["ip6"])
    mac = wanted["mac"] or mac_of(taken.ip or taken.ip6).hex(":")
    return {
        "id": network["id"],
        "endpoint": ids.new_container_id(),
        "network": network["name"],
        "ip": taken.ip,
        "bits": taken.bits,
        "gateway": taken.gateway,
        "ip6": taken.ip6,
        "bits6": taken.bits6,
        "gateway6": taken.gateway6,
        "mac": mac,
        "aliases": list(wanted["aliases"]),
        "bridge": device_name(network),
        "link": f"v{os.urandom(_LINK_BYTES).hex()}",
        "device": "",
        "mtu": chosen.mtu,
        "icc": chosen.icc,
        "internal": network["internal"],
        "dns": network["dns"],
        "default": False,
        "default6": False,
    }


def choose_default(found: "Iterable[Document]") -> "list[Document]":
    """Note which endpoints the default routes lead to, where none does; those that are new."""
    chosen = []
    everyone = list(found)
    for key, address in (("default", "ip"), ("default6", "ip6")):
        if any(one[key] for one in everyone):
            continue
        for one in everyone:
            if one[address] and not one["internal"]:
                one[key] = True
                if one not in chosen:
                    chosen.append(one)
                break
    return chosen


def name_server(found: "Document") -> str:
    """The address of the networks' name server for who has these endpoints, "" for none.

    One is enough: it knows who asks, and answers for all networks of the asker.
    """
    for one in found.values():
        if one["dns"]:
            return str(one["gateway"] or one["gateway6"])
    return ""


def told(found: "Document") -> "Document":
    """What the networks' helper is told of endpoints: by network ID."""
    return {
        one["id"]: {
            "network": one["network"], "ip": one["ip"], "ip6": one["ip6"],
            "aliases": one["aliases"],
        }
        for one in found.values()
    }  # fmt: skip
