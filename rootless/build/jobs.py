"""Forked children that do the steps of a build, and what they say on the way.

The parent stays with one thread and never blocks in a step.  A child answers in lines of JSON:
{"note": …} any number of times, with a trace {"spans": …}, then {"result": …} or {"error": …}; or
{"hold": …}, which is an error whose files are kept until the parent says how to go on.
"""

import json
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from rootless.errors import BuildError, KernelError, RlError
from rootless.linux import syscalls
from rootless.trace import Trace

if TYPE_CHECKING:
    from rootless.context import Context

_CHUNK = 65536
STOP_S = 10.0  # for a child to clean up

Work = Callable[["Link"], object]


class Cancelled(BaseException):
    """The parent wants this child to end."""


class Failed(Exception):
    """A step failed: `body` is what the child told; it may be held (see Link.hold)."""

    def __init__(self, body: dict[str, Any], *, held: bool = False) -> None:
        super().__init__(str(body.get("what")))
        self.body = body
        self.held = held

    def as_error(self) -> BuildError:
        """The BuildError, still without place."""
        return BuildError(
            str(self.body["what"]), remedy=self.body.get("remedy"), code=self.body.get("code")
        )


class Link:
    """The child's side: standard input, output and error for programs, and the way back."""

    def __init__(self, stdio: list[int], answer_fd: int, control_fd: int) -> None:
        self.stdio = stdio
        self._answer_fd = answer_fd
        self._control_fd = control_fd

    def note(self, text: str) -> None:
        self.send({"note": text})

    def send(self, message: object) -> None:
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(self._answer_fd, data) :]

    def hold(self, body: dict[str, object]) -> bool:
        """Tell of a failure and wait; True when a shell is wanted now."""
        self.send({"hold": body})
        return os.read(self._control_fd, 1) == b"s"


def traced(ctx: "Context", work: Work) -> Work:
    """`work` with a trace of its own, which is told before the result."""

    def with_trace(link: Link) -> object:
        trace = ctx.trace = Trace()
        try:
            result = work(link)
            trace.lap("kept what was written as a layer, and noted it in the cache")
            return result
        finally:
            trace.finish()
            link.send({"spans": trace.spans})

    return with_trace


