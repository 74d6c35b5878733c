"""Small servers in the loop: a request, an answer, the end."""

import _socket
import select

from rootless.network.stack.listener import Listener
from rootless.network.stack.loop import IN, OUT, Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_WAIT_S = 35.0
_CLIENTS_MAX = 64


class _Client:
    __slots__ = ("answer", "data", "sock")

    def __init__(self, sock: "_socket.socket") -> None:
        self.sock = sock
        self.data = b""
        self.answer = b""


class Server:
    """Answers what clients of a listening socket ask.

    `respond(data, ended)` gets all that a client has sent, and whether it sends no more; it gives
    the answer, or None to wait for more.
    """

    def __init__(
        self,
        loop: Loop,
        sock: "_socket.socket",
        respond: "Callable[[bytes, bool], bytes | None]",
    ) -> None:
        self._loop = loop
        self._respond = respond
        self._clients: set[_Client] = set()
        self._listener = Listener(loop, sock, self._on_client)

    def _on_client(self, sock: "_socket.socket", _peer: "Any") -> None:
        if len(self._clients) >= _CLIENTS_MAX:
            sock.close()
            return
        sock.setblocking(False)
        client = _Client(sock)
        self._clients.add(client)
        self._loop.watch(
            sock.fileno(), lambda events: self._on_data(client, events), IN | select.EPOLLRDHUP
        )
        self._loop.call_after(_WAIT_S, lambda: self._close(client))

    def _on_data(self, client: _Client, _events: int) -> None:
        try:
            data = client.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            self._close(client)
            return
        client.data += data
        answer = self._respond(client.data, not data)
        if answer is not None:
            client.answer = answer
            self._loop.change(client.sock.fileno(), lambda _events: self._send(client), OUT)
        elif not data:
            self._close(client)

    def _send(self, client: _Client) -> None:
        try:
            sent = client.sock.send(client.answer)
        except BlockingIOError:
            return
        except OSError:
            self._close(client)
            return
        client.answer = client.answer[sent:]
        if not client.answer:
            self._close(client)

    def _close(self, client: _Client) -> None:
        if client in self._clients:
            self._clients.discard(client)
            self._loop.forget(client.sock.fileno())
            client.sock.close()

    def close(self) -> None:
        self._listener.close()
        for client in list(self._clients):
            self._close(client)


def listen_unix(path: str) -> "_socket.socket":
    """A listening UNIX socket that only its owner may use.  Raises OSError."""
    import os

    former = os.umask(0o177)
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        sock.bind(path)
        sock.listen(16)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(former)
    return sock
