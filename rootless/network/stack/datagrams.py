"""The container's datagrams to the world: UDP flows, and questions to the name server.

A flow is two connected sockets: outside to its target, inside (in the gateway) from the address
that the container asked to the one that it asks from.  Both kernels then know which flow a
datagram is of.  Flows that rest are forgotten, as the kernel's own connection tracking does.
"""

import _socket
import errno
import struct
import time

from rootless.network.stack import packets
from rootless.network.stack.addresses import packed, shown
from rootless.network.stack.loop import IN, Loop
from rootless.network.stack.policy import Later
from rootless.network.stack.spare import Spare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.network.stack.gateway import Gateway
    from rootless.network.stack.policy import Journal, Rules, Target

    Key = tuple[bytes, int, bytes, int]

FLOWS_MAX = 1024
# nf_conntrack_udp_timeout and nf_conntrack_udp_timeout_stream; a name server's answer is all.
UNANSWERED_S, ANSWERED_S, ASKED_S = 30, 120, 6
_SWEEP_S = 3
_BURST = 64
_HELD_MAX = 16  # datagrams of a flow whose socket is on its way
_DATAGRAM_MAX = 65535
_IP_ORIGDSTADDR, _IPV6_ORIGDSTADDR = 20, 74
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _PMTUDISC_DONT = 10, 23, 0


class _Flow:
    __slots__ = (
        "answered", "error", "held", "inside", "key", "once", "outside", "server", "token",
        "unsent", "used",
    )  # fmt: skip

    def __init__(self, key: "Key", server: str) -> None:
        self.key = key
        self.outside: _socket.socket | None = None
        self.unsent: list[bytes] = []  # until there is an outside
        self.once = False
        self.token: object = None  # of the journal
        self.error = 0
        self.inside: _socket.socket | None = None
        self.held: list[bytes] = []
        self.server = server  # the name server that was asked, "" for other flows
        self.answered = False
        self.used = time.monotonic()

    def rests_after(self) -> int:
        """How long it may be silent, in seconds."""
        if self.server:
            return ASKED_S
        return ANSWERED_S if self.answered else UNANSWERED_S


