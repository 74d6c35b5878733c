"""Published TCP ports: accepted outside, connected inside from the client's own address.

The socket inside is a transparent one (IP_TRANSPARENT, ip(7)), so that the container sees who
really asks.  A client of the host's loopback comes from the gateway's address.
"""

import _socket
import os

from rootless.network.stack.addresses import packed, prefix
from rootless.network.stack.listener import Listener
from rootless.network.stack.loop import ERR, HUP, OUT, Loop
from rootless.network.stack.relay import Pipes, Relay, reset
from rootless.network.stack.spare import Spare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rootless.network.guarded import Owner
    from rootless.network.ports import Port
    from rootless.network.stack.spare import Maker

_KNOWN_MAX = 1024
_NOBODY = ("127.0.0.1", 0)  # a client without an address that it could keep
# What would be taken for somebody of the container's own.
_HIDDEN = [prefix(one) for one in ("127.0.0.0/8", "0.0.0.0/8", "::1/128", "fe80::/10")]


class Place:
    """Where published ports lead: for each family the container's address, and the one that
    clients have who can't keep theirs ("" for the container's own)."""

    def __init__(
        self, addresses: "dict[int, tuple[str, str]]", networks: "Sequence[str]" = ()
    ) -> None:
        """`networks` are the container's: no client is shown as one of them."""
        self.addresses = addresses
        self._hidden = [*_HIDDEN, *(prefix(one) for one in networks)]
        self._known: dict[str, bool] = {}  # which addresses can be shown

    def _shows(self, address: str) -> bool:
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            bytes_ = packed(address)
            known = self._known[address] = not any(one.has(bytes_) for one in self._hidden)
        return known

    def bind(self, sock: "_socket.socket", peer: "tuple[str, int]") -> None:
        """Give `sock` the client's address and port, or the gateway's address."""
        if self._shows(peer[0]):
            try:
                sock.bind(peer)
                return
            except OSError:
                pass  # no transparent socket, or the port is another connection of the client's
        gateway = self.addresses[sock.family][1]
        if gateway:
            try:
                sock.bind((gateway, 0))
            except OSError:
                pass


class Incoming:
    """Connections to published ports."""

    def __init__(self, loop: Loop, pipes: Pipes, maker: "Maker", place: Place) -> None:
        self._loop = loop
        self._pipes = pipes
        self._place = place
        self._spare = {
            family: Spare(loop, maker, family, _socket.SOCK_STREAM) for family in place.addresses
        }
        self._listeners: list[Listener] = []
        self._paths: list[str] = []
        self._owner: Owner | None = None
        self._connecting: dict[int, tuple[_socket.socket, _socket.socket]] = {}
        self._relays: set[Relay] = set()

    def publish(self, listener: "_socket.socket", port: "Port") -> None:
        """Forward what `listener` accepts to the container."""
        if port.path:
            self._paths.append(port.path)
        if port.guard.get("private") and self._owner is None:
            from rootless.network.guarded import Owner

            self._owner = Owner()
        self._listeners.append(
            Listener(self._loop, listener, lambda client, peer: self._greet(client, peer, port))
        )
        for spare in self._spare.values():
            spare.refill()

    def _greet(self, client: "_socket.socket", peer: "Any", port: "Port") -> None:
        number = port.container_port
        if client.family == _socket.AF_UNIX:
            self._connect(client, _NOBODY, number, _socket.AF_INET)
        elif self._owner is not None and port.guard and not self._owner.is_ours(client):
            reset(client)
        else:
            address = peer[0].partition("%")[0]
            self._connect(client, (address, peer[1]), number, client.family)

    def _connect(
        self, client: "_socket.socket", peer: "tuple[str, int]", port: int, family: int
    ) -> None:
        """Towards the container, over `family`."""
        spare = self._spare.get(family)
        if spare is None:
            self._connect(client, _NOBODY, port, _socket.AF_INET)
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
        try:
            self._place.bind(inside, peer)
            inside.connect((self._place.addresses[inside.family][0], port))
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
            self._connect(client, _NOBODY, port, _socket.AF_INET)
        else:
            reset(client)

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners = []
        for path in self._paths:
            try:
                os.unlink(path)
            except OSError:
                pass
        if self._owner is not None:
            self._owner.close()
        for client, inside in self._connecting.values():
            self._loop.forget(inside.fileno())
            client.close()
            inside.close()
        self._connecting = {}
        for relay in list(self._relays):
            relay.abort()
        for spare in self._spare.values():
            spare.close()