class Job:
    """One child.  The parent polls `descriptors()` and calls handle() for those that are ready."""

    def __init__(self, work: Work) -> None:
        self.began = time.monotonic()
        self.notes: list[str] = []
        self.spans: list[Any] = []  # of its trace: rootless/trace.py
        self.outputs: list[tuple[str, bytes]] = []
        self._answer = b""
        self._failed: Failed | None = None
        self._result: object = None
        self._answered = False
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        answer_read, answer_write = os.pipe()
        control_read, self._control_fd = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            for fd in (out_read, err_read, answer_read, self._control_fd):
                os.close(fd)
            _child(work, parent, (out_write, err_write), answer_write, control_read)
        for fd in (out_write, err_write, answer_write, control_read):
            os.close(fd)
        self._streams = {out_read: "stdout", err_read: "stderr"}
        self._answer_fd = answer_read
        for fd in (out_read, err_read, answer_read):
            os.set_blocking(fd, False)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def descriptors(self) -> Iterator[int]:
        yield from self._streams
        if self._answer_fd >= 0:
            yield self._answer_fd

    def handle(self, fd: int) -> None:
        """Read what is there: it goes to `outputs` and `notes`."""
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return
        if fd in self._streams:
            if data:
                self.outputs.append((self._streams[fd], data))
            else:
                del self._streams[fd]
                os.close(fd)
            return
        if not data:
            self._answer_fd = -1
            os.close(fd)
            return
        self._answer += data
        *lines, self._answer = self._answer.split(b"\n")
        for line in lines:
            self._take(json.loads(line))

    def _take(self, message: dict[str, Any]) -> None:
        if "note" in message:
            self.notes.append(str(message["note"]))
            return
        if "spans" in message:
            self.spans = message["spans"]
            return
        self._answered = True
        if "result" in message:
            self._result = message["result"]
        else:
            held = "hold" in message
            self._failed = Failed(message["hold" if held else "error"], held=held)

    @property
    def ended(self) -> bool:
        """Whether result() will answer at once."""
        return self._answer_fd < 0 or (self._failed is not None and self._failed.held)

    def result(self) -> object:
        """What the work has returned.  Raises Failed.  Call it once, when it has ended."""
        self._drain()
        if self._failed is not None and self._failed.held:
            raise self._failed
        self._reap()
        if self._failed is not None:
            raise self._failed
        if not self._answered:
            raise Failed(
                {
                    "what": "the process of this step has ended unexpectedly",
                    "remedy": "it may have been killed for memory; try again",
                    "code": "RL-BUILD-STEP-KILLED",
                }
            )
        return self._result

    def wait(self, note: Callable[[str], None]) -> object:
        """result(), however long it takes; its notes are told on the way."""
        while not self.ended:
            waiting = select.poll()
            for fd in self.descriptors():
                waiting.register(fd, select.POLLIN)
            for fd, _ in waiting.poll():
                self.handle(fd)
            for text in self.notes:
                note(text)
            self.notes.clear()
        return self.result()

    @property
    def reaped(self) -> bool:
        return self._control_fd < 0

    def _drain(self) -> None:
        """What is still in the pipes; a program that goes on writing is not waited for."""
        for fd in list(self._streams):
            for _ in range(64):
                count = len(self.outputs)
                self.handle(fd)
                if fd not in self._streams or len(self.outputs) == count:
                    break

    def shell(self) -> None:
        """Let a held child open its shell on our standard input and output; wait for its end."""
        os.write(self._control_fd, b"s")
        _, _ = os.waitpid(self.pid, 0)
        self._close()

    def _reap(self) -> None:
        os.waitpid(self.pid, 0)
        self._close()

    def _close(self) -> None:
        for fd in (*self._streams, self._control_fd, self._answer_fd):
            if fd >= 0:
                os.close(fd)
        self._streams, self._control_fd, self._answer_fd = {}, -1, -1

    def stop(self) -> None:
        """Ask it to end, with all that it has started."""
        try:
            os.kill(self.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass

    def wait_stopped(self) -> None:
        """Reap it after stop(), by force when it does not clean up in time."""
        pidfd = os.pidfd_open(self.pid)
        try:
            waiting = select.poll()
            waiting.register(pidfd, select.POLLIN)
            if not waiting.poll(STOP_S * 1000):
                os.kill(self.pid, signal.SIGKILL)
        finally:
            os.close(pidfd)
        self._reap()


def _child(
    work: Work, parent: int, outputs: tuple[int, int], answer_fd: int, control_fd: int
) -> NoReturn:
    try:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
        signal.signal(signal.SIGTERM, _cancel)
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        link = Link([null, *outputs], answer_fd, control_fd)
        link.send(_answer(work, link))
        os._exit(0)
    except BaseException:
        os._exit(1)


def _cancel(_number: int, _frame: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Cancelled


def _answer(work: Work, link: Link) -> dict[str, object]:
    try:
        return {"result": work(link)}
    except Failed as e:
        return {"error": e.body}
    except KernelError as e:
        return {"error": {"what": e.what, "remedy": e.remedy, "code": e.code}}
    except RlError as e:
        return {"error": {"what": e.what, "remedy": e.remedy, "code": e.code}}
    except OSError as e:
        what = f"{e.filename or 'the step'}: {e.strerror}"
        return {"error": {"what": what, "remedy": None, "code": "RL-BUILD-STEP"}}
    except Exception as e:
        what = f"a mistake in rl: {type(e).__name__}: {e}"
        return {"error": {"what": what, "remedy": "please report it", "code": "RL-BUG"}}
