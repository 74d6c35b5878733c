"""Egress policies in the networks' helper: their rules, the addresses of names, and the journal.

A policy is a chain of nftables that a packet of its container, or of its network, goes through when
a connection begins; what it lets through returns to the rules that hold for everybody.  Addresses
that the name server has found for an allowed name are put into the sets of that rule before the
answer is given.  What is refused, or logged, comes as a copy of its first packet (nfnetlink_log).
"""

import os
import struct
import time

from rootless import fastjson
from rootless.errors import KernelError
from rootless.linux import nftables
from rootless.linux.netlink import (
    NETLINK_NETFILTER,
    NLM_F_ACK,
    Netlink,
    attribute,
    attributes,
)
from rootless.network.bridge import egress
from rootless.network.stack.addresses import packed, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any

    from rootless.network.bridge.names import Member, Names
    from rootless.network.bridge.watch import Watch
    from rootless.paths import Paths

    Document = dict[str, Any]

GROUP = 114
_SNAP = 128  # bytes of a packet: its headers
_PINNED_MIN_S = 300  # programs keep addresses longer than their TTL says
_MARGIN_S = 9  # that the kernel keeps them longer than we count on
_PINS_MAX = 4096  # addresses of one rule
_AGAIN_S = 10.0  # before the same peer is written down again
_SEEN_MAX = 4096
_JOURNAL_MAX = 1 << 20
_TABLE = "rl"
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp"}
_NUMBERS = {"tcp": 6, "udp": 17}
_ULOG, _CONFIG, _PACKET = 4, 1, 0
_COPY_PACKET = 2


