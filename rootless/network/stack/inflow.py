"""Published UDP: datagrams of a bound socket of the host, to a container and back.

Each client has a flow of its own, with a transparent socket of the gateway that has the client's
address where that can be, so that the container sees who really asks; a client of the host's
loopback comes from the gateway's.  Flows that rest are forgotten.
"""

import _socket
import errno
import time

from rootless.network.stack.incoming import Place
from rootless.network.stack.loop import IN, Loop
from rootless.network.stack.spare import Spare
from rootless.network.udp_forward import answer_from, ask_where

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.network.stack.policy import Target
    from rootless.network.stack.spare import Maker

FLOWS_MAX = 1024  # of one port
REST_S = 125.0
_SWEEP_S = 5.0
_BURST, _HELD_MAX = 64, 1 << 16
_DATAGRAM_MAX = 65535
_MAPPED = "::ffff:"


def unmapped(address: str) -> str:
    """1.2.3.4 for ::ffff:1.2.3.4; without a scope."""
    address = address.partition("%")[0]
    return address[len(_MAPPED) :] if address.startswith(_MAPPED) and "." in address else address


class Flow:
    """One client's datagrams; `inside` is connected to `goal`."""

    __slots__ = ("answer", "answered", "client", "error", "goal", "held", "inside", "source",
                 "used")  # fmt: skip

    def __init__(self, client: "Any", ancillary: "Any") -> None:
        self.client = client
        self.answer = answer_from(ancillary)
        self.source = unmapped(client[0]), int(client[1])  # as the container shall see it
        self.goal: Target = ("", 0)
        self.inside: _socket.socket | None = None
        self.held: list[bytes] = []  # until an answer over IPv6: IPv4 may be the way
        self.answered = False
        self.error = 0
        self.used = time.monotonic()


