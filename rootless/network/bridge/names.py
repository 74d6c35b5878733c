"""Who is on which network, under which names.  Pure."""

import os

from rootless.network.stack.addresses import packed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Document = dict[str, Any]

_SHORT_ID = 12


class Member:
    """A container that runs.

    `endpoints` has, by network ID, {"network": its name, "ip", "ip6", "aliases"}; `egress` is its
    policy (egress.py), {} without one; `dns` the servers that it asks for names that are not ours,
    none for the host's.
    """

    __slots__ = ("container", "dns", "egress", "endpoints", "hostname", "name")

    def __init__(self, told: "Document") -> None:
        self.container = str(told["container"])
        self.name = str(told["name"])
        self.hostname = str(told["hostname"])
        self.dns: list[str] = list(told["dns"])
        self.egress: Document = dict(told["egress"])
        self.endpoints: dict[str, Document] = dict(told["endpoints"])

    def addresses(self) -> "list[str]":
        return [one[key] for one in self.endpoints.values() for key in ("ip", "ip6") if one[key]]


class Names:
    """The members, and the answers to questions of one about others."""

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._by_address: dict[bytes, Member] = {}
        # Network ID -> name -> members.
        self._by_name: dict[str, dict[str, list[Member]]] = {}
        self.generation = 0  # changes with every answer that may

    def add(self, member: Member) -> None:
        """Add a member, or have it with other endpoints."""
        self._members[member.container] = member
        self._index()

    def remove(self, container: str) -> None:
        self._members.pop(container, None)
        self._index()

    def get(self, container: str) -> "Member | None":
        return self._members.get(container)

    def everyone(self) -> "Iterable[Member]":
        return self._members.values()

    def who(self, address: str) -> "Member | None":
        """The member that has this address."""
        return self._by_address.get(packed(address))

    def forward(self, asker: Member, name: str) -> "list[Document] | None":
        """The endpoints that `name` (lower case) stands for, None when it is not ours.

        Of several, another one comes first each time.
        """
        found = []
        host, _, network_name = name.rpartition(".")
        for network_id, endpoint in asker.endpoints.items():
            known = self._by_name.get(network_id, {})
            members = known.get(name)
            if members is None and host and network_name == endpoint["network"].lower():
                members = known.get(host)
            for member in members or ():
                found.append(member.endpoints[network_id])
        if len(found) > 1:
            first = os.urandom(1)[0] % len(found)
            found = found[first:] + found[:first]
        return found or None

    def reverse(self, asker: Member, address: bytes) -> "str | None":
        """The name of who has this address on a network of the asker's."""
        member = self._by_address.get(address)
        if member is None:
            return None
        for network_id, endpoint in member.endpoints.items():
            if network_id in asker.endpoints:
                mine = [packed(endpoint[key]) for key in ("ip", "ip6") if endpoint[key]]
                if address in mine:
                    return f"{member.name}.{endpoint['network']}".lower()
        return None

    def _index(self) -> None:
        self.generation += 1
        self._by_address = {}
        self._by_name = {}
        for member in self._members.values():
            for address in member.addresses():
                self._by_address[packed(address)] = member
            for network_id, endpoint in member.endpoints.items():
                known = self._by_name.setdefault(network_id, {})
                own = {
                    member.name, member.hostname, member.container[:_SHORT_ID],
                    *endpoint["aliases"],
                }  # fmt: skip
                for name in {one.lower() for one in own if one}:
                    known.setdefault(name, []).append(member)