class Guard:
    """All policies, by container and by network ID."""

    def __init__(self, watch: "Watch", names: "Names", paths: "Paths") -> None:
        self._watch = watch
        self._names = names
        self._paths = paths
        self._networks: dict[str, Document] = {}
        # Set -> address -> when it ends, by the monotonic clock.
        self._pins: dict[str, dict[bytes, float]] = {}
        self._found: dict[tuple[str, bytes], str] = {}  # (container, address) -> the name asked for
        self._seen: dict[tuple[str, ...], float] = {}
        self._local: list[str] = []
        self._rules: Netlink | None = None
        self._packets: _socket.socket | None = None

    @property
    def ready(self) -> bool:
        """Whether the sockets are there, which only the first policy needs."""
        return self._packets is not None

    def use(self, rules: "_socket.socket", packets: "_socket.socket") -> None:
        """Both sockets of sockets(), made in the networks' namespace."""
        self._rules = Netlink(NETLINK_NETFILTER, rules)
        self._packets = packets
        packets.setblocking(False)
        self._watch.watch(packets.fileno(), self._on_packets, 0)

    def set_networks(self, policies: "dict[str, Document]") -> None:
        """The policies of networks, by their IDs; before chains() and sets()."""
        self._networks = {key: one for key, one in policies.items() if one}
        self._local = _own_networks()

    @property
    def wanted(self) -> bool:
        """Whether there is any policy."""
        return bool(self._networks) or any(one.egress for one in self._names.everyone())

    def policies_of(self, member: "Member") -> "list[tuple[str, Document]]":
        """(name of its chain, policy) of each that holds for a member."""
        found = [(f"n{one[:10]}", self._networks[one]) for one in member.endpoints
                 if one in self._networks]  # fmt: skip
        if member.egress:
            found.append((f"c{member.container[:12]}", member.egress))
        return found

    def may_ask(self, member: "Member", name: str) -> bool:
        if all(egress.may_ask(policy, name) for _, policy in self.policies_of(member)):
            return True
        self._write(member, "refused", "dns", "", 53, name)
        return False

    # Rules.

    def chains(self, bridges: "dict[str, int]") -> "tuple[list[bytes], list[nftables.Chain]]":
        """The jumps to the chains, for the one that all packets go through, and the chains.

        `bridges` are the indexes of their devices, by network ID.
        """
        jumps: list[bytes] = []
        made: list[nftables.Chain] = []
        for network_id, policy in self._networks.items():
            if network_id in bridges:
                name = f"n{network_id[:10]}"
                jump = nftables.came_in_by(bridges[network_id])
                jumps.append(jump + nftables.verdict(nftables.JUMP, name))
                made.append(nftables.Chain(name, self._chain(name, policy)))
        for member in self._names.everyone():
            if member.egress:
                name = f"c{member.container[:12]}"
                for address in member.addresses():
                    data = packed(address)
                    jump = nftables.comes_from(data, 8 * len(data))
                    jumps.append(jump + nftables.verdict(nftables.JUMP, name))
                made.append(nftables.Chain(name, self._chain(name, member.egress)))
        jumps += self._known(bridges, made)
        if made:
            refuse = [
                nftables.log(GROUP, "refused", _SNAP),
                nftables.protocol_is(_NUMBERS["tcp"]) + nftables.reset(),
                nftables.reject(),
            ]
            made.insert(0, nftables.Chain("refuse", refuse))
        return jumps, made

    def _known(self, bridges: "dict[str, int]", made: "list[nftables.Chain]") -> list[bytes]:
        """On a network of somebody with a policy, nobody leaves with an address that is no
        member's; what a policy knows its container by."""
        jumps = []
        for network_id, index in bridges.items():
            members = [one for one in self._names.everyone() if network_id in one.endpoints]
            if not any(one.egress for one in members):
                continue
            rules = []
            for member in members:
                endpoint = member.endpoints[network_id]
                for address in (endpoint["ip"], endpoint["ip6"]):
                    if address:
                        data = packed(address)
                        known = nftables.comes_from(data, 8 * len(data))
                        rules.append(known + nftables.verdict(nftables.RETURN))
            name = f"k{network_id[:10]}"
            rules.append(nftables.verdict(nftables.GOTO, "refuse"))
            made.append(nftables.Chain(name, rules))
            came = nftables.came_in_by(index)
            jumps.append(came + nftables.verdict(nftables.JUMP, name))
        return jumps

    def _chain(self, name: str, policy: "Document") -> list[bytes]:
        refuse = nftables.verdict(nftables.GOTO, "refuse")
        back = nftables.verdict(nftables.RETURN)
        if policy["log"]:
            back = nftables.log(GROUP, "passed", _SNAP) + back
        if policy["mode"] == "none":
            return [refuse]
        rules = []
        if not policy["lan"]:
            for one in (*egress.LAN, *self._local):
                address, _, bits = one.partition("/")
                rules.append(nftables.goes_to(packed(address), int(bits)) + refuse)
        if policy["mode"] == "all":
            return [*rules, back]
        for number, rule in enumerate(policy["rules"]):
            for target in _targets(rule, f"{name}-{number}-"):
                for protocol in _protocols(rule):
                    rules.append(target + protocol + back)
        return [*rules, refuse]

    def sets(self) -> "dict[str, dict[bytes, int]]":
        """The sets of the rules with names, and what is left of the time of their addresses."""
        policies = [(f"n{key[:10]}", one) for key, one in self._networks.items()]
        policies += [(f"c{one.container[:12]}", one.egress) for one in self._names.everyone()
                     if one.egress]  # fmt: skip
        wanted = {
            f"{name}-{number}-{family}"
            for name, policy in policies
            for number, rule in enumerate(policy["rules"])
            if rule["name"]
            for family in "46"
        }
        self._pins = {name: self._pins.get(name, {}) for name in wanted}
        now = time.monotonic()
        return {
            name: {
                one: int((end - now + _MARGIN_S + 1) * 1000)
                for one, end in pins.items()
                if end > now
            }
            for name, pins in self._pins.items()
        }

    # Names.

    def answered(self, member: "Member", name: str, answer: bytes) -> None:
        """Let a member reach what an allowed name is, before it is told the answer."""
        policies = self.policies_of(member)
        if not policies:
            return
        import dnslib  # type: ignore[import-untyped]

        try:
            records = dnslib.DNSRecord.parse(answer).rr
        except Exception:
            return  # the asker will not understand it, either
        found = {packed(str(one.rdata)): int(one.ttl) for one in records if one.rtype in (1, 28)}
        if len(self._found) > _SEEN_MAX:
            self._found = {}
        for address in found:
            self._found[(member.container, address)] = name
        for chain, policy in policies:
            for number, rule in enumerate(policy["rules"]):
                if egress.matches(rule, name):
                    self._pin(f"{chain}-{number}-", found)

    def _pin(self, prefix: str, found: "dict[bytes, int]") -> None:
        now = time.monotonic()
        for size, family in ((4, "4"), (16, "6")):
            pins = self._pins.get(f"{prefix}{family}")
            new = {one: max(ttl, _PINNED_MIN_S) for one, ttl in found.items() if len(one) == size}
            if pins is None or not new or self._rules is None:
                continue
            for one in [one for one, end in pins.items() if end <= now - _MARGIN_S]:
                del pins[one]
            elements, renewed = {}, []
            for one, seconds in new.items():
                if one in pins and pins[one] < now + seconds * 0.75:
                    renewed.append(one)
                elif one in pins or len(pins) >= _PINS_MAX:
                    continue
                elements[one] = (seconds + _MARGIN_S + 1) * 1000
            if elements:
                try:
                    nftables.add_elements(
                        self._rules, _TABLE, f"{prefix}{family}", elements, renewed
                    )
                    pins |= {one: now + new[one] for one in elements}
                except KernelError:
                    pass  # it stays refused, and the next look-up tries again

    # The journal.

    def _on_packets(self, _argument: int) -> None:
        assert self._packets is not None
        for _ in range(64):
            try:
                data = self._packets.recv(65536)
            except OSError:
                return
            place = 0
            while place + 20 <= len(data):
                length, kind = struct.unpack_from("=IH", data, place)
                if length < 20:
                    break
                if kind == _ULOG << 8 | _PACKET:
                    told = attributes(data[place + 20 : place + length])
                    self._note(told.get(10, b"").rstrip(b"\0").decode(), told.get(9, b""))
                place += length + (-length % 4)

    def _note(self, verdict: str, packet: bytes) -> None:
        peer = _peer(packet)
        if peer is None:
            return
        source, target, protocol, port = peer
        member = self._names.who(shown(source))
        if member is not None:
            name = self._found.get((member.container, target), "")
            self._write(member, verdict, protocol, shown(target), port, name)

    def _write(
        self, member: "Member", verdict: str, protocol: str, address: str, port: int, name: str
    ) -> None:
        """Into the container's journal, but not what was written a moment ago."""
        key = (member.container, verdict, protocol, address or name, str(port))
        now = time.monotonic()
        if self._seen.get(key, 0) > now - _AGAIN_S:
            return
        if len(self._seen) >= _SEEN_MAX:
            self._seen = {}
        self._seen[key] = now
        line = {
            "time": time.time(),
            "verdict": verdict,
            "protocol": protocol,
            "address": address,
            "port": port,
            "name": name,
        }
        write(self._paths, member.container, line)


