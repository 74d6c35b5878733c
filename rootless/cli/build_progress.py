"""How a build goes on, on standard error, in BuildKit's words: plain lines, or redrawn in place.

Source: github.com/moby/buildkit, util/progress/progressui (printer.go, display.go).
"""

import os
import re
import shutil
import signal
import sys
import time
from collections import deque
from types import FrameType, TracebackType

from rootless.build.events import Event
from rootless.cli.cells import cut, pad
from rootless.cli.output import printable
from rootless.records import dataclass, field

_TICK_S = 0.15  # between two drawings, as BuildKit
_TAIL = 6  # lines of output below a running step on a terminal
_KEPT = 20  # lines of output that are shown again when their step has failed
_HIT = "used: the instruction, the layers below and all that it reads are as they were"
# Colours and movements: programs write them also where nobody asked for a terminal.
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")


@dataclass(slots=True)
class _Step:
    number: int
    name: str
    began: float
    state: str = "running"  # cached, done, failed, cancelled
    seconds: float = 0.0
    rest: bytes = b""  # of a line that isn't finished
    tail: "deque[str]" = field(default_factory=lambda: deque(maxlen=_KEPT))
    notes: list[str] = field(default_factory=list)


class Progress:
    """Keeps what is known of the steps.  Itself shows nothing: --progress quiet."""

    def __init__(self, explain: bool = False) -> None:
        self.explain = explain
        self.steps: dict[int | str, _Step] = {}  # by number in the Dockerfile, or name
        self.failed: _Step | None = None
        self.total = 0
        self.began = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        value: "BaseException | None",
        traceback: "TracebackType | None",
    ) -> None:
        pass

    def emit(self, event: Event) -> None:
        """Take an event of the solver."""
        self.total = max(self.total, event.total)
        step = self._step(event)
        if event.kind == "output" and step is not None:
            for line in _lines(step, event.data):
                step.tail.append(line)
                self.show_line(step, line)
            return
        if event.kind == "note" or step is None:
            if event.text:
                self.show_note(step, printable(event.text))
            return
        new = event.kind == "started" or (event.kind == "cached" and step.state == "running")
        if event.kind == "started":
            self.show_start(step)
        else:
            if step.rest:
                step.tail.append(_clean(step.rest))
                self.show_line(step, step.tail[-1])
                step.rest = b""
            step.state, step.seconds = event.kind, event.seconds
            if event.kind == "failed":
                self.failed = step
            text = event.text or (_HIT if self.explain and event.kind == "cached" else "")
            self.show_end(step, printable(text))
            return
        if new and event.text:
            self.show_note(step, printable(event.text))

    def _step(self, event: Event) -> "_Step | None":
        """The step of an event; they are numbered as they come, what is fetched first too."""
        key = event.step or event.name
        if not key:
            return None
        step = self.steps.get(key)
        if step is None:
            name = printable(event.name.replace("\n", " ").rstrip())
            step = self.steps[key] = _Step(len(self.steps) + 1, name, time.monotonic())
        return step

    def finish(self) -> None:
        """Draw for the last time."""

    # What a way of showing fills in.

    def show_start(self, step: _Step) -> None: ...

    def show_line(self, step: _Step, line: str) -> None: ...

    def show_note(self, step: "_Step | None", text: str) -> None: ...

    def show_end(self, step: _Step, text: str) -> None: ...


def _lines(step: _Step, data: bytes) -> "list[str]":
    """The lines that `data` completes.  A carriage return draws the same line anew."""
    *whole, step.rest = (step.rest + data).split(b"\n")
    if len(step.rest) > 1 << 16:  # no line feed for ever
        whole.append(step.rest)
        step.rest = b""
    return [_clean(line) for line in whole]


def _clean(line: bytes) -> str:
    last = line.rstrip(b"\r").rpartition(b"\r")[2]
    text = _ESCAPES.sub("", last.decode("utf-8", "replace")).replace("\t", "        ")
    return printable(text)


def _unfinished(step: _Step) -> "list[str]":
    """The line that is being written, as of a progress bar, if anything is in it."""
    text = _clean(step.rest[-4096:]) if step.rest else ""
    return [text] if text.strip() else []


class Plain(Progress):
    """A line for each thing: `#5 [2/4] RUN make`, `#5 0.312 output`, `#5 DONE 1.2s`."""

    def __init__(self, explain: bool = False) -> None:
        super().__init__(explain)
        self._current: _Step | None = None  # whose header was printed last

    def _switch(self, step: _Step) -> None:
        """The header of a step, when the line before was of another one."""
        previous = self._current
        if previous is step:
            return
        if previous is not None:
            text = f"#{previous.number} ...\n" if previous.state == "running" else ""
            write_stderr(f"{text}\n")
        self._current = step
        write_stderr(f"#{step.number} {step.name}\n")

    def show_start(self, step: _Step) -> None:
        self._switch(step)

    def show_line(self, step: _Step, line: str) -> None:
        self._switch(step)
        write_stderr(f"#{step.number} {time.monotonic() - step.began:.3f} {line}\n")

    def show_note(self, step: "_Step | None", text: str) -> None:
        if step is None:
            write_stderr(f"#0 {text}\n")
            return
        self._switch(step)
        write_stderr(f"#{step.number} {text}\n")

    def show_end(self, step: _Step, text: str) -> None:
        self._switch(step)
        if step.state == "cached":
            write_stderr(f"#{step.number} CACHED\n")
            if text:
                write_stderr(f"#{step.number} {text}\n")
        elif step.state == "done":
            write_stderr(f"#{step.number} DONE {step.seconds:.1f}s\n")
        elif step.state == "failed":
            write_stderr(f"#{step.number} ERROR: {text}\n")
        else:
            write_stderr(f"#{step.number} CANCELED\n")


