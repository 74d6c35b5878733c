"""Published TCP ports: accepted outside, connected inside from the client's own address.

The socket inside is a transparent one of the gateway (IP_TRANSPARENT, ip(7)), so that the
container sees who really asks.  A client of the host's loopback comes from the gateway's address.
"""

import _socket

from rootless.network.stack import gateway as gateways
from rootless.network.stack.loop import ERR, HUP, IN, OUT, Loop
from rootless.network.stack.outgoing import REST_S
from rootless.network.stack.policy import packed, prefix
from rootless.network.stack.relay import Pipes, Relay, reset
from rootless.network.stack.spare import Spare

_BURST = 64
# What would not find its way back, or be taken for somebody of the container's own network.
_HIDDEN = [
    prefix(one) for one in ("127.0.0.0/8", "0.0.0.0/8", "10.0.2.0/24", "::1/128", "fd00::/64",
                            "fe80::/10")
]  # fmt: skip


class Incoming:
    """Connections to published ports."""

    def __init__(self, loop: Loop, pipes: Pipes, gateway: gateways.Gateway) -> None:
        self._loop = loop
        self._pipes = pipes
        self._spare = {
            family: Spare(loop, gateway, family, _socket.SOCK_STREAM)
            for name, family in (("tcp4", _socket.AF_INET), ("tcp6", _socket.AF_INET6))
            if name in gateway.sockets
        }
        self._listeners: list[_socket.socket] = []
        self._connecting: dict[int, tuple[_socket.socket, _socket.socket]] = {}
        self._relays: set[Relay] = set()

    def publish(self, listener: "_socket.socket", port: int) -> None:
        """Forward what `listener` accepts to the container's `port`."""
        listener.setblocking(False)
        self._listeners.append(listener)
        self._watch(listener, port)
        for spare in self._spare.values():
            spare.refill()

    def _watch(self, listener: "_socket.socket", port: int) -> None:
        self._loop.watch(listener.fileno(), lambda _events: self._on_clients(listener, port), IN)

    def _on_clients(self, listener: "_socket.socket", port: int) -> None:
        for _ in range(_BURST):
            try:
                fd, peer = listener._accept()  # type: ignore[attr-defined]
            except BlockingIOError:
                return
            except OSError:
                # Out of descriptors, mostly: the clients wait in the backlog.
                self._loop.forget(listener.fileno())
                self._loop.call_after(REST_S, lambda: self._watch_again(listener, port))
                return
            client = _socket.socket(listener.family, _socket.SOCK_STREAM, 0, fd)
            address = peer[0].partition("%")[0]
            self._connect(client, (address, peer[1]), port, listener.family)

    def _watch_again(self, listener: "_socket.socket", port: int) -> None:
        if listener in self._listeners:
            self._watch(listener, port)

    def _connect(
        self, client: "_socket.socket", peer: "tuple[str, int]", port: int, family: int
    ) -> None:
        """Towards the container, over `family`."""
        spare = self._spare.get(family)
        if spare is None:
            self._connect(client, ("127.0.0.1", 0), port, _socket.AF_INET)
            return
        spare.take(lambda sock: self._start(client, sock, peer, port))

    def _start(
        self,
        client: "_socket.socket",
        inside: "_socket.socket | None",
        peer: "tuple[str, int]",
        port: int,
    ) -> None:
        if inside is None:
            reset(client)
            return
        version4 = inside.family == _socket.AF_INET
        inside.setblocking(False)
        try:
            _bind(inside, peer)
            inside.connect((gateways.IP4 if version4 else gateways.IP6, port))
        except BlockingIOError:
            pass
        except OSError:
            inside.close()
            reset(client)
            return
        self._connecting[inside.fileno()] = (client, inside)
        self._loop.watch(
            inside.fileno(),
            lambda _events: self._on_connected(client, inside, port),
            OUT | ERR | HUP,
        )

    def _on_connected(self, client: "_socket.socket", inside: "_socket.socket", port: int) -> None:
        error = inside.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        self._loop.forget(inside.fileno())
        del self._connecting[inside.fileno()]
        if not error:
            self._relays.add(Relay(self._loop, self._pipes, client, inside, self._relays.discard))
            return
        inside.close()
        if inside.family == _socket.AF_INET6:
            # A program that knows IPv4 alone; its clients come from the gateway then.
            self._connect(client, ("127.0.0.1", 0), port, _socket.AF_INET)
        else:
            reset(client)

    def close(self) -> None:
        for listener in self._listeners:
            self._loop.forget(listener.fileno())
            listener.close()
        self._listeners = []
        for client, inside in self._connecting.values():
            self._loop.forget(inside.fileno())
            client.close()
            inside.close()
        self._connecting = {}
        for relay in list(self._relays):
            relay.abort()
        for spare in self._spare.values():
            spare.close()


def _bind(sock: "_socket.socket", peer: "tuple[str, int]") -> None:
    """Give `sock` the client's address and port, or the gateway's address."""
    if not any(one.has(packed(peer[0])) for one in _HIDDEN):
        try:
            sock.bind(peer)
            return
        except OSError:
            pass  # this port is taken by another connection of the client's
    sock.bind((gateways.GATEWAY4 if sock.family == _socket.AF_INET else gateways.GATEWAY6, 0))
