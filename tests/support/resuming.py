"""A registry of one upload that knows how to go on: docker-registry forgets a broken upload."""

import hashlib
import http.server
import threading


class Resuming:
    """Takes blobs and manifests.  Cuts the first `cuts` PATCHes after `limit` bytes.

    Refuses requests of more than `most` bytes (413), and asks for at least `least` in each.
    """

    def __init__(self, limit: int, cuts: int, *, most: int = 1 << 40, least: int = 0) -> None:
        self.limit, self.cuts = limit, cuts
        self.most, self.least = most, least
        self.received = 0  # bytes of all PATCHes
        self.ranges: list[str] = []
        self.partial = b""
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def answer(self, status: int, **headers: str) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def place(self, status: int) -> None:
                last = max(len(outer.partial) - 1, 0)
                self.answer(status, Location="/v2/x/blobs/uploads/1?s=2", Range=f"0-{last}")

            def do_HEAD(self) -> None:
                digest = self.path.rpartition("/")[2]
                self.answer(200 if digest in outer.blobs else 404)

            def do_GET(self) -> None:
                if "uploads" in self.path:
                    self.place(204)
                else:
                    self.answer(200)

            def do_POST(self) -> None:
                outer.partial = b""
                least = {"OCI-Chunk-Min-Length": str(outer.least)} if outer.least else {}
                self.answer(202, Location="/v2/x/blobs/uploads/1?s=2", **least)

            def do_PATCH(self) -> None:
                length = int(self.headers["Content-Length"])
                outer.ranges.append(self.headers.get("Content-Range", ""))
                if length > outer.most:
                    self.rfile.read(length)
                    self.answer(413)
                    return
                if outer.cuts:
                    outer.cuts -= 1
                    outer.partial += self.rfile.read(min(length, outer.limit))
                    outer.received += min(length, outer.limit)
                    self.close_connection = True
                    return
                outer.partial += self.rfile.read(length)
                outer.received += length
                self.place(202)

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                if "/manifests/" in self.path:
                    outer.manifests[self.path.rpartition("/")[2]] = body
                    self.answer(201)
                    return
                data = outer.partial + body
                digest = self.path.partition("digest=")[2]
                if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
                    self.answer(400)
                    return
                outer.blobs[digest] = data
                self.answer(201)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
