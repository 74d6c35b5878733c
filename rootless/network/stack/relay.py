"""A TCP connection in two parts: what comes from one socket goes to the other.

Small pieces are read and written; where much comes at once they are spliced through a pipe, which
copies nothing.  A connection that rests holds two descriptors and no buffer.  What one side doesn't
take is at most 64 KiB, or one pipe, for each direction; then the other side isn't read.

An end of data (FIN) is passed on as shutdown(2), a reset as a reset: SO_LINGER of zero, socket(7).
"""

import _socket
import os
import select
import struct

from rootless.network.stack.loop import ERR, HUP, IN, OUT, Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 65536
PIPE_SIZE = 1 << 20
PIPES_KEPT = 8
_EVENTS = IN | OUT | select.EPOLLRDHUP | select.EPOLLET
_INPUT = IN | select.EPOLLRDHUP | HUP
_ENDING = select.EPOLLRDHUP | HUP
_TURN = 16  # pieces before others have their turn
_SPLICE_F_MOVE, _SPLICE_F_NONBLOCK = 1, 2
_FLAGS = _SPLICE_F_MOVE | _SPLICE_F_NONBLOCK
_F_SETPIPE_SZ = 1031
_RESET = struct.pack("=ii", 1, 0)
_KEEP_IDLE_S = 300  # before a silent peer is asked whether it is there: NAT forgets in minutes


class Pipes:
    """Pipes that are empty and wait for their next use."""

    def __init__(self) -> None:
        self._spare: list[tuple[int, int]] = []

    def take(self) -> "tuple[int, int] | None":
        """None where there are no more descriptors."""
        if self._spare:
            return self._spare.pop()
        try:
            pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        import fcntl

        try:
            fcntl.fcntl(pipe[1], _F_SETPIPE_SZ, PIPE_SIZE)
        except OSError:
            pass  # more than this user may have: /proc/sys/fs/pipe-user-pages-soft
        return pipe

    def give(self, pipe: "tuple[int, int]") -> None:
        """Back, empty."""
        if len(self._spare) < PIPES_KEPT:
            self._spare.append(pipe)
        else:
            os.close(pipe[0])
            os.close(pipe[1])

    def close(self) -> None:
        for pipe in self._spare:
            os.close(pipe[0])
            os.close(pipe[1])
        self._spare = []


class _Way:
    """One direction."""

    __slots__ = (
        "bulk", "ended", "ending", "held", "pipe", "piped", "readable", "shut", "source", "target",
        "writable",
    )  # fmt: skip

    def __init__(self, source: int, target: int) -> None:
        self.source = source
        self.target = target
        self.readable = self.writable = True
        self.ending = False  # an end of data is behind what can be read
        self.ended = False  # it has been read
        self.shut = False  # and passed on
        self.bulk = False  # much comes at once
        self.held = b""
        self.pipe: tuple[int, int] | None = None
        self.piped = 0


