"""Netlink messages: links, addresses, routes and nftables, without a library.

netlink(7), rtnetlink(7), include/uapi/linux/{rtnetlink,if_link,netfilter/nf_tables}.h.  Why there
is no pyroute2: docs/decisions/070.
"""

import _socket
import os
import struct

from rootless.errors import KernelError

NETLINK_ROUTE, NETLINK_SOCK_DIAG, NETLINK_NETFILTER = 0, 4, 12
NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE, NLM_F_DUMP = 1, 4, 0x200, 0x400, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
_NLA_F_NESTED = 0x8000
_RECEIVE_MAX = 65536

RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_GETADDR, RTM_NEWROUTE, RTM_GETROUTE, RTM_NEWRULE = (
    16, 18, 20, 22, 24, 26, 32,
)  # fmt: skip
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINKINFO, IFLA_NET_NS_PID = 1, 3, 4, 18, 19
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
IFA_ADDRESS, IFA_LOCAL, IFA_F_NODAD = 1, 2, 0x02
RTA_DST, RTA_OIF, RTA_GATEWAY = 1, 4, 5
FRA_IIFNAME, FRA_PRIORITY, FRA_FWMARK, FR_ACT_TO_TBL = 3, 6, 10, 1
RT_TABLE_MAIN, RT_TABLE_LOCAL, RTPROT_BOOT = 254, 255, 3
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_HOST = 0, 253, 254
RTN_UNICAST, RTN_LOCAL = 1, 2
IFF_UP = 1


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def nested(kind: int, *inner: bytes) -> bytes:
    """An attribute of attributes."""
    return attribute(kind | _NLA_F_NESTED, b"".join(inner))


def text(kind: int, value: str) -> bytes:
    """An attribute with a string, ended by a zero byte."""
    return attribute(kind, value.encode() + b"\0")


def attributes(data: bytes) -> "dict[int, bytes]":
    """The attributes in `data`, the last one of each kind."""
    found = {}
    place = 0
    while place + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, place)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[place + 4 : place + length]
        place += length + (-length % 4)
    return found


