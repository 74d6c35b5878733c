"""What a command does, and how long it takes: --trace.  Made only where that was asked for.

A span is [text, begin, end, children, facts]: times in ns of CLOCK_MONOTONIC, which all processes
share; `facts` a dict of what the text says, for programs.  In `facts`, "track" names the process
that did it and its children, where that is another one.
"""

import os
import time

from rootless import fastjson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Span = list[Any]


class Trace:
    """The spans of one process, in groups.

    lap() ends what began with the last lap, or with the group, so that no time is left out.
    """

    __slots__ = ("_groups", "_mark", "fd", "later", "path", "spans")

    def __init__(self, path: str = "", fd: int = -1) -> None:
        self.path = path  # a file that gets the trace, too, or ""
        self.fd = fd  # of save()
        self.later: object = None  # the channel from which the supervisor's end comes
        self.spans: list[Span] = []
        self._groups: list[Span] = []
        self._mark = time.monotonic_ns()

    def since(self, began_ns: int) -> None:
        """The next lap began at `began_ns`."""
        self._mark = began_ns

    def lap(self, text: str, **facts: object) -> None:
        """`text` says what was done since the last lap."""
        now = time.monotonic_ns()
        self.add([text, self._mark, now, [], facts])
        self._mark = now

    def open(self, text: str, **facts: object) -> None:
        """Begin a group: what comes until close() is a part of it."""
        group = [text, self._mark, 0, [], facts]
        self.add(group)
        self._groups.append(group)

    def close(self) -> None:
        """End the group that was opened last."""
        self._mark = self._groups.pop()[2] = time.monotonic_ns()

    def add(self, span: "Span") -> None:
        """A span that was timed elsewhere, into the open group."""
        (self._groups[-1][3] if self._groups else self.spans).append(span)

    def finish(self) -> None:
        """End every group: what is still open has failed half-way."""
        while self._groups:
            self.close()

    def branch(self) -> "Trace":
        """For a process that is forked next; it calls save(), and this one adopt()."""
        return Trace(fd=os.memfd_create("rl-trace"))

    def save(self) -> None:
        """Leave the spans for adopt().  A program may be executed right after it."""
        self.finish()
        data = fastjson.dumps(self.spans).encode("utf-8", "backslashreplace")
        os.pwrite(self.fd, data, 0)

    def hand_over(self, give: "Callable[[int], None]") -> None:
        """Give the spans, as a descriptor, to a process that calls adopt() for it."""
        self.fd = os.memfd_create("rl-trace")
        self.save()
        give(self.fd)
        os.close(self.fd)
        self.spans = []

    def adopt(self, text: str, branch: "Trace", *, ended: bool = False, **facts: object) -> None:
        """Take what another process has saved.  `ended`: its last span has ended just now."""
        with open(branch.fd, "rb") as file:
            data = file.read()
        if not data:
            return  # it was killed
        spans = fastjson.loads(data)
        if ended:
            spans[-1][2] = time.monotonic_ns()
        self.add([text, spans[0][1], spans[-1][2], spans, facts])
        self._mark = time.monotonic_ns()  # what was waited for is told by it
