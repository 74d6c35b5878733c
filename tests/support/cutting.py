"""A way to a registry that breaks: connections are cut in the middle of uploads."""

import socket
import threading


class Cutting:
    """Forwards TCP to `port`; cuts the first `cuts` connections that send more than `limit`."""

    def __init__(self, port: int, limit: int, cuts: int) -> None:
        self._target = ("127.0.0.1", port)
        self._limit = limit
        self.left = cuts
        self.sent = 0  # bytes towards the registry, of all connections
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
            threading.Thread(target=self._back, args=(server, client), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        passed = 0
        try:
            while data := client.recv(1 << 16):
                passed += len(data)
                self.sent += len(data)
                server.sendall(data)
                if passed > self._limit and self.left > 0:
                    self.left -= 1
                    break
        except OSError:
            pass
        for side in (server, client):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        try:
            while data := server.recv(1 << 16):
                client.sendall(data)
        except OSError:
            pass
        for side in (server, client):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
