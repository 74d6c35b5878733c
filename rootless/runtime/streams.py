"""The supervisor's loop: bytes between a container, its log and those who are attached.  Warm.

One poll(2) loop, no threads.  Nobody can block it: what a client doesn't take waits in its outbox,
and while an outbox is full the container's output is not read, so that it waits too.  A client
that takes nothing at all is not waited for: docs/decisions/062.
"""

import errno
import os
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.runtime.log_writer import Log

CHUNK = 65536
OUTBOX_MAX = 1 << 20  # bytes
_IN = select.POLLIN | select.POLLHUP | select.POLLERR
DRAIN_MS = 2000  # for output that is still in a pipe when the init has ended


def pipes(interactive: bool) -> "tuple[list[int], dict[int, str]]":
    """A program's 0, 1 and 2, and our ends of them by stream; stdin is /dev/null unless
    `interactive`."""
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    ours = {out_read: "stdout", err_read: "stderr"}
    if interactive:
        in_read, in_write = os.pipe()
        ours[in_write] = "stdin"
    else:
        in_read = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    return [in_read, out_write, err_write], ours


def split(ours: "dict[int, str]") -> "tuple[dict[int, str], int]":
    """Our ends of pipes() as Pump takes them: the outputs, and the input or -1."""
    outputs = {fd: stream for fd, stream in ours.items() if stream != "stdin"}
    return outputs, next((fd for fd, stream in ours.items() if stream == "stdin"), -1)


class Client:
    """Somebody who gets the output, and may send input."""

    detached = False

    def output(self, stream: str, data: bytes) -> None:
        """Take some output of the container."""

    def is_full(self) -> bool:
        """Whether output has to wait."""
        return False

    def close(self) -> None:
        """Leave it to another process."""


