"""A network in the shape of `docker network inspect`; those that are rl's own."""

from rootless.network.bridge import endpoints
from rootless.store import containers, networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context
    from rootless.store.containers import Container

    Doc = dict[str, Any]

# Name -> driver, as `rl network ls` shows them.
_OWN = {"host": "host", "none": "null", "private": "private"}


def everything(ctx: "Context") -> "list[Doc]":
    """All networks with those that are rl's own, by name."""
    found = networks.list_all(ctx.paths)
    if not any(one["name"] == "bridge" for one in found):
        found.append(_own("bridge", "bridge"))
    found += [_own(name, driver) for name, driver in _OWN.items()]
    return sorted(found, key=lambda one: str(one["name"]))


def find(ctx: "Context", name: str) -> "Doc":
    """A network, one of rl's own too.  Raises NetworkError RL-NETWORK-NOT-FOUND."""
    if name == "bridge":
        from rootless.network.bridge import definition

        return definition.default_bridge(ctx.paths)
    for own, driver in _OWN.items():
        if name == own:
            return _own(own, driver)
    return networks.find(ctx.paths, name)


def _own(name: str, driver: str) -> "Doc":
    import hashlib

    return {
        "name": name, "id": hashlib.sha256(f"rl network {name}".encode()).hexdigest(),
        "created": "", "driver": driver, "internal": False, "ipv4": True, "ipv6": False,
        "dns": False, "labels": {}, "options": {}, "subnets": [],
    }  # fmt: skip


def describe(ctx: "Context", document: "Doc") -> "Doc":
    """Docker's object."""
    return {
        "Name": document["name"],
        "Id": document["id"],
        "Created": document["created"],
        "Scope": "local",
        "Driver": document["driver"],
        "EnableIPv4": document["ipv4"],
        "EnableIPv6": document["ipv6"],
        "IPAM": {
            "Driver": "default",
            "Options": {},
            "Config": [_subnet(row) for row in document["subnets"]],
        },
        "Internal": document["internal"],
        "Attachable": True,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": _containers(ctx, str(document["name"])),
        "Options": document["options"],
        "Labels": document["labels"],
    }


def _subnet(row: "Doc") -> "Doc":
    shown = {"Subnet": row["subnet"], "IPRange": row["ip_range"], "Gateway": row["gateway"]}
    if row["aux"]:
        shown["AuxiliaryAddresses"] = row["aux"]
    return {key: value for key, value in shown.items() if value}


def of_container(ctx: "Context", container: "Container") -> "Doc":
    """NetworkSettings.Networks of a container on networks with names, as Docker has it."""
    live = endpoints.read(ctx.paths, container.id) if container.running else {}
    found = {}
    for name, wanted in container.config["networks"].items():
        one = live.get(name, {})
        asked = {"IPv4Address": wanted["ip"], "IPv6Address": wanted["ip6"]}
        names = [container.name, *wanted["aliases"], container.id[:12]]
        found[name] = {
            "IPAMConfig": {key: value for key, value in asked.items() if value} or None,
            "Links": None,
            "Aliases": wanted["aliases"] or None,
            "MacAddress": one.get("mac", ""),
            "DriverOpts": None,
            "GwPriority": 0,
            "NetworkID": one.get("id", ""),
            "EndpointID": one.get("endpoint", ""),
            "Gateway": one.get("gateway", ""),
            "IPAddress": one.get("ip", ""),
            "IPPrefixLen": one.get("bits", 0),
            "IPv6Gateway": one.get("gateway6", ""),
            "GlobalIPv6Address": one.get("ip6", ""),
            "GlobalIPv6PrefixLen": one.get("bits6", 0),
            "DNSNames": list(dict.fromkeys([*names, str(container.config["hostname"])])),
        }
    return found


def _containers(ctx: "Context", name: str) -> "Doc":
    """Those that run on it now."""
    found = {}
    for container in containers.list_all(ctx):
        endpoint = endpoints.read(ctx.paths, container.id).get(name)
        if endpoint and container.running:
            found[container.id] = {
                "Name": container.name,
                "EndpointID": endpoint["endpoint"],
                "MacAddress": endpoint["mac"],
                "IPv4Address": endpoint["ip"] and f"{endpoint['ip']}/{endpoint['bits']}",
                "IPv6Address": endpoint["ip6"] and f"{endpoint['ip6']}/{endpoint['bits6']}",
            }
    return found
