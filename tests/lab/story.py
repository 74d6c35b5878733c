"""The story that each lab host is told: an image, a build with apt and pip, a served page.

`tell(program, …)` runs it with rl or podman, as the host's user would, in the user's own home.
It ends at the first step that fails; what the program said then is the outcome.
"""

import os
import re
import socket
import subprocess
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable

from support.traces import PATIENCE, wait_until

BASE, IMAGE, NAME = "python:lab", "hello:lab", "hello"
DOCKERFILE = f"""\
FROM {BASE}
RUN apt-get install -y -q /srv/packages/*.deb && rm -r /srv/packages
COPY *.whl /tmp/
RUN pip install -q --no-index --break-system-packages /tmp/*.whl
COPY app.py /app/
EXPOSE 8000
CMD ["python3", "-u", "/app/app.py"]
"""
APP = """\
import http.server, os, signal, sys, hello
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("asked for", self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(hello.TEXT.encode())

    def log_message(self, *_):
        pass

http.server.HTTPServer(("", 8000), Handler).serve_forever()
"""
TIMEOUT_S = 60 * PATIENCE


class Failed(Exception):
    """A step went wrong; the argument is the line that the program said."""


class Story:
    """The steps, in `directory` (a scratch directory).  `steps` is what has been done so far."""

    def __init__(self, program: list[str], directory: str, environment: dict[str, str]) -> None:
        self._program = program
        self._directory = directory
        self._environment = environment
        self.steps: list[str] = []

    def tell(self) -> str:
        """Run all steps.  "" when all went well, else `STEP: LINE`."""
        steps: tuple[Callable[[], None], ...] = (
            self.bootstrap, self.fetch, self.build, self.run, self.exec, self.logs, self.stop,
            self.rm,
        )  # fmt: skip
        try:
            for step in steps:
                self.steps.append(step.__name__)
                step()
        except Failed as e:
            return f"{self.steps[-1]}: {e}"
        finally:
            try:
                self._call("rm", "-f", NAME)
            except Failed:
                pass
        return ""

    def _call(self, *words: str) -> "subprocess.CompletedProcess[str]":
        try:
            return subprocess.run(
                [*self._program, *words],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"{words[0]} does not end") from None

    def _done(self, *words: str) -> str:
        """Standard output of a call that must end well."""
        done = self._call(*words)
        if done.returncode:
            raise Failed(_said(done.stderr))
        return done.stdout

    def bootstrap(self) -> None:
        """A small image from nothing: rl makes it itself, podman is given the file."""
        if os.path.basename(self._program[0]) == "rl":
            self._done("bootstrap", "busybox", "-t", "busybox:lab")
        else:
            archive = f"{self._directory}/busybox.tar"
            os.makedirs(f"{self._directory}/busybox/bin", exist_ok=True)
            subprocess.run(["cp", "/bin/busybox", f"{self._directory}/busybox/bin/sh"], check=True)
            tar = ["tar", "-C", f"{self._directory}/busybox", "--owner=0", "--group=0", "-cf"]
            subprocess.run([*tar, archive, "bin"], check=True)
            self._done("import", "-q", archive, "busybox:lab")
        said = self._done("run", "--rm", "--network", "none", "busybox:lab", "sh", "-c", "echo 1")
        assert said == "1\n"

    def fetch(self) -> None:
        """An image with files of several owners, as a pull would bring it."""
        self._done("import", os.environ["RL_LAB_STORY"], BASE)

    def build(self) -> None:
        context = f"{self._directory}/context"
        os.makedirs(context, exist_ok=True)
        for name, text in (("Dockerfile", DOCKERFILE), ("app.py", APP)):
            with open(f"{context}/{name}", "w") as file:
                file.write(text)
        _write_wheel(f"{context}/hello-1.0-py3-none-any.whl")
        self._done("build", "-q", "-t", IMAGE, context)

    def run(self) -> None:
        port = _free_port()
        self._done("run", "-d", "--name", NAME, "-p", f"127.0.0.1:{port}:8000", IMAGE)
        try:
            assert wait_until(lambda: _page(port), 30) == b"hello from a wheel\n"
        except AssertionError:
            state = self._call("ps", "-a", "--format", "{{.Status}}").stdout.strip()
            log = self._call("logs", NAME)
            line = _said(log.stderr + log.stdout)
            raise Failed(f"no page at the published port; the container: {state}; {line}") from None

    def exec(self) -> None:
        script = "id -u && stat -c %a /usr/bin/crontab && grep -c ^crontab: /etc/group"
        assert self._done("exec", NAME, "sh", "-c", script).split() == ["0", "2755", "1"]

    def logs(self) -> None:
        assert "asked for /page" in self._done("logs", NAME)

    def stop(self) -> None:
        self._done("stop", NAME)
        assert self._done("ps", "-a", "--format", "{{.Status}}").startswith("Exited (0)")

    def rm(self) -> None:
        self._done("rm", NAME)
        assert self._done("ps", "-aq") == ""


def _said(stderr: str) -> str:
    """The line that names what went wrong: the first error, or else the last line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if re.match("error", line, re.IGNORECASE)]
    return errors[0] if errors else lines[-1] if lines else "no message"


def _write_wheel(path: str) -> None:
    """A package that any pip installs without an index."""
    info = "hello-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("hello.py", 'TEXT = "hello from a wheel\\n"\n')
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{info}/RECORD", "")


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _page(port: int) -> bytes:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/page", timeout=10) as answer:
            return bytes(answer.read())
    except (urllib.error.URLError, OSError):
        return b""