class Inflow:
    """One port, and its flows.  What differs is in the methods that begin(), and those after."""

    def __init__(
        self,
        loop: Loop,
        spares: "dict[int, Spare]",
        place: Place,
        sock: "_socket.socket",
    ) -> None:
        self._loop = loop
        self._spares = spares
        self._place = place
        self._sock = sock
        self._flows: dict[object, Flow] = {}
        self._sweeping = False
        sock.setblocking(False)
        ask_where(sock)
        loop.watch(sock.fileno(), self._on_clients, IN)

    def _on_clients(self, _events: int) -> None:
        for _ in range(_BURST):
            try:
                data, ancillary, _, client = self._sock.recvmsg(_DATAGRAM_MAX, 128)
            except OSError:
                return
            flow = self._flows.get(client)
            if flow is not None:
                self._send_in(flow, data)
                continue
            flow = self.new_flow(client, ancillary, data)
            if flow is None:
                continue
            if len(self._flows) >= FLOWS_MAX:
                self.end(min(self._flows.values(), key=lambda one: one.used))
            self._flows[client] = flow
            self._sweep_later()
            self._send_in(flow, data)
            self.begin(flow)

    def new_flow(self, client: "Any", ancillary: "Any", data: bytes) -> "Flow | None":
        """For the first datagram of a client; None where it is not to be forwarded."""
        return Flow(client, ancillary)

    def begin(self, flow: Flow) -> None:
        """Call connect(), now or later."""
        raise NotImplementedError

    def began(self, flow: Flow) -> None:
        """It is connected."""

    def unwrap(self, flow: Flow, data: bytes) -> "bytes | None":
        """What the container gets of a datagram; None for nothing."""
        return data

    def wrap(self, flow: Flow) -> bytes:
        """What is in front of the container's answers."""
        return b""

    def after_answer(self, flow: Flow) -> None:
        """The container has answered."""

    def fail(self, flow: Flow, error: int) -> None:
        """It can't be connected, or the container refuses."""
        flow.error = error
        self.end(flow)

    def ended(self, flow: Flow) -> None:
        """It is forgotten."""

    def has(self, flow: Flow) -> bool:
        return self._flows.get(flow.client) is flow

    def connect(self, flow: Flow, goal: "Target") -> None:
        """Connect `flow`, anew if it was connected already."""
        flow.goal = goal
        family = _socket.AF_INET6 if ":" in goal[0] else _socket.AF_INET
        spare = self._spares.get(family)
        if spare is None:
            self.fail(flow, errno.ENETUNREACH)
        else:
            spare.take(lambda sock: self._connect(flow, sock, goal))

    def _connect(self, flow: Flow, inside: "_socket.socket | None", goal: "Target") -> None:
        if inside is None or not self.has(flow):
            if inside is not None:
                inside.close()
            else:
                self.fail(flow, errno.EMFILE)
            return
        try:
            self._place.bind(inside, flow.source)
            inside.connect(goal)
        except OSError as e:
            inside.close()
            self.fail(flow, e.errno or 0)
            return
        flow.inside = inside
        self._loop.watch(inside.fileno(), lambda _events: self._on_container(flow), IN)
        self.began(flow)
        for data in flow.held:
            self._pass(flow, data)
        if ":" not in goal[0]:
            flow.held, flow.answered = [], True  # there is no other way

    def _send_in(self, flow: Flow, data: bytes) -> None:
        flow.used = time.monotonic()
        plain = self.unwrap(flow, data)
        if plain is None:
            return
        if not flow.answered and sum(map(len, flow.held)) + len(plain) <= _HELD_MAX:
            flow.held.append(plain)
        if flow.inside is not None:
            self._pass(flow, plain)

    def _pass(self, flow: Flow, data: bytes) -> None:
        try:
            if flow.inside is not None:
                flow.inside.send(data)
        except OSError:
            pass  # nobody listens there, or it is full: UDP promises nothing

    def _on_container(self, flow: Flow) -> None:
        for _ in range(_BURST):
            try:
                if flow.inside is None:
                    return
                data = flow.inside.recv(_DATAGRAM_MAX)
            except BlockingIOError:
                return
            except OSError as e:
                self.fail(flow, e.errno or 0)
                return
            flow.used = time.monotonic()
            flow.answered = True
            flow.held = []
            try:
                self._sock.sendmsg([self.wrap(flow), data], flow.answer, 0, flow.client)
            except OSError:
                pass
            self.after_answer(flow)

    def disconnect(self, flow: Flow) -> None:
        """Let go of the socket inside."""
        if flow.inside is not None:
            self._loop.forget(flow.inside.fileno())
            flow.inside.close()
            flow.inside = None

    def end(self, flow: Flow) -> None:
        """Forget `flow`."""
        if self.has(flow):
            del self._flows[flow.client]
            was_connected = flow.inside is not None
            self.disconnect(flow)
            if was_connected:
                self.ended(flow)

    def _sweep_later(self) -> None:
        if not self._sweeping:
            self._sweeping = True
            self._loop.call_after(_SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = False
        oldest = time.monotonic() - REST_S
        for flow in [one for one in self._flows.values() if one.used < oldest]:
            self.end(flow)
        if self._flows:
            self._sweep_later()

    def close(self) -> None:
        self._loop.forget(self._sock.fileno())
        self._sock.close()
        for flow in list(self._flows.values()):
            self.end(flow)


class Published(Inflow):
    """A published UDP port of a container: to its address of the client's family, or IPv4 where
    nobody listens there."""

    def __init__(
        self,
        loop: Loop,
        spares: "dict[int, Spare]",
        place: Place,
        sock: "_socket.socket",
        port: int,
    ) -> None:
        super().__init__(loop, spares, place, sock)
        self._port = port

    def begin(self, flow: Flow) -> None:
        family = _socket.AF_INET6 if ":" in flow.source[0] else _socket.AF_INET
        if family not in self._place.addresses:
            family = _socket.AF_INET
        self.connect(flow, (self._place.addresses[family][0], self._port))

    def fail(self, flow: Flow, error: int) -> None:
        if ":" in flow.goal[0] and not flow.answered:
            self.disconnect(flow)
            self.connect(flow, (self._place.addresses[_socket.AF_INET][0], self._port))
        else:
            super().fail(flow, error)


def spares(loop: Loop, maker: "Maker", place: Place) -> "dict[int, Spare]":
    """Datagram sockets for both families."""
    return {family: Spare(loop, maker, family, _socket.SOCK_DGRAM) for family in place.addresses}
