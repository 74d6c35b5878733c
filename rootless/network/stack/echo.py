"""The container's pings: answered by the gateway for itself, sent on by a ping socket for others.

Ping sockets: icmp(7), /proc/sys/net/ipv4/ping_group_range.  Where this user may not have one, the
container is told that pings are prohibited.
"""

import _socket
import struct
import time

from rootless.network.stack import packets
from rootless.network.stack.addresses import packed, shown
from rootless.network.stack.loop import IN, Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.network.stack.gateway import Gateway
    from rootless.network.stack.policy import Rules

    Key = tuple[bytes, int, bytes]

FLOWS_MAX = 64
REST_S = 30
_SWEEP_S = 10
_BURST = 32
_PACKET_MAX = 65535


class _Pinged:
    __slots__ = ("key", "sock", "used")

    def __init__(self, key: "Key", sock: "_socket.socket") -> None:
        self.key = key  # who asks, its identifier, who is asked
        self.sock = sock
        self.used = time.monotonic()


class Echo:
    """ICMP and ICMPv6 echo."""

    def __init__(self, loop: Loop, gateway: "Gateway", policy: "Rules") -> None:
        self._loop = loop
        self._policy = policy
        self._sockets = gateway.sockets
        self._flows: dict[Key, _Pinged] = {}
        self._sweeping = False
        for name, handler in (("icmp4", self._on_request4), ("icmp6", self._on_request6)):
            if name in self._sockets:
                loop.watch(self._sockets[name].fileno(), handler, IN)

    def _on_request4(self, _events: int) -> None:
        for _ in range(_BURST):
            try:
                packet = self._sockets["icmp4"].recv(_PACKET_MAX)
            except OSError:
                return
            header = (packet[0] & 15) * 4
            self._on_request(packet[12:16], packet[16:20], packet[header + 4 :])

    def _on_request6(self, _events: int) -> None:
        for _ in range(_BURST):
            try:
                body, ancillary, _, sender = self._sockets["icmp6"].recvmsg(_PACKET_MAX, 128)
            except OSError:
                return
            for level, kind, data in ancillary:
                if (level, kind) == (_socket.IPPROTO_IPV6, _socket.IPV6_PKTINFO):
                    source = packed(sender[0].partition("%")[0])
                    self._on_request(source, data[:16], body[4:])

    def _on_request(self, source: bytes, destination: bytes, rest: bytes) -> None:
        """An echo request; `rest` is identifier, sequence number and data."""
        if len(rest) < 4:
            return
        if self._policy.is_here(destination):
            self._reply(destination, source, rest)
            return
        target = self._policy.target(destination, 0, packets.ICMP)
        key = (source, struct.unpack_from("!H", rest)[0], destination)
        if not isinstance(target, tuple):
            self._prohibit(source, destination, rest)
            return
        flow = self._flows.get(key) or self._open(key)
        if flow is None:
            self._prohibit(source, destination, rest)
            return
        flow.used = time.monotonic()
        kind = 8 if len(source) == 4 else 128
        try:
            # The kernel puts in the checksum, and an identifier of its own.
            flow.sock.sendto(struct.pack("!BBH", kind, 0, 0) + rest, target)
        except OSError:
            pass

    def _open(self, key: "Key") -> "_Pinged | None":
        version4 = len(key[0]) == 4
        try:
            sock = _socket.socket(
                _socket.AF_INET if version4 else _socket.AF_INET6,
                _socket.SOCK_DGRAM,
                _socket.IPPROTO_ICMP if version4 else _socket.IPPROTO_ICMPV6,
            )
        except OSError:
            return None
        sock.setblocking(False)
        if len(self._flows) >= FLOWS_MAX:
            self._close(min(self._flows.values(), key=lambda flow: flow.used))
        flow = _Pinged(key, sock)
        self._flows[key] = flow
        self._loop.watch(sock.fileno(), lambda _events: self._on_reply(flow), IN)
        self._sweep_later()
        return flow

    def _on_reply(self, flow: _Pinged) -> None:
        for _ in range(_BURST):
            try:
                body = flow.sock.recv(_PACKET_MAX)
            except OSError:
                return
            source, identifier, destination = flow.key
            if body[:1] in (b"\0", b"\x81"):
                rest = struct.pack("!H", identifier) + body[6:]
                self._reply(destination, source, rest)

    def _reply(self, sender: bytes, receiver: bytes, rest: bytes) -> None:
        self._send(receiver, packets.echo_reply(sender, receiver, rest))

    def _prohibit(self, source: bytes, destination: bytes, rest: bytes) -> None:
        if len(source) == 4:
            asked = packets.ip(packets.ICMP, source, destination, b"\x08\0\0\0" + rest)
        else:
            asked = packets.ip(packets.ICMPV6, source, destination, b"\x80\0\0\0" + rest)
        self._send(source, packets.unreachable(packets.PROHIBITED, asked, destination))

    def _send(self, receiver: bytes, packet: bytes) -> None:
        raw = self._sockets["raw4" if len(receiver) == 4 else "raw6"]
        try:
            raw.sendto(packet, (shown(receiver), 0))
        except OSError:
            pass

    def _close(self, flow: _Pinged) -> None:
        del self._flows[flow.key]
        self._loop.forget(flow.sock.fileno())
        flow.sock.close()

    def _sweep_later(self) -> None:
        if not self._sweeping:
            self._sweeping = True
            self._loop.call_after(_SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = False
        oldest = time.monotonic() - REST_S
        for flow in [one for one in self._flows.values() if one.used < oldest]:
            self._close(flow)
        if self._flows:
            self._sweep_later()

    def close(self) -> None:
        for flow in list(self._flows.values()):
            self._close(flow)