class Datagrams:
    """UDP from the container, both families."""

    def __init__(
        self,
        loop: Loop,
        gateway: "Gateway",
        policy: "Rules",
        journal: "Journal | None" = None,
    ) -> None:
        self._loop = loop
        self._policy = policy
        self._journal = journal
        self._sockets = gateway.sockets
        self._flows: dict[Key, _Flow] = {}
        self._spare: dict[int, Spare] = {}
        self._sweeping = False
        for name, family in (("udp4", _socket.AF_INET), ("udp6", _socket.AF_INET6)):
            if name in self._sockets:
                self._spare[family] = Spare(loop, gateway, family, _socket.SOCK_DGRAM)
                self._watch(self._sockets[name])

    def _watch(self, sock: "_socket.socket") -> None:
        self._loop.watch(sock.fileno(), lambda _events: self._on_datagrams(sock), IN)

    def _on_datagrams(self, sock: "_socket.socket") -> None:
        """Datagrams of flows that have no socket inside yet."""
        for _ in range(_BURST):
            try:
                data, ancillary, _, sender = sock.recvmsg(_DATAGRAM_MAX, 128)
            except OSError:
                return
            wanted = _asked(ancillary)
            if wanted is None:
                continue
            key = (packed(sender[0].partition("%")[0]), sender[1], *wanted)
            flow = self._flows.get(key) or self._open(key)
            if flow is None:
                continue
            self._send_out(flow, data)

    def _open(self, key: "Key") -> "_Flow | None":
        """A new flow; None where it may not go there, or can't."""
        target = self._policy.target(key[2], key[3], packets.UDP)
        if target is None:
            self._tell(key, packets.PROHIBITED)
            return None
        if len(self._flows) >= FLOWS_MAX:
            self._close(min(self._flows.values(), key=lambda flow: flow.used))
        server = ""
        if not isinstance(target, Later) and self._policy.is_name_server(key[2]):
            server = target[0]
        flow = _Flow(key, server)
        self._flows[key] = flow
        if isinstance(target, Later):
            flow.once = target.once
            target.then(lambda found: self._connect_outside(flow, found))
        else:
            self._connect_outside(flow, target)
        if self._flows.get(key) is not flow:
            return None
        family = _socket.AF_INET if len(key[0]) == 4 else _socket.AF_INET6
        self._spare[family].take(lambda sock: self._connect_inside(flow, sock))
        self._sweep_later()
        return flow

    def _connect_outside(self, flow: _Flow, target: "Target | None") -> None:
        key = flow.key
        if self._flows.get(key) is not flow:
            return
        if target is None:
            if self._journal is not None:
                self._journal.failed(packets.UDP, key[:2], key[2:], 0)
            self._close(flow)
            return
        family = _socket.AF_INET6 if ":" in target[0] else _socket.AF_INET
        try:
            flow.outside = outside = _connected(target, self._policy.source(family))
        except OSError as e:
            if self._journal is not None:
                self._journal.failed(packets.UDP, key[:2], key[2:], e.errno or 0)
            if e.errno in (errno.ENETUNREACH, errno.EAFNOSUPPORT):
                self._tell(key, packets.NO_ROUTE)
            elif e.errno == errno.EHOSTUNREACH:
                self._tell(key, packets.NO_HOST)
            self._close(flow)
            return
        if self._journal is not None:
            flow.token = self._journal.began(packets.UDP, key[:2], key[2:], outside)
        self._loop.watch(outside.fileno(), lambda _events: self._on_outside(flow), IN)
        unsent, flow.unsent = flow.unsent, []
        for data in unsent:
            self._send_out(flow, data)

    def _connect_inside(self, flow: _Flow, sock: "_socket.socket | None") -> None:
        if self._flows.get(flow.key) is not flow or sock is None:
            if sock is not None:
                sock.close()
            return
        source, source_port, destination, port = flow.key
        try:
            sock.bind((shown(destination), port))
            sock.connect((shown(source), source_port))
        except OSError:
            sock.close()
            self._close(flow)
            return
        flow.inside = sock
        self._loop.watch(sock.fileno(), lambda _events: self._on_inside(flow), IN)
        held, flow.held = flow.held, []
        for data in held:
            self._send_in(flow, data)
        if flow.once and held:
            self._close(flow)

    def _on_inside(self, flow: _Flow) -> None:
        assert flow.inside is not None
        for _ in range(_BURST):
            try:
                data = flow.inside.recv(_DATAGRAM_MAX)
            except OSError:
                return  # or the container has closed its socket: the flow rests from now on
            self._send_out(flow, data)
            if self._flows.get(flow.key) is not flow:
                return

    def _send_out(self, flow: _Flow, data: bytes) -> None:
        flow.used = time.monotonic()
        if flow.outside is None:
            if len(flow.unsent) < _HELD_MAX:
                flow.unsent.append(data)
            return
        try:
            flow.outside.send(data)
        except BlockingIOError:
            pass
        except OSError as e:
            self._on_refused(flow, e.errno or 0)

    def _on_outside(self, flow: _Flow) -> None:
        assert flow.outside is not None
        for _ in range(_BURST):
            try:
                data = flow.outside.recv(_DATAGRAM_MAX)
            except BlockingIOError:
                return
            except OSError as e:
                self._on_refused(flow, e.errno or 0)
                return
            flow.used = time.monotonic()
            flow.answered = True
            if flow.inside is not None:
                self._send_in(flow, data)
            elif len(flow.held) < _HELD_MAX:
                flow.held.append(data)
            if flow.once and flow.inside is not None:
                self._close(flow)
                return

    def _send_in(self, flow: _Flow, data: bytes) -> None:
        assert flow.inside is not None
        try:
            flow.inside.send(data)
        except OSError:
            pass  # the container's socket is gone, or full: UDP promises nothing

    def _on_refused(self, flow: _Flow, error: int) -> None:
        """An ICMP error came from outside, or the host knows no way."""
        flow.error = error
        if error == errno.ECONNREFUSED:
            self._tell(flow.key, packets.NO_PORT)
            self._close(flow)
        elif error in (errno.EHOSTUNREACH, errno.ENETUNREACH):
            self._tell(flow.key, packets.NO_HOST)
            self._close(flow)

    def _tell(self, key: "Key", error: int) -> None:
        """An ICMP error for the container."""
        source, source_port, destination, port = key
        sent = packets.datagram(source, source_port, destination, port, b"")
        packet = packets.unreachable(error, sent, destination)
        try:
            self._sockets["raw4" if len(source) == 4 else "raw6"].sendto(packet, (shown(source), 0))
        except OSError:
            pass

    def _close(self, flow: _Flow) -> None:
        if self._flows.get(flow.key) is not flow:
            return
        del self._flows[flow.key]
        if flow.server and not flow.answered:
            self._policy.server_is_silent(flow.server)
        if flow.token is not None and self._journal is not None:
            self._journal.ended(flow.token, 2 if flow.error or flow.answered else 0, flow.error)
        for sock in (flow.outside, flow.inside):
            if sock is not None:
                self._loop.forget(sock.fileno())
                sock.close()

    def _sweep_later(self) -> None:
        if not self._sweeping:
            self._sweeping = True
            self._loop.call_after(_SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = False
        now = time.monotonic()
        for flow in list(self._flows.values()):
            if flow.used + flow.rests_after() < now:
                self._close(flow)
        if self._flows:
            self._sweep_later()

    def close(self) -> None:
        for flow in list(self._flows.values()):
            self._close(flow)
        for spare in self._spare.values():
            spare.close()


def _asked(ancillary: "Any") -> "tuple[bytes, int] | None":
    """The address and port that a datagram was sent to: IP_RECVORIGDSTADDR, ip(7)."""
    for level, kind, data in ancillary:
        if (level, kind) == (_socket.IPPROTO_IP, _IP_ORIGDSTADDR):
            return data[4:8], struct.unpack_from("!H", data, 2)[0]
        if (level, kind) == (_socket.IPPROTO_IPV6, _IPV6_ORIGDSTADDR):
            return data[8:24], struct.unpack_from("!H", data, 2)[0]
    return None


def _connected(target: "Target", source: str) -> "_socket.socket":
    family = _socket.AF_INET6 if ":" in target[0] else _socket.AF_INET
    sock = _socket.socket(family, _socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        # The container has no way of knowing the path's MTU: large ones are sent in fragments.
        if family == _socket.AF_INET:
            sock.setsockopt(_socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DONT)
        else:
            sock.setsockopt(_socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_DONT)
        if source:
            sock.bind((source, 0))
        sock.connect(target)
    except OSError:
        sock.close()
        raise
    return sock
