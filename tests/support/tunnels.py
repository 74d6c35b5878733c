"""An HTTP proxy that tunnels (RFC 9110 section 9.3.6, CONNECT), wherever that is said to lead."""

import select
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Tunnels:
    """Leads every CONNECT to the address `target`; `asked` has each authority and its headers.

    With `status` other than 200 it refuses.
    """

    def __init__(self, target: str, status: int = 200) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        host, _, port = target.partition(":")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                outer.asked.append((self.path, dict(self.headers)))
                if status != 200:
                    self.send_error(status)
                    return
                with socket.create_connection((host, int(port))) as there:
                    self.send_response(200)
                    self.end_headers()
                    _carry(self.connection, there)
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _carry(one: socket.socket, other: socket.socket) -> None:
    """Bytes both ways until one side has no more."""
    while True:
        for source in select.select([one, other], [], [])[0]:
            try:
                data = source.recv(1 << 16)
            except OSError:
                return
            if not data:
                return
            (other if source is one else one).sendall(data)
