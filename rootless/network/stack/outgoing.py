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
from rootless.network.stack.listener import Listener
from rootless.network.stack.loop import IN, OUT, Loop
from rootless.network.stack.policy import Later
from rootless.network.stack.relay import Pipes, Relay, reset

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rootless.network.stack.gateway import Gateway
    from rootless.network.stack.policy import Journal, Rules, Target

PENDING_MAX = 4096
_BURST = 64
_SYN_MAX = 4096
_NONBLOCKING = _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK
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

    def __init__(self, syn: packets.Syn) -> None:
        self.syn = syn
        self.sock: _socket.socket | None = None
        self.passed = False  # the gateway's kernel has the SYN
        self.due = time.monotonic() + _CONNECT_S


class Outgoing:
    """TCP from the container, both families."""

    def __init__(
        self,
        loop: Loop,
        pipes: Pipes,
        gateway: "Gateway",
        policy: "Rules",
        journal: "Journal | None" = None,
    ) -> None:
        self._loop = loop
        self._pipes = pipes
        self._policy = policy
        self._journal = journal
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
        Listener(self._loop, listener, self._on_accepted)

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
        target = self._policy.target(syn.destination, syn.destination_port, packets.TCP)
        if target is None:
            self._send(syn, packets.refuse(syn))
            return
        pending = _Pending(syn)
        self._pending[syn.key] = pending
        self._sweep_later()
        if isinstance(target, Later):
            target.then(lambda found: self._on_found(pending, found))
        else:
            self._connect(pending, target)

    def _on_found(self, pending: _Pending, target: "Target | None") -> None:
        if self._pending.get(pending.syn.key) is not pending:
            return  # it took too long
        if target is None:
            if self._journal is not None:
                syn = pending.syn
                self._journal.failed(packets.TCP, syn.key[:2], syn.key[2:], 0)
            self._let_in(pending)  # somebody serves this port, and ends it at once
        else:
            self._connect(pending, target)

    def _connect(self, pending: _Pending, target: "Target") -> None:
        family = _socket.AF_INET6 if ":" in target[0] else _socket.AF_INET
        try:
            pending.sock = sock = _socket.socket(family, _NONBLOCKING)
            source = self._policy.source(family)
            if source:
                sock.bind((source, 0))
            sock.connect(target)
        except BlockingIOError:
            pass
        except OSError as e:
            self._drop(pending)
            self._fail(pending.syn, e.errno or 0)
            return
        self._loop.watch(sock.fileno(), lambda _events: self._on_connected(pending), OUT)

    def _on_connected(self, pending: _Pending) -> None:
        assert pending.sock is not None
        error = pending.sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        if error:
            self._drop(pending)
            self._fail(pending.syn, error)
            return
        self._loop.forget(pending.sock.fileno())
        self._let_in(pending)

    def _let_in(self, pending: _Pending) -> None:
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

    def _on_accepted(self, inside: "_socket.socket", peer: "Any") -> None:
        address, port = inside.getsockname()[:2]
        key = packed(peer[0].partition("%")[0]), peer[1], packed(address), port
        pending = self._pending.pop(key, None)
        if pending is None or not pending.passed:
            reset(inside)
            return
        if pending.sock is None:
            inside.close()  # a reset might come before connect(2) has returned
            return
        gone = self._gone(pending)
        self._relays.add(Relay(self._loop, self._pipes, inside, pending.sock, gone))

    def _gone(self, pending: _Pending) -> "Callable[[Relay], None]":
        """What is to be done when the relay of `pending` has ended."""
        journal, syn = self._journal, pending.syn
        if journal is None:
            return self._relays.discard
        assert pending.sock is not None
        token = journal.began(packets.TCP, syn.key[:2], syn.key[2:], pending.sock)

        def gone(relay: Relay) -> None:
            self._relays.discard(relay)
            journal.ended(token, relay.first, relay.error)

        return gone

    def _fail(self, syn: packets.Syn, error: int) -> None:
        """Tell the container why there is no connection."""
        if self._journal is not None:
            self._journal.failed(packets.TCP, syn.key[:2], syn.key[2:], error)
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
        if pending.sock is not None:
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
