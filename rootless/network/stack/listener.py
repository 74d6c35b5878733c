"""A listening socket in the loop."""

import _socket

from rootless.network.stack.loop import IN, REST_S, Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_BURST = 64  # clients that are taken before others have their turn


class Listener:
    """Gives `on_client(socket, peer)` what `sock` accepts; `peer` as accept() tells it."""

    def __init__(
        self,
        loop: Loop,
        sock: "_socket.socket",
        on_client: "Callable[[_socket.socket, Any], None]",
    ) -> None:
        self._loop = loop
        self._on_client = on_client
        self.sock = sock
        sock.setblocking(False)
        self._watch()

    def _watch(self) -> None:
        if self.sock.fileno() >= 0:
            self._loop.watch(self.sock.fileno(), self._on_ready, IN)

    def _on_ready(self, _events: int) -> None:
        for _ in range(_BURST):
            try:
                fd, peer = self.sock._accept()  # type: ignore[attr-defined]
            except BlockingIOError:
                return
            except OSError:
                # Out of descriptors, mostly: they wait in the backlog until some are free.
                self._loop.forget(self.sock.fileno())
                self._loop.call_after(REST_S, self._watch)
                return
            client = _socket.socket(self.sock.family, _socket.SOCK_STREAM, 0, fd)
            self._on_client(client, peer)

    def close(self) -> None:
        """Stop listening."""
        if self.sock.fileno() >= 0:
            self._loop.forget(self.sock.fileno())
            self.sock.close()
