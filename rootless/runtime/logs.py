"""A container's log as `rl logs` reads it: rootless.runtime.log_writer's lines, over rotations.
Warm.
"""

import os

from rootless import fastjson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rootless.store.containers import Container

_BLOCK = 1 << 20


class Entry:
    """One line of a log: `time` as written, RFC 3339 in UTC, so that text compares as time."""

    __slots__ = ("attributes", "stream", "text", "time")

    def __init__(
        self, stream: str, when: str, text: str, attributes: "dict[str, str] | None" = None
    ) -> None:
        self.stream = stream
        self.time = when
        self.text = text
        self.attributes = attributes or {}


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
    grown and returns False when nothing more will come.
    """
    reader = Reader(container.log_path)
    try:
        if tail >= 0 and not until:
            reader.skip_to_last(tail)
        entries = _entries(reader, since, until)
        if tail >= 0 and until:
            entries = iter(_last(entries, tail))
        yield from entries
        while follow and wait is not None:
            going_on = wait()
            came = False
            for lines in reader.batches():
                came = True
                for entry in _parsed(lines):
                    if until and entry.time > until:
                        return
                    if not since or entry.time >= since:
                        yield entry
            if not going_on and not came:
                return
    finally:
        reader.close()


def _entries(reader: "Reader", since: str, until: str) -> "Iterator[Entry]":
    for lines in reader.batches():
        for entry in _parsed(lines):
            if (not since or entry.time >= since) and (not until or entry.time <= until):
                yield entry


def _last(entries: "Iterator[Entry]", count: int) -> list[Entry]:
    kept: list[Entry] = []
    for entry in entries:
        kept.append(entry)
        if len(kept) > 2 * count + 1000:
            del kept[: len(kept) - count]
    return kept[-count:] if count else []


def _parsed(lines: list[bytes]) -> "Iterator[Entry]":
    for line in lines:
        try:
            document = fastjson.loads(line)
            yield Entry(
                str(document["stream"]), str(document["time"]), str(document["log"]),
                document.get("attrs"),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError, AttributeError):
            pass  # not ours


class _File:
    """One file of a log, open; or the content of a compressed one."""

    __slots__ = ("data", "fd")

    def __init__(self, fd: int, data: bytes = b"") -> None:
        self.fd = fd
        self.data = data

    def skip_to_last(self, count: int) -> int:
        """Leave the last `count` lines; how many there are of them."""
        if self.fd < 0:
            place, found = _line_from_end(self.data, count)
            self.data = self.data[place:]
            return found
        end = os.lseek(self.fd, 0, os.SEEK_END)
        found, place = 0, end
        while place > 0 and found <= count:
            size = min(_BLOCK, place)
            place -= size
            block = os.pread(self.fd, size, place)
            here = block.count(b"\n")
            if found + here > count:
                offset, _ = _line_from_end(block, count - found)
                os.lseek(self.fd, place + offset, os.SEEK_SET)
                return count
            found += here
        os.lseek(self.fd, 0, os.SEEK_SET)
        return found


def _line_from_end(data: bytes, count: int) -> "tuple[int, int]":
    """Where the last `count` lines begin, and how many there are."""
    place, found = len(data), -1
    while found < count:
        place = data.rfind(b"\n", 0, place)
        if place < 0:
            return 0, found + 1
        found += 1
    return place + 1, count


class Reader:
    """Reads a file of lines as it grows, and over its rotations: `path`, path.1, path.2.gz …"""

    __slots__ = ("_fd", "_path", "_rest", "_waiting")

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1  # of the file that was read last: an open file's inode is not used again
        self._rest = b""
        self._waiting: list[_File] = []

    def skip_to_last(self, count: int) -> None:
        """Leave all but the last `count` lines that there are now out."""
        files = self._newer()
        for place in range(len(files) - 1, -1, -1):
            count -= files[place].skip_to_last(count)
            if count <= 0:
                for file in files[:place]:
                    if file.fd >= 0:
                        os.close(file.fd)
                files = files[place:]
                break
        self._waiting = files

    def lines(self) -> list[bytes]:
        """The complete lines that have come since the last call; at first all, oldest first."""
        return [line for lines in self.batches() for line in lines]

    def batches(self) -> "Iterator[list[bytes]]":
        """lines(), some at a time."""
        newer, self._waiting = self._waiting or self._newer(), []
        yield from self._drain()
        for file in newer:
            self.close()
            if file.fd < 0:
                yield file.data.split(b"\n")[:-1]
            else:
                self._fd = file.fd
                yield from self._drain()

    def _newer(self) -> list[_File]:
        """The files that were begun after ours, oldest first.

        The newest is opened first: a rotation meanwhile makes us see a file twice, but miss none.
        """
        known = [self._fd] if self._fd >= 0 else []
        found: list[_File] = []
        path, number = self._path, 0
        while True:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                packed = self._packed(f"{path}.gz", known)
                if packed is None and number:
                    break
                if packed is not None and packed.data:
                    found.insert(0, packed)
            else:
                inode = os.fstat(fd).st_ino
                inodes = [os.fstat(one).st_ino for one in known]
                if inode in inodes:
                    os.close(fd)
                    if self._fd >= 0 and inode == inodes[0]:
                        break
                else:
                    known.append(fd)
                    found.insert(0, _File(fd))
            number += 1
            path = f"{self._path}.{number}"
        return found

    def _packed(self, path: str, known: list[int]) -> "_File | None":
        """A compressed file that is newer than ours; without data when it was seen in this look,
        None when it is ours or there is none."""
        try:
            if not os.path.exists(path):
                return None
            from rootless.runtime import log_compress

            identity = log_compress.identity_of(path)
            for fd in known:
                if log_compress.identity(fd) == identity:
                    return None if fd == self._fd else _File(-1)
            return _File(-1, log_compress.read(path))
        except OSError:
            return None  # rotated away this instant

    def _drain(self) -> "Iterator[list[bytes]]":
        while self._fd >= 0 and (piece := os.read(self._fd, _BLOCK)):
            lines = (self._rest + piece).split(b"\n")
            self._rest = lines.pop()
            if lines:
                yield lines

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._rest = -1, b""
