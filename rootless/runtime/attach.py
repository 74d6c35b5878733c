"""Attaching to a supervised container: frames over a Unix socket.  Warm.

frame    1 byte kind, 4 bytes length (little-endian), payload
to the supervisor    0 input · e end of input · w window size (struct winsize) · s signal number
                     h ask for health now
to the client        1 stdout · 2 stderr · x exit code · h the answer of the health check (JSON)
"""

import _socket
import errno
import os
import select

from rootless.linux import process, pty, signals
from rootless.runtime.streams import OUTBOX_MAX, Client, Pump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

INPUT, END, WINDOW, SIGNAL = b"0", b"e", b"w", b"s"
STDOUT, STDERR, EXIT = b"1", b"2", b"x"
HEALTH = b"h"  # both ways
_HEADER = 5
_FRAME_MAX = 1 << 20
PATIENCE_S = 1.0  # so long may a client that is behind take nothing before output goes past it


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    return kind + len(payload).to_bytes(4, "little") + payload


class Frames:
    """Cuts a byte stream into frames."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> "Iterator[tuple[bytes, bytes]]":
        """The frames that `data` completes.  Raises ValueError for a length nobody sends."""
        self._data += data
        while len(self._data) >= _HEADER:
            length = int.from_bytes(self._data[1:_HEADER], "little")
            if length > _FRAME_MAX:
                raise ValueError("frame too long")
            if len(self._data) < _HEADER + length:
                return
            kind = bytes(self._data[:1])
            payload = bytes(self._data[_HEADER : _HEADER + length])
            del self._data[: _HEADER + length]
            yield kind, payload


class SocketClient(Client):
    """The supervisor's side of one attached rl."""

    def __init__(self, sock: "_socket.socket", pump: Pump, pidfd: int) -> None:
        self._socket = sock
        self._pump = pump
        self._pidfd = pidfd
        self._frames = Frames()
        self._outbox = bytearray()
        self._listening = True  # False while the container's stdin is full
        self._stalled = False  # it has not read for so long that nobody waits for it
        self._skipped = 0  # bytes that it has missed
        self._timing = self._moved = False
        sock.setblocking(False)
        self._watch()

    def _watch(self) -> None:
        """Watch the socket for what is of use now; hang-ups are always reported."""
        events = select.POLLIN if self._listening else 0
        if self._outbox:
            events |= select.POLLOUT
        if self._socket.fileno() >= 0:
            self._pump.watch(self._socket.fileno(), self._on_event, 0, events)

    def _listen_again(self) -> None:
        self._listening = True
        self._watch()

    def output(self, stream: str, data: bytes) -> None:
        if self._stalled:
            self._skipped += len(data)
            return
        self._outbox += frame(STDOUT if stream == "stdout" else STDERR, data)
        self._flush()
        if self.is_full() and not self._timing:
            self._expect_progress()

    def is_full(self) -> bool:
        return len(self._outbox) > OUTBOX_MAX and not self._stalled

    def _expect_progress(self) -> None:
        """The container waits for a slow reader, but not for one that does not read at all."""
        self._timing, self._moved = True, False
        self._pump.call_after(PATIENCE_S, self._look_for_progress)

    def _look_for_progress(self) -> None:
        self._timing = False
        if not self.is_full():
            return
        if self._moved:
            self._expect_progress()
        else:
            self._stalled = True
            self._pump.resume()

    def _flush(self) -> None:
        if not self._send_some():
            self._watch()
            return
        if self._socket.fileno() < 0:
            self._leave()
            return
        if self._stalled:
            self._stalled, self._skipped, note = False, 0, _skip_note(self._skipped)
            self._outbox += frame(STDERR, note)
            self._flush()
            return
        self._watch()
        self._pump.resume()

    def _send_some(self) -> bool:
        """Send what the socket takes; whether nothing is left.  Closed when the client has gone."""
        try:
            while self._outbox:
                del self._outbox[: self._socket.send(self._outbox, _socket.MSG_NOSIGNAL)]
                self._moved = True
        except BlockingIOError:
            return False
        except OSError:
            self._outbox.clear()
            self._pump.forget(self._socket.fileno())
            self._socket.close()
        return True

    def end(self, exit_code: int) -> int:
        """The container has ended: its exit code goes last.  A descriptor to wait for until
        end_some() is to be called, -1 when all is sent."""
        if self._skipped:
            self._outbox += frame(STDERR, _skip_note(self._skipped))
        self._outbox += frame(EXIT, str(exit_code).encode())
        return -1 if self.end_some() else self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def end_some(self) -> bool:
        """Send more of the rest; True when there is none any more."""
        if not self._send_some():
            return False
        self._socket.close()
        return True

    def _on_event(self, _argument: int) -> None:
        if self._outbox:
            self._flush()
        if self._socket.fileno() < 0:
            return
        if self._listening:
            self._on_readable()
        elif self._has_left():
            self._leave()

    def _has_left(self) -> bool:
        """Whether the client has gone, with its input still to be read."""
        try:
            return not self._socket.recv(1, _socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _on_readable(self) -> None:
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._leave()
            return
        try:
            for kind, payload in self._frames.feed(data):
                self._take(kind, payload)
        except ValueError:
            self._leave()

    def _take(self, kind: bytes, payload: bytes) -> None:
        if kind == INPUT:
            if not self._pump.feed(payload, self._listen_again):
                self._listening = False
                self._watch()
        elif kind == END:
            self._pump.close_input()
        elif kind == WINDOW and self._pump.terminal and len(payload) == 8:
            self._pump.resize(payload)
        elif kind == SIGNAL and payload.isdigit():
            process.signal_process(self._pidfd, int(payload))
        elif kind == HEALTH and self._pump.ask_health is not None:
            self._pump.ask_health(self._tell_health)

    def _tell_health(self, answer: bytes) -> None:
        if self._socket.fileno() >= 0:
            self._outbox += frame(HEALTH, answer)
            self._flush()

    def _leave(self) -> None:
        if self in self._pump.clients:
            self._pump.clients.remove(self)
        if self._socket.fileno() >= 0:
            self._pump.forget(self._socket.fileno())
            self._socket.close()
        self._pump.resume()


def _skip_note(size: int) -> bytes:
    return f"\r\nrl: {size} bytes of output were left out here, since nobody read\r\n".encode()


def end_clients(clients: "list[Client]", exit_code: int) -> None:
    """Give everybody the rest of the output and the exit code; returns when they have it.

    Without a limit of time: the container is cleaned up, and who waits for it has been told.
    """
    poll = select.poll()
    waiting = {}
    for client in clients:
        if isinstance(client, SocketClient):
            fd = client.end(exit_code)
            if fd >= 0:
                waiting[fd] = client
                poll.register(fd, select.POLLOUT)
    while waiting:
        for fd, _ in poll.poll():
            if waiting[fd].end_some():
                poll.unregister(fd)
                del waiting[fd]


class Listener:
    """The supervisor's socket for those who come later."""

    def __init__(self, path: str, pump: Pump, pidfd: int) -> None:
        self._path = path
        self._pump = pump
        self._pidfd = pidfd
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        self._socket.bind(path)
        self._socket.listen(8)
        self._socket.setblocking(False)
        pump.watch(self._socket.fileno(), self._on_connection, 0)

    def _on_connection(self, _argument: int) -> None:
        try:
            fd, _ = self._socket._accept()  # type: ignore[attr-defined]
        except OSError:
            return
        self.adopt(fd)

    def adopt(self, fd: int) -> None:
        """Make a client of the connected socket `fd`."""
        os.set_inheritable(fd, False)
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fd)
        self._pump.clients.append(SocketClient(sock, self._pump, self._pidfd))

    def close(self) -> None:
        self._socket.close()
        try:
            os.unlink(self._path)
        except OSError:
            pass


