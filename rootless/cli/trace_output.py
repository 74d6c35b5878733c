"""--trace: the spans of a command as a tree for people, and in a file."""

import os
import re
import sys
import time

from rootless.cli.output import cannot_write, printable
from rootless.errors import UsageError
from rootless.runtime import trace_file
from rootless.trace import Trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rootless.context import Context
    from rootless.trace import Span

# Mounts of which there are many, one after the other, are one line of the tree.
_MERGED = {"Mask": "hide", "ReadOnly": "make read-only", "Symlink": "link"}
_HASH = re.compile("[0-9a-f]{64}")
_DEVICES = "bind the host's devices on"


def follow(ctx: "Context", path: str, act: "Callable[[], int]") -> int:
    """act() with its trace, which is printed at the end, and written to `path` if it is not ""."""
    if path:
        path = os.path.abspath(path)
        _check(path)
    trace = ctx.trace = Trace(path)
    # One thread has done nothing but compute since this process began.
    trace.since(time.monotonic_ns() - time.process_time_ns())
    trace.lap("Python and rl started")
    try:
        return act()
    finally:
        trace.finish()
        trace.lap("rl ended")
        if sys.stdout is not None:
            sys.stdout.flush()
        os.write(2, tree(trace.spans).encode("utf-8", "backslashreplace"))
        if path:
            _write(path, trace.spans)


def tree(spans: "Sequence[Span]") -> str:
    """Lines of begin and duration in ms, and what was done; nested as it was done."""
    if not spans:
        return ""
    first = spans[0][1]
    lines = [f"{'at ms':>9}{'took ms':>10}"]
    lines += _lines(spans, first, "")
    return "\n".join(lines) + "\n"


def _lines(spans: "Sequence[Span]", first: int, indent: str) -> "Iterator[str]":
    merged = _merge(sorted(spans, key=lambda span: span[1]))
    for number, (text, begin, end, children, _) in enumerate(merged):
        last = number == len(merged) - 1
        branch = ("└─ " if last else "├─ ") if indent else "   "
        times = f"{(begin - first) / 1e6:9.1f}{(end - begin) / 1e6:10.1f}"
        yield f"{times}{indent[3:]}{branch}{_HASH.sub(_shorten, printable(text))}"
        deeper = "   " if last or not indent else "│  "
        yield from _lines(children, first, f"{indent or '   '}{deeper}")


def _shorten(found: "re.Match[str]") -> str:
    return f"{found[0][:12]}…"


def _merge(spans: "Sequence[Span]") -> "list[Span]":
    merged: list[Span] = []
    before = ""
    for span in spans:
        word = _word(span)
        if word and word == before:
            merged[-1][0] += f", {_name(span)}"
            merged[-1][2] = span[2]
        else:
            text = f"{word} {span[4]['target']}" if word else span[0]
            merged.append([text, *span[1:]])
        before = word
    return merged


def _word(span: "Span") -> str:
    facts = span[4]
    kind, target = facts.get("kind", ""), str(facts.get("target", ""))
    if kind == "Bind" and span[0].startswith(f"bind {target} on {target}") and "/dev/" in target:
        return _DEVICES
    return _MERGED.get(kind, "")


def _name(span: "Span") -> str:
    return str(span[4]["target"])


def _check(path: str) -> None:
    """What is to be written at the end can be written at the beginning."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    except OSError as e:
        raise UsageError(
            f"cannot write the trace to {path}: {e.strerror}",
            remedy="name a file in a directory of yours",
        ) from e


def _write(path: str, spans: "Sequence[Span]") -> None:
    try:
        trace_file.write(path, spans)
    except OSError as e:
        raise cannot_write(e) from e
