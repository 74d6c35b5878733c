"""The container's TCP connections to the world.

A SYN is held back until the connection outside stands; only then does the gateway's kernel get it
and answer.  So the container sees what is: a port that refuses is refused, an unreachable network
unreachable, one that is silent silent, and a slow one slow.
"""

import _socket
import errno
import time

from rootless.network.stack import packets
from rootless.network.stack.addresses import packed, shown
from rootless.network.stack.loop import IN, OUT, REST_S, Loop
from rootless.network.stack.relay import Pipes, Relay, reset

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.network.stack.gateway import Gateway
    from rootless.network.stack.policy import Policy

PENDING_MAX = 4096
_BURST = 64
_SYN_MAX = 4096
_LOOPBACK = 1  # the index of lo in every namespace
_CONNECT_S = 150  # the kernel gives up after 127
_ACCEPT_S = 15
_SWEEP_S = 5
_ICMP = {
    errno.ENETUNREACH: packets.NO_ROUTE,
    errno.ENETDOWN: packets.NO_ROUTE,
    errno.EAFNOSUPPORT: packets.NO_ROUTE,
    errno.EHOSTUNREACH: packets.NO_HOST,
    errno.EHOSTDOWN: packets.NO_HOST,
    errno.EACCES: packets.PROHIBITED,
    errno.EPERM: packets.PROHIBITED,
}
# The container tries again by itself: it takes too long, or we have too few of something.
_SILENT = frozenset(
    (errno.ETIMEDOUT, errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS,
     errno.ENOMEM, errno.EAGAIN)
)  # fmt: skip


class _Pending:
    """A connection that is made outside, or waits to be accepted inside."""

    __slots__ = ("due", "passed", "sock", "syn")

    def __init__(self, syn: packets.Syn, sock: "_socket.socket") -> None:
        self.syn = syn
        self.sock = sock
        self.passed = False  # the gateway's kernel has the SYN
        self.due = time.monotonic() + _CONNECT_S


class Outgoing:
    """TCP from the container, both families."""

    def __init__(self, loop: Loop, pipes: Pipes, gateway: "Gateway", policy: "Policy") -> None:
        self._loop = loop
        self._pipes = pipes
        self._policy = policy
        self._sockets = gateway.sockets
        self._pending: dict[tuple[bytes, int, bytes, int], _Pending] = {}
        self._relays: set[Relay] = set()
        self._sweeping = False
        for version in ("4", "6"):
            if f"tcp{version}" in self._sockets:
                self._watch(version)

    def _watch(self, version: str) -> None:
        packet, listener = self._sockets[f"packet{version}"], self._sockets[f"tcp{version}"]
        self._loop.watch(packet.fileno(), lambda _events: self._on_syns(packet), IN)
        self._loop.watch(listener.fileno(), lambda _events: self._on_accept(listener), IN)

    def _on_syns(self, sock: "_socket.socket") -> None:
        for _ in range(_BURST):
            try:
                packet = sock.recv(_SYN_MAX)
            except OSError:
                return
            syn = packets.parse_syn(packet)
            if syn is not None:
                self._on_syn(syn)

    def _on_syn(self, syn: packets.Syn) -> None:
        pending = self._pending.get(syn.key)
        if pending is not None:
            if pending.syn.sequence == syn.sequence:
                if pending.passed:
                    self._pass_on(pending)
                return
            self._drop(pending)  # another connection from the same port
        if len(self._pending) >= PENDING_MAX:
            return
        target = self._policy.target(syn.destination, syn.destination_port)
        if target is None:
            self._send(syn, packets.refuse(syn))
            return
        family = _socket.AF_INET6 if ":" in target[0] else _socket.AF_INET
        try:
            sock = _socket.socket(family, _socket.SOCK_STREAM)
        except OSError as e:
            self._fail(syn, e.errno or 0)
            return
        sock.setblocking(False)
        try:
            sock.connect(target)
        except BlockingIOError:
            pass
        except OSError as e:
            sock.close()
            self._fail(syn, e.errno or 0)
            return
        pending = _Pending(syn, sock)
        self._pending[syn.key] = pending
        self._loop.watch(sock.fileno(), lambda _events: self._on_connected(pending), OUT)
        self._sweep_later()

    def _on_connected(self, pending: _Pending) -> None:
        error = pending.sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        if error:
            self._drop(pending)
            self._fail(pending.syn, error)
            return
        self._loop.forget(pending.sock.fileno())
        pending.passed = True
        pending.due = time.monotonic() + _ACCEPT_S
        self._pass_on(pending)

    def _pass_on(self, pending: _Pending) -> None:
        """Give the SYN to the gateway's kernel; what comes by lo has been seen by us."""
        version, protocol = ("4", 0x0800) if len(pending.syn.source) == 4 else ("6", 0x86DD)
        try:
            self._sockets[f"packet{version}"].sendto(
                pending.syn.packet, ("lo", protocol, 0, 0, bytes(6))
            )
        except OSError:
            pass  # the container's next SYN is the next try

    def _on_accept(self, listener: "_socket.socket") -> None:
        for _ in range(_BURST):
            try:
                fd, peer = listener._accept()  # type: ignore[attr-defined]
            except BlockingIOError:
                return
            except OSError:
                # Out of descriptors, mostly: they wait in the backlog until some are free.
                self._loop.forget(listener.fileno())
                self._loop.call_after(REST_S, lambda: self._accept_again(listener))
                return
            inside = _socket.socket(listener.family, _socket.SOCK_STREAM, 0, fd)
            address, port = inside.getsockname()[:2]
            key = packed(peer[0].partition("%")[0]), peer[1], packed(address), port
            pending = self._pending.pop(key, None)
            if pending is None or not pending.passed:
                reset(inside)
                continue
            relay = Relay(self._loop, self._pipes, inside, pending.sock, self._relays.discard)
            self._relays.add(relay)

    def _accept_again(self, listener: "_socket.socket") -> None:
        if listener.fileno() >= 0:
            self._loop.watch(listener.fileno(), lambda _events: self._on_accept(listener), IN)

    def _fail(self, syn: packets.Syn, error: int) -> None:
        """Tell the container why there is no connection."""
        if error in _SILENT:
            return
        kind = _ICMP.get(error)
        if kind is None:
            self._send(syn, packets.refuse(syn))
        else:
            self._send(syn, packets.unreachable(kind, syn.packet, syn.destination))

    def _send(self, syn: packets.Syn, packet: bytes) -> None:
        raw = self._sockets["raw4" if len(syn.source) == 4 else "raw6"]
        try:
            raw.sendto(packet, (shown(syn.source), 0))
        except OSError:
            pass

    def _drop(self, pending: _Pending) -> None:
        self._pending.pop(pending.syn.key, None)
        self._loop.forget(pending.sock.fileno())
        pending.sock.close()

    def _sweep_later(self) -> None:
        if not self._sweeping:
            self._sweeping = True
            self._loop.call_after(_SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        """Forget what nobody waits for any more."""
        self._sweeping = False
        now = time.monotonic()
        for pending in [one for one in self._pending.values() if one.due < now]:
            self._drop(pending)
        if self._pending:
            self._sweep_later()

    def close(self) -> None:
        for pending in list(self._pending.values()):
            self._drop(pending)
        for relay in list(self._relays):
            relay.abort()