class DetachKeys:
    """Finds the detach sequence in what is typed; what only began like it is passed on."""

    __slots__ = ("_held", "_keys")

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """(bytes to pass on, whether the whole sequence was typed)."""
        if not self._keys:
            return data, False
        passed = b""
        for place in range(len(data)):
            self._held += data[place : place + 1]
            while self._held and not self._keys.startswith(self._held):
                passed += self._held[:1]
                self._held = self._held[1:]
            if self._held == self._keys:
                self._held = b""
                return passed, True
        return passed, False


class Detached(Exception):
    """The user has typed the detach keys, or their terminal is gone."""


class Connection:
    """The client's side: relays this process's terminal or pipes until the container ends."""

    def __init__(
        self,
        sock: "_socket.socket",
        *,
        terminal: bool,
        read_input: bool,
        detach_keys: bytes,
        sig_proxy: bool,
        streams: "tuple[str, ...]" = ("stdout", "stderr"),
    ) -> None:
        self._socket = sock
        self._terminal = terminal
        self._read_input = read_input
        self._keys = DetachKeys(detach_keys if terminal else b"")
        self._sig_proxy = sig_proxy
        self._streams = streams
        self._frames = Frames()

    def relay(self) -> int:
        """Relay until the end; the container's exit code.

        Raises Detached.  The terminal of this process is in raw mode meanwhile.
        """
        if self._terminal and self._read_input and os.isatty(0):
            with pty.RawMode(0):
                return self._relay()
        return self._relay()

    def _relay(self) -> int:
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signals.handle([signals.SIGWINCH], lambda *_: None)
        if self._sig_proxy:
            signals.handle(signals.FORWARDED, self._forward)
        signals.wake(wake_write)
        self._send_window()
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLIN)
        poll.register(wake_read, select.POLLIN)
        if self._read_input:
            poll.register(0, select.POLLIN)
        try:
            while True:
                for fd, _ in poll.poll():
                    if fd == wake_read:
                        os.read(wake_read, 4096)
                        self._send_window()
                    elif fd == 0:
                        if not self._on_input():
                            poll.unregister(0)
                    else:
                        exit_code = self._on_frames()
                        if exit_code is not None:
                            return exit_code
        finally:
            signals.wake(-1)
            os.close(wake_read)
            os.close(wake_write)

    def _forward(self, number: int, _frame: object) -> None:
        self._send(frame(SIGNAL, str(number).encode()))

    def _send_window(self) -> None:
        if self._terminal:
            size = pty.window_size(0) or pty.window_size(1)
            if size:
                self._send(frame(WINDOW, size))

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as e:
            if e.errno not in (errno.EPIPE, errno.ECONNRESET):
                raise

    def _on_input(self) -> bool:
        try:
            data = os.read(0, 65536)
        except OSError:
            data = b""
        if not data and self._terminal:
            raise Detached  # the terminal has hung up, and the container goes on
        if not data:
            self._send(frame(END))
            return False
        passed, detach = self._keys.feed(data)
        if passed:
            self._send(frame(INPUT, passed))
        if detach:
            raise Detached
        return True

    def _on_frames(self) -> "int | None":
        try:
            data = self._socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            return 137  # the supervisor was killed, and the container with it
        for kind, payload in self._frames.feed(data):
            if kind == EXIT:
                return int(payload)
            number, stream = (1, "stdout") if kind == STDOUT else (2, "stderr")
            if stream in self._streams:
                _write_all(number, payload)
        return None


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            os.set_blocking(fd, True)