class Terminal(Progress):
    """All steps with their state and time, and the last lines of those that run, drawn in place.

    A timer's signal draws: the solver has one thread, and forks.
    """

    def __init__(self, explain: bool = False) -> None:
        super().__init__(explain)
        self._drawn: list[str] = []  # the lines on the screen that may be drawn over
        self._notes: list[str] = []  # to go above them
        self._busy = self._over = self._frozen = False
        self._pid = os.getpid()
        self._colour = "NO_COLOR" not in os.environ
        self._before: object = None

    def __enter__(self) -> "Terminal":
        self._before = signal.signal(signal.SIGALRM, self._tick)
        signal.siginterrupt(signal.SIGALRM, False)
        signal.setitimer(signal.ITIMER_REAL, _TICK_S, _TICK_S)
        write_stderr("\x1b[?25l")
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        value: "BaseException | None",
        traceback: "TracebackType | None",
    ) -> None:
        if os.getpid() != self._pid:
            return  # a forked child on its way out
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        self._over = True
        if not self._frozen:
            self._draw()
        write_stderr("\x1b[?25h")

    def _tick(self, number: int, frame: "FrameType | None") -> None:
        if not self._busy and os.getpid() == self._pid:
            self._draw()

    def emit(self, event: Event) -> None:
        # A signal may come at any place; the steps are not to be drawn while they change.
        self._busy = True
        try:
            super().emit(event)
        finally:
            self._busy = False

    def show_note(self, step: "_Step | None", text: str) -> None:
        (step.notes if step else self._notes).append(text)
        if self.failed is not None:
            # A shell comes now (--shell-on-fail): the screen is its own.
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._draw()
            self._frozen = True
            write_stderr("\x1b[?25h")

    def show_end(self, step: _Step, text: str) -> None:
        if self.explain and step.state == "cached" and text:
            step.notes.append(text)

    def _draw(self) -> None:
        before = self._busy
        self._busy = True
        try:
            columns, rows = _terminal_size()
            lines = self._picture(columns, rows)
            notes, self._notes = self._notes, []
            up = f"\x1b[{len(self._drawn)}A" if self._drawn else ""
            text = "".join(f"{line[: 4 * columns]}\x1b[K\n" for line in notes)
            text += "".join(f"{line}\x1b[K\n" for line in lines)
            # What was longer before is cleared below.
            write_stderr(f"\r{up}{text}\x1b[J")
            self._drawn = lines
        finally:
            self._busy = before

    def _picture(self, columns: int, rows: int) -> "list[str]":
        finished = sum(step.state not in ("running",) for step in self.steps.values())
        others = sum(isinstance(key, str) for key in self.steps)
        total = max(self.total + others, len(self.steps))
        word = "FINISHED" if self._over and finished == total and not self.failed else ""
        head = f"[+] Building {time.monotonic() - self.began:.1f}s ({finished}/{total}) {word}"
        lines = [cut(head.rstrip(), columns - 1)]
        for step in self.steps.values():
            lines.append(self._line(step, columns))
            lines += [cut(f" => => {note}", columns - 1) for note in step.notes]
            if step.state == "running" and not self._over:
                tail = [*step.tail, *_unfinished(step)][-_TAIL:]
                lines += [cut(f" => => # {line}", columns - 1) for line in tail]
        if len(lines) < rows or self._over:
            return lines
        # Only what fits can be drawn over: the head and the end.
        return [lines[0], *lines[max(len(lines) - rows + 2, 1) :]]

    def _line(self, step: _Step, columns: int) -> str:
        word = {"cached": "CACHED ", "failed": "ERROR ", "cancelled": "CANCELED "}.get(
            step.state, ""
        )
        running = step.state == "running"
        seconds = time.monotonic() - step.began if running else step.seconds
        timer = f"{seconds:.1f}s"
        room = max(columns - len(timer) - 2, 10)
        text = f"{pad(f' => {word}{step.name}', room)} {timer}"
        colour = {"failed": "31", "cancelled": "33", "running": ""}.get(step.state, "34")
        return f"\x1b[{colour}m{text}\x1b[0m" if colour and self._colour else text


def _terminal_size() -> "tuple[int, int]":
    """Columns and rows of what standard error is; standard output may be a file."""
    try:
        columns, rows = os.get_terminal_size(2)
    except OSError:
        columns = rows = 0
    if not columns or not rows:
        columns, rows = shutil.get_terminal_size()
    return columns, rows


def make(progress: str, *, explain: bool = False) -> Progress:
    """The display for --progress auto, plain, tty, rawjson or quiet."""
    if progress == "rawjson":
        from rootless.cli.build_progress_json import RawJson

        return RawJson(explain)
    if progress == "quiet":
        return Progress()
    dumb = os.environ.get("TERM", "dumb") in ("", "dumb")
    if progress == "tty" or (progress == "auto" and os.isatty(2) and not dumb):
        return Terminal(explain)
    return Plain(explain)


def show_failure(progress: Progress) -> None:
    """The end of a failed step's output, in BuildKit's form; the error's own line comes below."""
    step = progress.failed
    if step is not None and step.tail:
        lines = "".join(f"{line}\n" for line in step.tail)
        write_stderr(f"------\n > {step.name}:\n{lines}------\n")


def write_stderr(text: str) -> None:
    """One write(2), so that what containers' helpers say does not come in between."""
    if sys.stderr is not None:
        sys.stderr.flush()
    data = text.encode("utf-8", "replace")
    while data:
        data = data[os.write(2, data) :]