class Pump:
    """The loop.  `outputs` are the container's (descriptor, stream), `input_fd` its stdin or -1.

    `run()` returns when the process behind `pidfd` has ended and its output is read.
    """

    def __init__(
        self, pidfd: int, outputs: "dict[int, str]", input_fd: int, log: "Log | None"
    ) -> None:
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._outputs = dict(outputs)
        self._input_fd = input_fd
        self._pending = bytearray()
        self._input_closing = False
        self._waiting: list[Callable[[], None]] = []
        self._log = log
        self._ended = False
        self._after_end = 0  # bytes that were read since
        self._paused = False
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self.clients: list[Client] = []
        # Where there is a health check: asks now, and tells the answer.
        self.ask_health: Callable[[Callable[[bytes], None]], None] | None = None
        self.terminal = input_fd in outputs
        for fd in outputs:
            os.set_blocking(fd, False)
            self.watch(fd, self._on_output, fd)
        if input_fd >= 0:
            os.set_blocking(input_fd, False)
        self._pidfd = pidfd
        self.watch(pidfd, self._on_end, pidfd)

    def watch(
        self, fd: int, handler: "Callable[[int], None]", argument: int, events: int = select.POLLIN
    ) -> None:
        """Call `handler(argument)` when `fd` is ready."""
        self._handlers[fd] = lambda _events: handler(argument)
        self._poll.register(fd, events)

    def forget(self, fd: int) -> None:
        """Stop watching `fd`."""
        if self._handlers.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def call_after(self, seconds: float, action: "Callable[[], None]") -> None:
        """Call `action()` once, `seconds` from now by the monotonic clock."""
        self._timers.append((time.monotonic() + seconds, action))
        self._timers.sort(key=lambda timer: timer[0])

    def _patience_ms(self) -> "int | None":
        """How long poll(2) may wait."""
        if self._ended:
            return DRAIN_MS
        if not self._timers:
            return None
        left_s = self._timers[0][0] - time.monotonic()
        return max(0, min(int(left_s * 1000) + 1, 1 << 30))

    def _call_due(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            self._timers.pop(0)[1]()

    def run(self, until: "Callable[[], bool] | None" = None) -> None:
        """Go on until the container has ended, or `until()` says so."""
        while not (self._ended and not self._outputs):
            ready = self._poll.poll(self._patience_ms())
            if not ready and self._ended:
                break  # somebody outside holds the container's pipe open
            if self._timers and not self._ended:
                self._call_due()
            for fd, events in ready:
                handler = self._handlers.get(fd)
                if handler is not None:
                    handler(events)
            if until is not None and until():
                return
        if self._log is not None:
            self._log.close()

    def close(self) -> None:
        """Close the container's streams that are open still."""
        for fd in {*self._outputs, self._input_fd} - {-1}:
            self.forget(fd)
            os.close(fd)
        self._outputs, self._input_fd = {}, -1

    # Output.

    def _on_output(self, fd: int) -> None:
        if self._is_held():
            self.pause()
            return
        stream = self._outputs[fd]
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return
        except OSError as e:
            if e.errno != errno.EIO:  # EIO: the last holder of the terminal has closed it
                raise
            data = b""
        if not data:
            self._close_output(fd)
            return
        if self._ended:
            self._after_end += len(data)
        if self._log is not None:
            self._log.write(stream, data)
        for client in list(self.clients):
            client.output(stream, data)

    def _is_held(self) -> bool:
        """Whether output has to wait for somebody.  Not what a container has left in its pipes:
        its end waits for nobody, and more than that comes from outside of it."""
        if self._ended and self._after_end < OUTBOX_MAX:
            return False
        return any(client.is_full() for client in self.clients)

    def _close_output(self, fd: int) -> None:
        self.forget(fd)
        stream = self._outputs.pop(fd)
        if fd != self._input_fd:
            os.close(fd)
        if self._log is not None:
            self._log.close_stream(stream)

    def drop_stream(self, stream: str) -> None:
        """Nobody reads `stream` any more: let the container get EPIPE, as in a shell's pipe."""
        for fd in [fd for fd, name in self._outputs.items() if name == stream]:
            self._close_output(fd)

    def pause(self) -> None:
        """Leave the container's output in its pipes until resume()."""
        if not self._paused:
            self._paused = True
            for fd in self._outputs:
                self._poll.modify(fd, 0)

    def resume(self) -> None:
        if self._paused and not self._is_held():
            self._paused = False
            for fd in self._outputs:
                self._poll.modify(fd, select.POLLIN)

    # Input.

    def feed(self, data: bytes, resume: "Callable[[], None]") -> bool:
        """Give `data` to the container's stdin.

        False when no more should come for now: `resume()` is called when it may.
        """
        if self._input_fd < 0:
            return True
        self._pending += data
        self._write_input(0)
        if len(self._pending) < CHUNK:
            return True
        self._waiting.append(resume)
        return False

    def close_input(self) -> None:
        """End the container's stdin after what is pending; a terminal stays open."""
        if self.terminal or self._input_fd < 0:
            return
        self._input_closing = True
        self._write_input(0)

    def _write_input(self, _fd: int) -> None:
        try:
            while self._pending:
                written = os.write(self._input_fd, self._pending[:CHUNK])
                del self._pending[:written]
        except BlockingIOError:
            pass
        except OSError:  # EPIPE, EIO: nobody reads it any more
            self._pending.clear()
            self._input_closing = not self.terminal
        if len(self._pending) < CHUNK:
            waiting, self._waiting = self._waiting, []
            for resume in waiting:
                resume()
        if self._pending:
            self._watch_input()
            return
        if not self.terminal:
            self.forget(self._input_fd)
        elif self._input_fd in self._outputs:
            self._poll.modify(self._input_fd, 0 if self._paused else select.POLLIN)
        if self._input_closing:
            self.forget(self._input_fd)
            os.close(self._input_fd)
            self._input_fd = -1

    def _watch_input(self) -> None:
        if not self.terminal:
            if self._input_fd not in self._handlers:
                self.watch(self._input_fd, self._write_input, 0, select.POLLOUT)
        elif self._input_fd in self._outputs:
            fd = self._input_fd
            self._handlers[fd] = self._on_terminal
            self._poll.modify(fd, select.POLLOUT | (0 if self._paused else select.POLLIN))

    def _on_terminal(self, events: int) -> None:
        if events & select.POLLOUT:
            self._write_input(0)
        if events & _IN and self._input_fd in self._outputs:
            self._on_output(self._input_fd)

    def resize(self, size: bytes) -> None:
        """Set the terminal's struct winsize."""
        from rootless.linux import pty

        if self._input_fd >= 0:
            pty.set_window_size(self._input_fd, size)

    # The end.

    def _on_end(self, fd: int) -> None:
        self.forget(fd)
        self._ended = True
        self.resume()


class _Output:
    """Where a stream is shown: a descriptor of ours that is written without waiting.

    Others may have the same file open, the shell above all, so its O_NONBLOCK is not changed: a
    pipe or terminal is opened a second time.  What cannot be, a socket or another user's pipe, is
    asked before each piece that it is sure to take.
    """

    __slots__ = ("_chunk", "_ready", "fd", "identity", "pending")

    def __init__(self, fd: int) -> None:
        status = os.fstat(fd)
        self.identity = (status.st_dev, status.st_ino, status.st_rdev)
        self.pending = bytearray()
        self._chunk = CHUNK
        self._ready: select.poll | None = None
        self.fd = fd
        if not os.get_blocking(fd) or status.st_mode & 0o170000 in (0o100000, 0o060000):
            return  # a regular file or a disk makes nobody wait
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        try:
            self.fd = os.open(f"/proc/self/fd/{fd}", flags)
        except OSError:
            self._chunk = select.PIPE_BUF
            self._ready = select.poll()
            self._ready.register(fd, select.POLLOUT)

    def write(self, data: bytes) -> bool:
        """Write what is taken, and keep the rest; whether there is none.  Raises OSError."""
        if not self.pending and self._ready is None:  # mostly: without a copy
            try:
                data = data[os.write(self.fd, data) :]
            except BlockingIOError:
                pass
        self.pending += data
        while self.pending:
            if self._ready is not None and not self._ready.poll(0):
                return False
            try:
                written = os.write(self.fd, self.pending[: self._chunk])
            except BlockingIOError:
                return False
            del self.pending[:written]
        return True


class LocalClient(Client):
    """rl itself, in the foreground: its own descriptors 0, 1 and 2.

    `streams` are those that it shows; `read_input` whether its stdin goes to the container.
    """

    def __init__(self, pump: Pump, streams: "tuple[str, ...]", *, read_input: bool) -> None:
        self._pump = pump
        self.failure = ""  # why output could not be written
        self._targets = {
            name: _Output(fd) for name, fd in (("stdout", 1), ("stderr", 2)) if name in streams
        }
        both = list(self._targets.values())
        if len(both) > 1 and both[0].identity == both[1].identity:
            self._targets["stderr"] = both[0]  # in the order in which it came
        self._reading = False
        if read_input:
            self._watch()

    def _watch(self) -> None:
        try:
            self._pump.watch(0, self._on_input, 0)
            self._reading = True
        except OSError:  # closed
            self._pump.close_input()

    def _on_input(self, fd: int) -> None:
        try:
            data = os.read(fd, CHUNK)
        except OSError:
            data = b""
        if data:
            if not self._pump.feed(self.typed(data), self._watch):
                self._pump.forget(fd)
        else:
            self._pump.forget(fd)
            self._pump.close_input()

    def typed(self, data: bytes) -> bytes:
        """What of the user's input goes to the container."""
        return data

    def is_full(self) -> bool:
        return any(len(target.pending) > OUTBOX_MAX for target in self._targets.values())

    def output(self, stream: str, data: bytes) -> None:
        target = self._targets.get(stream)
        if target is not None and not self._write(target, data):
            self._pump.watch(target.fd, self._on_room, target.fd, select.POLLOUT)

    def _on_room(self, fd: int) -> None:
        target = next(one for one in self._targets.values() if one.fd == fd)
        if self._write(target, b""):
            self._pump.forget(fd)
        self._pump.resume()

    def _write(self, target: _Output, data: bytes) -> bool:
        """Whether nothing is left to be written."""
        try:
            return target.write(data)
        except OSError as e:
            if e.errno != errno.EPIPE:  # a reader that has left has had enough
                self.failure = e.strerror or "it failed"
        self._pump.forget(target.fd)
        for stream in [name for name, one in self._targets.items() if one is target]:
            del self._targets[stream]
            self._pump.drop_stream(stream)
        return True

    def finish(self) -> None:
        """Wait until all is written: the container has ended, and its reader has not."""
        for target in list(self._targets.values()):
            poll = select.poll()
            poll.register(target.fd, select.POLLOUT)
            while not self._write(target, b""):
                poll.poll()
