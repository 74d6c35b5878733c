"""A trace as Chrome's trace JSON: --trace=FILE.

"Trace Event Format" of the Chromium project, its JSON object form with complete events (ph "X"; ts
and dur in microseconds), which chrome://tracing and https://ui.perfetto.dev read.
"""

import os

from rootless import fastjson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from rootless.trace import Span


def write(path: str, spans: "Sequence[Span]") -> None:
    """Make the file.  Raises OSError."""
    _write(path, document(spans))


def add(path: str, spans: "Sequence[Span]") -> None:
    """Put what the supervisor did after the command had ended into its file, if it is there."""
    try:
        with open(path, "rb") as file:
            content = fastjson.loads(file.read())
        pid = content["traceEvents"][0]["pid"]
        threads = {
            one["args"]["name"]: one["tid"]
            for one in content["traceEvents"]
            if one["name"] == "thread_name"
        }
        content["traceEvents"] += _events(spans, pid, threads["supervisor"], threads)
        _write(path, content)
    except (OSError, ValueError, KeyError, IndexError):
        pass  # the user has done something else with it


def document(spans: "Sequence[Span]") -> "dict[str, Any]":
    """What the file holds: a thread for each process."""
    pid, threads = os.getpid(), _thread_names(spans)
    named = [_named(pid, 0, "process_name", "rl")]
    named += [_named(pid, tid, "thread_name", name or "rl") for name, tid in threads.items()]
    made = sorted(_events(spans, pid, 1, threads), key=lambda one: (one["ts"], -one["dur"]))
    return {"traceEvents": named + made, "displayTimeUnit": "ms"}


def _thread_names(spans: "Sequence[Span]") -> "dict[str, int]":
    """Each track and its thread's number; that of the command itself is ""."""
    found = {"": 1}
    waiting = list(spans)
    while waiting:
        span = waiting.pop(0)
        if "track" in span[4]:
            found.setdefault(span[4]["track"], len(found) + 1)
        waiting += span[3]
    return found


def _named(pid: int, tid: int, kind: str, name: str) -> "dict[str, Any]":
    return {"name": kind, "ph": "M", "pid": pid, "tid": tid, "args": {"name": name}}


def _events(
    spans: "Sequence[Span]", pid: int, tid: int, threads: "dict[str, int]"
) -> "Iterator[dict[str, Any]]":
    for text, begin, end, children, facts in spans:
        own = threads.get(facts.get("track", ""), tid) if "track" in facts else tid
        yield {
            "name": text,
            "cat": "rl",
            "ph": "X",
            "ts": begin / 1000,
            "dur": (end - begin) / 1000,
            "pid": pid,
            "tid": own,
            "args": facts,
        }
        yield from _events(children, pid, own, threads)


def _write(path: str, content: "dict[str, Any]") -> None:
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(fastjson.dumps(content) + "\n")
