"""--progress rawjson: a build as lines of JSON on standard error, as BuildKit's status messages.

    {"vertexes": [{"digest", "name", "started", "completed", "cached", "error"}],
     "logs": [{"vertex", "stream": 1|2, "data": base64, "timestamp"}]}

Source: github.com/moby/buildkit, client/graph.go (SolveStatus) and util/progress/progressui.
"""

import base64
import hashlib
import json
import time
from typing import Any

from rootless.build.cache import timestamp
from rootless.build.events import Event
from rootless.cli.build_progress import Progress, write_stderr

_STREAMS = {"stdout": 1, "stderr": 2}


class RawJson(Progress):
    """A message for each event."""

    def __init__(self, explain: bool = False) -> None:
        super().__init__(explain)
        self._vertexes: dict[str, dict[str, Any]] = {}

    def emit(self, event: Event) -> None:
        now = timestamp(time.time_ns())
        name = event.name or "[internal]"
        vertex = self._vertexes.setdefault(
            f"{event.step} {name}",
            {"digest": _digest(f"{event.step} {name}"), "name": name, "started": now},
        )
        if event.kind == "output":
            self._say(logs=[_log(vertex, _STREAMS.get(event.stream, 1), event.data, now)])
            return
        if event.text and event.kind in ("note", "started", "cached"):
            self._say(logs=[_log(vertex, 2, f"{event.text}\n".encode(), now)])
        if event.kind == "note":
            return
        if event.kind != "started":
            vertex["completed"] = now
        if event.kind == "cached":
            vertex["cached"] = True
        if event.kind in ("failed", "cancelled"):
            vertex["error"] = event.text or "canceled"
        self._say(vertexes=[vertex])

    def _say(self, **message: list[dict[str, Any]]) -> None:
        write_stderr(json.dumps(message, separators=(",", ":")) + "\n")


def _log(vertex: dict[str, Any], stream: int, data: bytes, now: str) -> dict[str, Any]:
    text = base64.b64encode(data).decode()
    return {"vertex": vertex["digest"], "stream": stream, "data": text, "timestamp": now}


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