class Relay:
    """Two connected sockets; ours from now on.  `gone(relay)` is called when both are closed.

    `first` tells then what ended first: 0 and 1 reading and writing `one`, 2 and 3 the `other`;
    `error` is the errno, 0 for an end of data.
    """

    __slots__ = (
        "_ab", "_ba", "_gone", "_loop", "_pipes", "_queued", "_sockets", "error", "first",
    )  # fmt: skip

    def __init__(
        self,
        loop: Loop,
        pipes: Pipes,
        one: "_socket.socket",
        other: "_socket.socket",
        gone: "Callable[[Relay], None]",
    ) -> None:
        self._loop = loop
        self._pipes = pipes
        self._gone = gone
        self._queued = False
        self.first, self.error = -1, 0
        self._sockets: tuple[_socket.socket, _socket.socket] | None = (one, other)
        a, b = one.fileno(), other.fileno()
        self._ab = _Way(a, b)
        self._ba = _Way(b, a)
        for sock in (one, other):
            prepare(sock)
        loop.watch(a, self._on_a, _EVENTS)
        loop.watch(b, self._on_b, _EVENTS)

    def _on_a(self, events: int) -> None:
        self._on(self._ab, self._ba, events)

    def _on_b(self, events: int) -> None:
        self._on(self._ba, self._ab, events)

    def _on(self, reading: _Way, writing: _Way, events: int) -> None:
        if events & ERR:
            assert self._sockets is not None
            sock = self._sockets[0 if reading is self._ab else 1]
            self._fail(0 if reading is self._ab else 2, _pending_error(sock))
            return
        if events & _INPUT:
            reading.readable = True
            if events & _ENDING:
                reading.ending = True
        if events & OUT:
            writing.writable = True
        if self._queued:
            return
        if reading.readable and reading.writable:
            self._move(reading)
        if writing.writable and (writing.held or writing.piped):
            self._move(writing)

    def _again(self) -> None:
        self._queued = False
        for way in (self._ab, self._ba):
            if self._sockets is not None and way.writable:
                self._move(way)

    def _move(self, way: _Way) -> None:
        """Pass on what can be passed on."""
        try:
            for _ in range(_TURN):
                if way.held:
                    written = os.write(way.target, way.held)
                    if written < len(way.held):
                        way.held = way.held[written:]
                        way.writable = False
                        return
                    way.held = b""
                elif way.piped:
                    assert way.pipe is not None
                    way.piped -= os.splice(way.pipe[0], way.target, way.piped, flags=_FLAGS)
                    if not way.piped:
                        continue
                elif way.ended:
                    self._end(way)
                    return
                elif not way.readable or not self._take(way):
                    return
        except BlockingIOError:
            way.writable = False
            return
        except OSError as e:
            self._fail(3 if way is self._ab else 1, e.errno or 0)
            return
        if not self._queued and (way.readable or way.held or way.piped):
            self._queued = True
            self._loop.soon(self._again)

    def _take(self, way: _Way) -> bool:
        """Take the next piece from the source; False when there is none.  Raises OSError."""
        try:
            if way.bulk and way.pipe is None:
                way.pipe = self._pipes.take()
            if way.pipe is None:
                data = os.read(way.source, CHUNK)
                size = len(data)
                way.held = data
                if size == CHUNK:
                    way.bulk = True
                elif size and not way.ending:
                    way.readable = False  # a short piece was all: epoll(7), question 9
            else:
                size = os.splice(way.source, way.pipe[1], PIPE_SIZE, flags=_FLAGS)
                way.piped = size
                way.bulk = size >= CHUNK
        except BlockingIOError:
            way.readable = False
            if way.pipe is not None:
                self._pipes.give(way.pipe)
                way.pipe = None
            return False
        if not size:
            way.ended = True
        return True

    def _end(self, way: _Way) -> None:
        """The source has ended and all of it is through."""
        assert self._sockets is not None
        if way.shut:
            return
        way.shut = True
        if self.first < 0:
            self.first = 0 if way is self._ab else 2
        target = self._sockets[1] if way is self._ab else self._sockets[0]
        try:
            target.shutdown(_socket.SHUT_WR)
        except OSError:
            self.abort()
            return
        if self._ab.shut and self._ba.shut:
            self._close()

    def _fail(self, first: int, error: int) -> None:
        if self.first < 0 or not self.error:
            self.first, self.error = first, error
        self.abort()

    def abort(self) -> None:
        """Reset both sides."""
        if self._sockets is not None:
            for sock in self._sockets:
                sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, _RESET)
            self._close()

    def _close(self) -> None:
        assert self._sockets is not None
        for sock in self._sockets:
            self._loop.forget(sock.fileno())
            sock.close()
        self._sockets = None
        for way in (self._ab, self._ba):
            if way.pipe is not None:
                if way.piped:
                    os.close(way.pipe[0])
                    os.close(way.pipe[1])
                else:
                    self._pipes.give(way.pipe)
                way.pipe = None
            way.held = b""
            way.readable = way.writable = False
            way.piped = 0
        self._gone(self)


def _pending_error(sock: "_socket.socket") -> int:
    try:
        error: int = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
    except OSError as e:
        return e.errno or 0
    return error


def prepare(sock: "_socket.socket") -> None:
    """Options of every socket of a relay: the pieces are whole already, and a peer that has
    vanished is noticed."""
    if sock.gettimeout() != 0:
        sock.setblocking(False)
    if sock.family == _socket.AF_UNIX:
        return
    sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, 1)
    sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_KEEPIDLE, _KEEP_IDLE_S)


def reset(sock: "_socket.socket") -> None:
    """Close `sock` with a reset."""
    try:
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, _RESET)
    finally:
        sock.close()