def write(paths: "Paths", container_id: str, line: "Document") -> None:
    """Add a line to the container's journal; a long one begins anew, and the one before stays."""
    path = f"{paths.container(container_id)}/network.log"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, f"{fastjson.dumps(line)}\n".encode())
            if os.fstat(fd).st_size > _JOURNAL_MAX:
                os.rename(path, f"{path}.1")
        finally:
            os.close(fd)
    except OSError:
        pass  # the container is gone, or the disk full: the rules hold all the same


def sockets() -> "list[_socket.socket]":
    """In the networks' namespace: a socket for changes of rules, and one that packets come to."""
    rules = Netlink(NETLINK_NETFILTER)
    packets = Netlink(NETLINK_NETFILTER)
    head = struct.pack("!BBH", 0, 0, GROUP)
    bind = attribute(1, b"\1")
    mode = attribute(2, struct.pack("!IBB", _SNAP, _COPY_PACKET, 0))
    for body in (bind, mode):
        packets.change(_ULOG << 8 | _CONFIG, NLM_F_ACK, head + body, "nfnetlink_log")
    return [rules.detach(), packets.detach()]


def _targets(rule: "Document", sets: str) -> list[bytes]:
    """What the packet's destination must be."""
    if rule["name"]:
        return [nftables.goes_to_one_of(f"{sets}{family}", family) for family in (4, 6)]
    if rule["address"] == "*":
        return [b""]
    address, _, bits = str(rule["address"]).partition("/")
    return [nftables.goes_to(packed(address), int(bits))]


def _protocols(rule: "Document") -> list[bytes]:
    """What its protocol and port must be; with a port, TCP or UDP."""
    if not rule["first"]:
        return [nftables.protocol_is(_NUMBERS[rule["protocol"]])] if rule["protocol"] else [b""]
    port = nftables.port_is(rule["first"], rule["last"])
    names = [rule["protocol"]] if rule["protocol"] else ["tcp", "udp"]
    return [nftables.protocol_is(_NUMBERS[one]) + port for one in names]


def _own_networks() -> list[str]:
    """Those that the host's interfaces are on."""
    netlink = Netlink()
    try:
        return [f"{shown(address)}/{bits}" for _, address, bits in netlink.networks()]
    finally:
        netlink.close()


def _peer(packet: bytes) -> "tuple[bytes, bytes, str, int] | None":
    """(source, destination, protocol, port) of an IP packet."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        header, number = 4 * (packet[0] & 15), packet[9]
        source, target = packet[12:16], packet[16:20]
    elif len(packet) >= 40 and packet[0] >> 4 == 6:
        header, number = 40, packet[6]
        source, target = packet[8:24], packet[24:40]
    else:
        return None
    port = 0
    if number in (6, 17) and len(packet) >= header + 4:
        port = int.from_bytes(packet[header + 2 : header + 4], "big")
    return source, target, _PROTOCOLS.get(number, str(number)), port
