"""-L udp://, udprpc:// and udpspp://: datagrams from the host to the guest."""

import _socket
import os
import time

from rootless.network.stack.incoming import Place
from rootless.network.stack.loop import IN, Loop
from rootless.network.stack.spare import Spare
from rootless.network.standalone import local, proxy_protocol
from rootless.network.standalone.journal import end_text, ending, unmapped
from rootless.network.udp_forward import reply_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.network.stack.gateway import Gateway
    from rootless.network.standalone.forwards import Forward
    from rootless.network.standalone.journal import Journal
    from rootless.network.standalone.names import Names

FLOWS_MAX = 1024  # of one forward
REST_S = 125.0
_SWEEP_S = 5.0
_BURST, _HELD_MAX = 64, 16
_DATAGRAM_MAX = 65535
_IP_PKTINFO, _IPV6_RECVPKTINFO, _IPV6_PKTINFO = 8, 49, 50


class _Flow:
    """One client's datagrams; `inside` is connected to the guest."""

    __slots__ = (
        "answer", "asked_port", "client", "error", "header", "held", "inside", "line", "source",
        "used", "ways",
    )  # fmt: skip

    def __init__(self, client: "Any", answer: "Any", ways: local.Ways) -> None:
        self.client = client
        self.answer = answer  # ancillary data that makes replies leave from the asked address
        self.ways = ways
        self.source = local.plain(client[:2])
        self.asked_port = 0
        self.header = b""  # in front of each datagram, both ways
        self.inside: _socket.socket | None = None
        self.held: list[bytes] = []
        self.line = ""
        self.error = 0
        self.used = time.monotonic()


class LocalUdp:
    """One UDP forward of -L; `sock` is bound."""

    def __init__(
        self,
        loop: Loop,
        gateway: "Gateway",
        place: Place,
        names: "Names",
        journal: "Journal",
        sock: "_socket.socket",
        forward: "Forward",
    ) -> None:
        self._loop = loop
        self._place = place
        self._names = names
        self._journal = journal
        self._sock = sock
        self._forward = forward
        self._spare = {
            family: Spare(loop, gateway, family, _socket.SOCK_DGRAM) for family in place.addresses
        }
        self._flows: dict[object, _Flow] = {}
        self._sweeping = False
        sock.setblocking(False)
        if sock.family == _socket.AF_INET6:
            sock.setsockopt(_socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(_socket.IPPROTO_IP, _IP_PKTINFO, 1)
        loop.watch(sock.fileno(), self._on_clients, IN)

    def _on_clients(self, _events: int) -> None:
        for _ in range(_BURST):
            try:
                data, ancillary, _, client = self._sock.recvmsg(_DATAGRAM_MAX, 128)
            except OSError:
                return
            flow = self._flows.get(client)
            if flow is None:
                self._open(client, ancillary, data)
                continue
            if self._forward.proxied:
                if len(data) < proxy_protocol.SIMPLE:
                    continue
                data = data[proxy_protocol.SIMPLE :]
            self._send_in(flow, data)

    def _open(self, client: "Any", ancillary: "Any", data: bytes) -> None:
        """The first datagram of a client."""
        here = _asked(ancillary), self._sock.getsockname()[1]
        ways = local.Ways(self._forward, local.plain(client[:2]), here)
        flow = _Flow(client, reply_from(ancillary), ways)
        flow.asked_port = here[1]
        if self._forward.proxied:
            try:
                found = proxy_protocol.parse_simple(data)
            except ValueError as e:
                target = end_text(self._forward.host.ip, self._forward.host.port)
                self._journal.told(ways.error(target, str(e)), "failed")
                return
            flow.header, data = data[: found.size], data[found.size :]
            assert found.source is not None and found.asked is not None
            flow.source, flow.asked_port = (found.source[0], 0), found.asked[1]
        if len(self._flows) >= FLOWS_MAX:
            self._close(min(self._flows.values(), key=lambda one: one.used))
        flow.held.append(data)
        self._flows[client] = flow
        self._sweep_later()
        self._names.find(self._forward.host, lambda found, why: self._on_found(flow, found, why))

    def _on_found(self, flow: _Flow, found: "tuple[str, int] | None", why: str) -> None:
        if self._flows.get(flow.client) is not flow:
            return
        if found is None:
            self._fail(flow, self._forward.host.label, why)
            return
        target = found[0], found[1] or flow.asked_port
        spare = self._spare.get(local.family_of(target[0]))
        if spare is None:
            self._fail(flow, end_text(*target), "network is unreachable")
        else:
            spare.take(lambda inside: self._connect(flow, inside, target))

    def _connect(
        self, flow: _Flow, inside: "_socket.socket | None", target: "tuple[str, int]"
    ) -> None:
        if inside is None or self._flows.get(flow.client) is not flow:
            if inside is not None:
                inside.close()
            else:
                self._fail(flow, end_text(*target), "too many open files")
            return
        inside.setblocking(False)
        try:
            self._place.bind(inside, flow.source)
            inside.connect(target)
        except OSError as e:
            inside.close()
            self._fail(flow, end_text(*target), os.strerror(e.errno or 0).lower())
            return
        flow.inside = inside
        guest = inside.getsockname()[:2]
        flow.line = flow.ways.line(guest, target, "done")
        self._journal.told(f"[+] {flow.ways.line(guest, target, 'conn')}", "local", 1)
        self._loop.watch(inside.fileno(), lambda _events: self._on_guest(flow), IN)
        held, flow.held = flow.held, []
        for data in held:
            self._send_in(flow, data)

    def _send_in(self, flow: _Flow, data: bytes) -> None:
        flow.used = time.monotonic()
        if flow.inside is None:
            if len(flow.held) < _HELD_MAX:
                flow.held.append(data)
            return
        try:
            flow.inside.send(data)
        except OSError:
            pass  # nobody listens in the guest, or it is full: UDP promises nothing

    def _on_guest(self, flow: _Flow) -> None:
        assert flow.inside is not None
        for _ in range(_BURST):
            try:
                data = flow.inside.recv(_DATAGRAM_MAX)
            except BlockingIOError:
                return
            except OSError as e:
                flow.error = e.errno or 0
                self._close(flow)
                return
            flow.used = time.monotonic()
            try:
                self._sock.sendmsg([flow.header, data], flow.answer, 0, flow.client)
            except OSError:
                pass
            if self._forward.rpc:
                self._close(flow)
                return

    def _fail(self, flow: _Flow, target: str, why: str) -> None:
        self._journal.told(flow.ways.error(target, f"l=0/0 r=[{why}]/0"), "failed")
        self._close(flow)

    def _close(self, flow: _Flow) -> None:
        if self._flows.get(flow.client) is not flow:
            return
        del self._flows[flow.client]
        if flow.inside is not None:
            self._loop.forget(flow.inside.fileno())
            flow.inside.close()
            self._journal.told(f"[-] {flow.line}: {ending(2, flow.error)}", change=-1)

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
        self._loop.forget(self._sock.fileno())
        self._sock.close()
        for flow in list(self._flows.values()):
            self._close(flow)
        for spare in self._spare.values():
            spare.close()


def _asked(ancillary: "Any") -> str:
    """The address that a datagram was sent to."""
    for level, kind, data in ancillary:
        if (level, kind) == (_socket.IPPROTO_IP, _IP_PKTINFO):
            return _socket.inet_ntop(_socket.AF_INET, data[8:12])
        if (level, kind) == (_socket.IPPROTO_IPV6, _IPV6_PKTINFO):
            return unmapped(_socket.inet_ntop(_socket.AF_INET6, data[:16]))
    return ""
