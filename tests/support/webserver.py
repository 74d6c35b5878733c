"""A web server on loopback for what builds download."""

import http.server
import threading


class Server:
    """Serves the files of `root`."""

    def __init__(self, root: str) -> None:
        outer = self
        self.root = root
        self.answers: list[int] = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args: object, **words: object) -> None:
                super().__init__(*args, directory=root, **words)  # type: ignore[arg-type]

            def do_GET(self) -> None:
                if self.path == "/moved":
                    self.send_response(302)
                    self.send_header("Location", "/file.txt")
                    self.end_headers()
                elif self.path == "/to-file":
                    self.send_response(302)
                    self.send_header("Location", "file:///etc/passwd")
                    self.end_headers()
                elif self.path == "/short":
                    self.send_response(200)
                    self.send_header("Content-Length", "100")
                    self.end_headers()
                    self.wfile.write(b"short")
                else:
                    super().do_GET()

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                outer.answers.append(int(code))

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        self.thread.start()

    def stop(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()
