"""Talks to layer_server: archives to it, what became of them back."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Answer = dict[str, Any]
ROOT = Path(__file__).parents[2]


class Server:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, archives: list[bytes]) -> Answer:
        """Apply and stack the layers, the lowest first; see layer_server."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = json.dumps([base64.b64encode(archive).decode() for archive in archives])
        self._process.stdin.write(f"{request}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "layer_server has ended; its traceback is on standard error"
        answer: Answer = json.loads(line)
        return answer


@contextmanager
def serving(directory: str) -> Iterator[Server]:
    argv = ["unshare", "--user", "--map-auto", "--map-root-user", "--mount", sys.executable]
    argv += [str(ROOT / "tests/support/layer_server.py"), str(ROOT), directory]
    with subprocess.Popen(argv, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdin is not None
        yield Server(process)
        process.stdin.close()
