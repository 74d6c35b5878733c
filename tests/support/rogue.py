"""An HTTP server on loopback that does whatever a test tells it: a registry on a bad day."""

import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support.images import Image, digest

Answer = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """One request; `server.rogue` has the answers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # 40 ms for each answer on a connection that is used again
    server: "_Server"

    def setup(self) -> None:
        super().setup()
        with self.server.rogue.lock:
            self.server.rogue.connections += 1

    def do_GET(self) -> None:
        rogue = self.server.rogue
        with rogue.lock:
            rogue.seen.append((self.path, dict(self.headers)))
        for prefix, answer in rogue.answers:
            if self.path.startswith(prefix):
                answer(self)
                return
        self.reply(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')

    def do_POST(self) -> None:
        """Anything with a body, which is read and forgotten, and HEAD."""
        left = int(self.headers.get("Content-Length") or 0)
        while left and (chunk := self.rfile.read(min(left, 1 << 16))):
            left -= len(chunk)
        self.do_GET()

    do_HEAD = do_PUT = do_PATCH = do_DELETE = do_POST

    def reply(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, *, cut: int = 0
    ) -> None:
        """Answer; with `cut` the connection breaks after that many bytes of the body."""
        headers = {"Content-Length": str(len(body)), **(headers or {})}
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if cut:
            self.wfile.write(body[:cut])
            self.close_connection = True
        else:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    rogue: "Rogue"

    def handle_error(self, *_: object) -> None:
        pass  # clients that go away are the test


class Rogue:
    """`answers` are tried in order, by the beginning of the path; `seen` lists all requests.

    `connections` counts what was connected, whatever came of it.
    """

    def __init__(self) -> None:
        self.answers: list[tuple[str, Answer]] = []
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.connections = 0
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), Request)
        self._server.rogue = self
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    def on(self, prefix: str, answer: Answer) -> None:
        """Answer paths with this beginning so, before all older answers."""
        self.answers.insert(0, (prefix, answer))

    def serve(self, repository: str, image: Image, tag: str = "latest") -> str:
        """Serve an image as it should be; returns its reference."""
        base = f"/v2/{repository}"
        manifest = image.manifest()
        kind = {"Content-Type": image.media_type}
        for name in (tag, digest(manifest)):
            self.on(f"{base}/manifests/{name}", lambda r: r.reply(200, manifest, kind))
        for blob in [image.config_blob(), *(blob for _, blob in image.layer_blobs())]:
            self.on(f"{base}/blobs/{digest(blob)}", lambda r, blob=blob: r.reply(200, blob))
        return f"{self.host}/{repository}:{tag}"

    def use_tls(self, certificate: str, key: str, clients: str = "") -> None:
        """From now on https, with this certificate; `clients` is the CA that theirs must be of."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(clients)
        # The handshake is the connection's thread's: clients that go away stop nobody else.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )

    def paths(self, word: str) -> list[str]:
        """The paths asked for that contain `word`."""
        return [path for path, _ in self.seen if word in path]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
