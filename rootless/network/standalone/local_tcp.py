"""-L tcp:// and tcppp://: TCP connections from the host to the guest."""

import _socket
import os
import select

from rootless.network.stack.incoming import Place
from rootless.network.stack.listener import Listener
from rootless.network.stack.loop import ERR, HUP, IN, OUT, Loop
from rootless.network.stack.relay import Pipes, Relay, reset
from rootless.network.stack.spare import Spare
from rootless.network.standalone import local, proxy_protocol
from rootless.network.standalone.journal import end_text, ending

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.network.stack.gateway import Gateway
    from rootless.network.standalone.forwards import Forward
    from rootless.network.standalone.journal import Journal
    from rootless.network.standalone.names import Names

_HEADER_S = 10.0  # for a proxy to say who its client is
_HEADER_MAX = 4096


class _Client:
    """A connection on its way to the guest."""

    __slots__ = ("asked_port", "forward", "sock", "source", "ways")

    def __init__(self, sock: "_socket.socket", forward: "Forward", peer: "tuple[str, int]") -> None:
        self.sock = sock
        self.forward = forward
        self.source = peer  # as the guest shall see it
        here = local.plain(sock.getsockname()[:2])
        self.asked_port = here[1]
        self.ways = local.Ways(forward, peer, here)


class LocalTcp:
    """All TCP forwards of -L."""

    def __init__(
        self,
        loop: Loop,
        pipes: Pipes,
        gateway: "Gateway",
        place: Place,
        names: "Names",
        journal: "Journal",
    ) -> None:
        self._loop = loop
        self._pipes = pipes
        self._place = place
        self._names = names
        self._journal = journal
        self._spare = {
            family: Spare(loop, gateway, family, _socket.SOCK_STREAM) for family in place.addresses
        }
        self._clients: set[_Client] = set()
        self._connecting: dict[_Client, _socket.socket] = {}
        self._relays: set[Relay] = set()
        self._listeners: set[Listener] = set()

    def publish(self, sock: "_socket.socket", forward: "Forward") -> Listener:
        """Forward what `sock` accepts, until the listener is given to withdraw()."""
        listener = Listener(
            self._loop, sock, lambda client, peer: self._on_client(client, peer, forward)
        )
        self._listeners.add(listener)
        return listener

    def withdraw(self, listener: Listener) -> None:
        """Accept no more; what is connected stays."""
        self._listeners.discard(listener)
        listener.close()

    def _on_client(
        self, sock: "_socket.socket", peer: "tuple[str, int]", forward: "Forward"
    ) -> None:
        sock.setblocking(False)
        try:
            client = _Client(sock, forward, local.plain(peer[:2]))
        except OSError:
            sock.close()  # it has gone already
            return
        self._clients.add(client)
        if not forward.proxied:
            self._find(client)
            return
        self._loop.watch(
            sock.fileno(),
            lambda _events: self._on_header(client),
            IN | select.EPOLLRDHUP | select.EPOLLET,
        )
        self._loop.call_after(_HEADER_S, lambda: self._give_up_header(client))

    def _give_up_header(self, client: _Client) -> None:
        if client in self._clients and client.forward.proxied and client.asked_port >= 0:
            self._bad_header(client, "i/o timeout")

    def _bad_header(self, client: _Client, why: str) -> None:
        self._loop.forget(client.sock.fileno())
        target = end_text(client.forward.host.ip, client.forward.host.port)
        self._journal.told(client.ways.error(target, why), "failed")
        self._drop(client)

    def _on_header(self, client: _Client) -> None:
        """The proxy says who its client is; what follows stays in the socket."""
        try:
            data = client.sock.recv(_HEADER_MAX, _socket.MSG_PEEK)
            found = proxy_protocol.parse(data)
        except BlockingIOError:
            return
        except OSError as e:
            self._bad_header(client, os.strerror(e.errno or 0).lower())
            return
        except ValueError as e:
            self._bad_header(client, f"spp: {e}" if data else "EOF")
            return
        if found is None:
            if not data:
                self._bad_header(client, "EOF")
            return
        self._loop.forget(client.sock.fileno())
        client.sock.recv(found.size)
        if found.source is not None and found.asked is not None:
            client.source = found.source[0], 0  # its port may be another client's, too
            client.asked_port = found.asked[1]
        self._find(client)

    def _find(self, client: _Client) -> None:
        port, client.asked_port = client.asked_port, -1

        def then(found: "tuple[str, int] | None", why: str) -> None:
            if client not in self._clients:
                return
            if found is None:
                self._fail(client, client.forward.host.label, why)
                return
            target = found[0], found[1] or port
            spare = self._spare.get(local.family_of(target[0]))
            if spare is None:
                self._fail(client, end_text(*target), "network is unreachable")
            else:
                spare.take(lambda inside: self._connect(client, inside, target))

        self._names.find(client.forward.host, then)

    def _connect(
        self, client: _Client, inside: "_socket.socket | None", target: "tuple[str, int]"
    ) -> None:
        if inside is None or client not in self._clients:
            if inside is not None:
                inside.close()
            else:
                self._fail(client, end_text(*target), "too many open files")
            return
        try:
            self._place.bind(inside, client.source)
            inside.connect(target)
        except BlockingIOError:
            pass
        except OSError as e:
            inside.close()
            self._fail(client, end_text(*target), os.strerror(e.errno or 0).lower())
            return
        self._connecting[client] = inside
        self._loop.watch(
            inside.fileno(),
            lambda _events: self._on_connected(client, inside, target),
            OUT | ERR | HUP,
        )

    def _on_connected(
        self, client: _Client, inside: "_socket.socket", target: "tuple[str, int]"
    ) -> None:
        error = inside.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        self._loop.forget(inside.fileno())
        del self._connecting[client]
        if error:
            inside.close()
            self._fail(client, end_text(*target), os.strerror(error).lower())
            return
        self._clients.discard(client)
        guest, ways = inside.getsockname()[:2], client.ways
        self._journal.told(f"[+] {ways.line(guest, target, 'conn')}", "local", 1)

        def gone(relay: Relay) -> None:
            self._relays.discard(relay)
            how = ending(relay.first, relay.error)
            self._journal.told(f"[-] {ways.line(guest, target, 'done')}: {how}", change=-1)

        self._relays.add(Relay(self._loop, self._pipes, client.sock, inside, gone))

    def _fail(self, client: _Client, target: str, why: str) -> None:
        self._journal.told(client.ways.error(target, f"l=0/0 r=[{why}]/0"), "failed")
        self._drop(client)

    def _drop(self, client: _Client) -> None:
        if client in self._clients:
            self._clients.discard(client)
            reset(client.sock)

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()
        for client in list(self._clients):
            self._loop.forget(client.sock.fileno())
            self._drop(client)
        for inside in self._connecting.values():
            self._loop.forget(inside.fileno())
            inside.close()
        for relay in list(self._relays):
            relay.abort()
        for spare in self._spare.values():
            spare.close()
