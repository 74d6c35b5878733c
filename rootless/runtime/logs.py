"""A container's log: Docker's json-file lines, written by the supervisor, read by `rl logs`.  Warm.

    {"log":"a line\\n","stream":"stdout","time":"2026-01-02T03:04:05.123456789Z"}

A line without its end is kept for 16 KiB or until the stream ends, as Docker does.
"""

import os
import time

from rootless import fastjson
from rootless.store.containers import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rootless.store.containers import Container

PARTIAL_MAX = 16 << 10  # bytes of a line that is logged before its end has come


class Writer:
    """Appends to the log.  A disk that is full costs lines of the log, never the container."""

    __slots__ = ("_fd", "_max_files", "_max_size", "_partial", "_path", "_size")

    def __init__(self, path: str, *, max_size: int = 0, max_files: int = 1) -> None:
        self._path = path
        self._max_size = max_size  # bytes, 0 for no limit
        self._max_files = max_files
        self._partial: dict[str, bytes] = {}
        self._fd = -1
        self._size = 0
        self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o600)
        self._size = os.fstat(self._fd).st_size

    def write(self, stream: str, data: bytes) -> None:
        """Log what the container has written to `stream`."""
        data = self._partial.pop(stream, b"") + data
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        lines = data[:end].splitlines(keepends=True) if end else []
        # splitlines() cuts at \r too: a log line ends at \n alone.
        if b"\r" in data[:end] or b"\x0b" in data[:end] or b"\x0c" in data[:end]:
            lines = [one + b"\n" for one in data[: end - 1].split(b"\n")]
        while len(rest) >= PARTIAL_MAX:
            lines.append(rest[:PARTIAL_MAX])
            rest = rest[PARTIAL_MAX:]
        if rest:
            self._partial[stream] = rest
        if lines:
            self._append(stream, lines)

    def close_stream(self, stream: str) -> None:
        """Log what is left of a stream that has ended."""
        rest = self._partial.pop(stream, b"")
        if rest:
            self._append(stream, [rest])

    def _append(self, stream: str, lines: list[bytes]) -> None:
        when = rfc3339(time.time_ns())
        tail = f',"stream":"{stream}","time":"{when}"}}\n'
        texts = [
            f'{{"log":{fastjson.quote(line.decode("utf-8", "replace"))}{tail}' for line in lines
        ]
        try:
            # One by one where a size is to be kept: many lines may have come at once.
            for text in texts if self._max_size else ("".join(texts),):
                data = text.encode()
                if self._max_size and self._size + len(data) > self._max_size and self._size:
                    self._rotate()
                os.write(self._fd, data)
                self._size += len(data)
        except OSError:
            pass

    def _rotate(self) -> None:
        """log -> log.1 -> log.2 …, at most `max_files` of them, the current one included."""
        os.close(self._fd)
        for number in range(self._max_files - 1, 0, -1):
            source = self._path if number == 1 else f"{self._path}.{number - 1}"
            try:
                os.rename(source, f"{self._path}.{number}")
            except FileNotFoundError:
                pass
        if self._max_files == 1:
            os.unlink(self._path)
        self._open()

    def close(self) -> None:
        for stream in list(self._partial):
            self.close_stream(stream)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Entry:
    """One line of a log: `time` as written, RFC 3339 in UTC, so that text compares as time."""

    __slots__ = ("stream", "text", "time")

    def __init__(self, stream: str, when: str, text: str) -> None:
        self.stream = stream
        self.time = when
        self.text = text


def read(
    container: "Container",
    *,
    follow: bool = False,
    tail: int = -1,
    since: str = "",
    until: str = "",
    wait: "Callable[[], bool] | None" = None,
) -> "Iterator[Entry]":
    """The entries of the log, oldest first: the last `tail` (-1: all) between two times.

    With `follow` it goes on while the container runs: `wait()` blocks until the log may have
    grown and returns False when the container has ended.
    """
    reader = Reader(container.log_path)
    try:
        entries = [e for e in (_parse(line) for line in reader.lines()) if e]
        entries = [e for e in entries if _between(e, since, until)]
        yield from entries[-tail:] if tail > 0 else ([] if tail == 0 else entries)
        while follow:
            going_on = wait() if wait is not None else False
            lines = reader.lines()
            for line in lines:
                entry = _parse(line)
                if entry is None:
                    continue
                if until and entry.time > until:
                    return
                if _between(entry, since, until):
                    yield entry
            if not going_on and not lines:
                return
    finally:
        reader.close()


class Reader:
    """Reads a file of lines as it grows, and over its rotations: `path`, path.1, path.2 …"""

    __slots__ = ("_fd", "_path", "_rest")

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1  # of the file that was read last: an open file's inode is not used again
        self._rest = b""

    def lines(self) -> list[bytes]:
        """The complete lines that have come since the last call; at first all, oldest first."""
        newer = self._newer()
        lines = self._drain()
        for fd in newer:
            self.close()
            self._fd = fd
            lines += self._drain()
        return lines

    def _newer(self) -> list[int]:
        """The files that were begun after ours, oldest first.

        The newest is opened first: a rotation meanwhile makes us see a file twice, but miss none.
        """
        seen = set()
        ours = os.fstat(self._fd).st_ino if self._fd >= 0 else -1
        found: list[int] = []
        path, number = self._path, 0
        while True:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                if number:
                    break
            else:
                inode = os.fstat(fd).st_ino
                if inode == ours or inode in seen:
                    os.close(fd)
                else:
                    seen.add(inode)
                    found.insert(0, fd)
                if inode == ours:
                    break
            number += 1
            path = f"{self._path}.{number}"
        return found

    def _drain(self) -> list[bytes]:
        if self._fd < 0:
            return []
        pieces = [self._rest]
        while piece := os.read(self._fd, 1 << 20):
            pieces.append(piece)
        lines = b"".join(pieces).split(b"\n")
        self._rest = lines.pop()
        return lines

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._rest = -1, b""


def _parse(line: bytes) -> "Entry | None":
    try:
        document = fastjson.loads(line)
        return Entry(str(document["stream"]), str(document["time"]), str(document["log"]))
    except (ValueError, KeyError, TypeError):
        return None  # cut short by a full disk


def _between(entry: Entry, since: str, until: str) -> bool:
    return (not since or entry.time >= since) and (not until or entry.time <= until)