class Netlink:
    """A netlink socket of the network namespace that it is made in."""

    def __init__(self, protocol: int = NETLINK_ROUTE, sock: "_socket.socket | None" = None) -> None:
        """`sock` is one of another namespace, that another process has made: detach()."""
        self._sock = sock or _socket.socket(
            _socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, protocol
        )
        self._sequence = 0

    def close(self) -> None:
        self._sock.close()

    def detach(self) -> "_socket.socket":
        """The socket itself, to be given to another process."""
        return self._sock

    def message(self, kind: int, flags: int, body: bytes) -> bytes:
        """One message with the next sequence number."""
        self._sequence += 1
        return (
            struct.pack("=IHHII", 16 + len(body), kind, flags | NLM_F_REQUEST, self._sequence, 0)
            + body
        )

    def send(self, messages: bytes, answers: int, what: str) -> None:
        """Send messages and wait for `answers` acknowledgements.  Raises KernelError for the
        first refusal."""
        self._sock.send(messages)
        while answers > 0:
            for kind, body in self._receive():
                if kind == NLMSG_ERROR:
                    error = struct.unpack_from("=i", body)[0]
                    if error:
                        raise KernelError("netlink", -error, what)
                    answers -= 1

    def change(self, kind: int, flags: int, body: bytes, what: str) -> None:
        """One request that makes or changes `what`."""
        self.send(self.message(kind, flags | NLM_F_ACK, body), 1, what)

    def ask(self, kind: int, body: bytes, what: str) -> bytes:
        """The body of the one object that a request gives.  Raises KernelError."""
        self._sock.send(self.message(kind, 0, body))
        answer, data = self._receive()[0]
        if answer == NLMSG_ERROR:
            raise KernelError("netlink", -struct.unpack_from("=i", data)[0], what)
        return data

    def dump(self, kind: int, body: bytes, what: str) -> "list[bytes]":
        """The bodies of all objects that a dump request gives."""
        self._sock.send(self.message(kind, NLM_F_DUMP, body))
        found: list[bytes] = []
        while True:
            for answer, data in self._receive():
                if answer == NLMSG_DONE:
                    return found
                if answer == NLMSG_ERROR:
                    raise KernelError("netlink", -struct.unpack_from("=i", data)[0], what)
                found.append(data)

    def _receive(self) -> "list[tuple[int, bytes]]":
        data = self._sock.recv(_RECEIVE_MAX)
        found = []
        place = 0
        while place + 16 <= len(data):
            length, kind = struct.unpack_from("=IH", data, place)
            if length < 16:
                break
            found.append((kind, data[place + 16 : place + length]))
            place += length + (-length % 4)
        return found

    # Links, addresses, routes.

    def add_veth(self, name: str, peer: str, peer_pid: int, mtu: int) -> None:
        """A pair of devices; `peer` in the network namespace of the process `peer_pid`."""
        there = (
            bytes(16)
            + text(IFLA_IFNAME, peer)
            + attribute(IFLA_MTU, struct.pack("=I", mtu))
            + attribute(IFLA_NET_NS_PID, struct.pack("=I", peer_pid))
        )
        body = (
            bytes(16)
            + text(IFLA_IFNAME, name)
            + attribute(IFLA_MTU, struct.pack("=I", mtu))
            + nested(
                IFLA_LINKINFO,
                text(IFLA_INFO_KIND, "veth"),
                nested(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, there)),
            )
        )
        self.change(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, "veth")

    def link_up(self, name: str) -> None:
        body = struct.pack("=BxHiII", 0, 0, 0, IFF_UP, IFF_UP) + text(IFLA_IFNAME, name)
        self.change(RTM_NEWLINK, 0, body, name)

    def link_index(self, name: str) -> int:
        """The interface's number.  Raises KernelError, ENODEV."""
        body = self.ask(RTM_GETLINK, bytes(16) + text(IFLA_IFNAME, name), name)
        index: int = struct.unpack_from("=BxHi", body)[2]
        return index

    def add_address(self, family: int, address: bytes, prefix: int, index: int) -> None:
        """IPv6 without the second that duplicates are looked for: nobody else is there."""
        flags = IFA_F_NODAD if family == _socket.AF_INET6 else 0
        body = struct.pack("=BBBBI", family, prefix, flags, 0, index)
        body += attribute(IFA_LOCAL, address) + attribute(IFA_ADDRESS, address)
        self.change(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body, "address")

    def add_route(
        self,
        family: int,
        index: int,
        *,
        to: bytes = b"",
        prefix: int = 0,
        gateway: bytes = b"",
        local: bool = False,
        table: int = RT_TABLE_MAIN,
    ) -> None:
        """A route of `table`; `local` is delivered here, whatever the address (AnyIP)."""
        scope = RT_SCOPE_HOST if local else RT_SCOPE_UNIVERSE if gateway else RT_SCOPE_LINK
        kind = RTN_LOCAL if local else RTN_UNICAST
        if family == _socket.AF_INET6:
            scope = RT_SCOPE_UNIVERSE
        body = struct.pack("=BBBBBBBBI", family, prefix, 0, 0, table, RTPROT_BOOT, scope, kind, 0)
        if to:
            body += attribute(RTA_DST, to)
        if gateway:
            body += attribute(RTA_GATEWAY, gateway)
        body += attribute(RTA_OIF, struct.pack("=i", index))
        self.change(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, body, "route")

    def add_rule(
        self, family: int, table: int, priority: int, *, mark: int = 0, came_in_by: str = ""
    ) -> None:
        """Packets with `mark`, or from a device, are routed by `table`: ip-rule(8)."""
        body = struct.pack("=BBBBBBBBI", family, 0, 0, 0, table, 0, 0, FR_ACT_TO_TBL, 0)
        body += attribute(FRA_PRIORITY, struct.pack("=I", priority))
        if mark:
            body += attribute(FRA_FWMARK, struct.pack("=I", mark))
        if came_in_by:
            body += text(FRA_IIFNAME, came_in_by)
        self.change(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, body, "rule")

    def networks(self) -> "list[tuple[int, bytes, int]]":
        """(family, address, prefix length) of each address of this namespace."""
        found = []
        for body in self.dump(RTM_GETADDR, struct.pack("=BBBBI", 0, 0, 0, 0, 0), "addresses"):
            family, prefix = body[0], body[1]
            told = attributes(body[8:])
            address = told.get(IFA_LOCAL, told.get(IFA_ADDRESS, b""))
            if address:
                found.append((family, address, prefix))
        return found

    def routes(self) -> "list[tuple[int, bytes, int]]":
        """(family, destination, prefix length) of the local and main tables; not the default
        routes."""
        found = []
        for body in self.dump(RTM_GETROUTE, bytes(12), "routes"):
            family, prefix, table = body[0], body[1], body[4]
            destination = attributes(body[12:]).get(RTA_DST)
            if destination and prefix and table in (RT_TABLE_MAIN, RT_TABLE_LOCAL):
                found.append((family, destination, prefix))
        return found


def write_sysctl(name: str, value: str) -> bool:
    """Set /proc/sys/`name` of our namespaces; False where the kernel has it not, or refuses."""
    try:
        fd = os.open(f"/proc/sys/{name}", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(fd, value.encode())
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
