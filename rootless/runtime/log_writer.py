"""A container's log as its parent writes it: Docker's json-file lines, in the store.  Warm.

    {"log":"a line\\n","stream":"stdout","time":"2026-01-02T03:04:05.123456789Z"}

A line without its end is kept for 16 KiB or until the stream ends, as Docker does.  With a size
that is to be kept, log becomes log.1 and so on; `compress` makes log.1.gz of it, by a child, so
that nobody waits.  A line never goes in two pieces: what a full disk does not take is lost and
counted, and a line of the log says so when there is space again.
"""

import os
import time

from rootless import fastjson
from rootless.store.containers import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from rootless.store.containers import Container

    class Log(Protocol):
        """What takes the output of a container."""

        def write(self, stream: str, data: bytes) -> None:
            """Log what the container has written to `stream`."""

        def close_stream(self, stream: str) -> None:
            """The stream has ended: log what is left of it."""

        def close(self) -> None: ...


PARTIAL_MAX = 16 << 10  # bytes of a line that is logged before its end has come
_LOCAL = {"max-size": "20m", "max-file": "5", "compress": "true"}  # Docker's, of the driver local


def make(container: "Container", log: "dict[str, Any]") -> "Log | None":
    """The log of `log` ("driver", "options"); None for the driver none.  Raises RlError."""
    driver, options = log.get("driver", "json-file"), log.get("options") or {}
    if driver == "none":
        return None
    if driver == "journald":
        from rootless.runtime import log_journald

        return log_journald.Writer(container, options)
    if driver == "local":
        options = {**_LOCAL, **options}
    size = 0
    if options.get("max-size"):
        from rootless.runtime.options_text import parse_size

        size = max(0, parse_size(options["max-size"], "--log-opt max-size"))
    attributes: dict[str, str] = {}
    if driver == "json-file" and options.keys() - {"max-size", "max-file", "compress"}:
        from rootless.runtime import log_attributes

        attributes = log_attributes.of(container, options)
    try:
        return Writer(
            container.log_path,
            max_size=size,
            max_files=int(options.get("max-file", 1)),
            compress=options.get("compress", "").lower() in ("1", "t", "true"),
            attributes=attributes,
        )
    except OSError as e:
        from rootless.store.atomic import store_error

        raise store_error(e, "open the container's log") from e


class Lines:
    """Cuts what comes on several streams into lines, and long ones into pieces."""

    __slots__ = ("_partial",)

    def __init__(self) -> None:
        self._partial: dict[str, bytes] = {}

    def feed(self, stream: str, data: bytes) -> list[bytes]:
        """The lines, with their ends, and pieces of PARTIAL_MAX bytes that `data` completes."""
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
        return lines

    def end(self, stream: str) -> bytes:
        """What is left of a stream that has ended."""
        return self._partial.pop(stream, b"")

    def streams(self) -> list[str]:
        return list(self._partial)


class Writer:
    """Appends to the log.  A disk that is full costs lines of the log, never the container."""

    __slots__ = (
        "_attributes", "_compress", "_compressor", "_fd", "_lines", "_lost", "_max_files",
        "_max_size", "_path", "_size",
    )  # fmt: skip

    def __init__(
        self,
        path: str,
        *,
        max_size: int = 0,
        max_files: int = 1,
        compress: bool = False,
        attributes: "dict[str, str] | None" = None,
    ) -> None:
        self._path = path
        self._max_size = max_size  # bytes, 0 for no limit
        self._max_files = max_files
        self._compress = compress and max_files > 1
        self._compressor = 0  # PID of the child that compresses, 0 for none
        self._attributes = f',"attrs":{fastjson.dumps(attributes)}' if attributes else ""
        self._lines = Lines()
        self._lost = 0  # bytes of output that a full disk has cost since the last note
        self._fd = self._open()
        self._size = os.fstat(self._fd).st_size

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.open(self._path, flags, 0o600)

    def write(self, stream: str, data: bytes) -> None:
        """Log what the container has written to `stream`."""
        lines = self._lines.feed(stream, data)
        if lines:
            self._append(stream, lines)

    def close_stream(self, stream: str) -> None:
        """Log what is left of a stream that has ended."""
        rest = self._lines.end(stream)
        if rest:
            self._append(stream, [rest])

    def _append(self, stream: str, lines: list[bytes]) -> None:
        when = rfc3339(time.time_ns())
        tail = f',"stream":"{stream}"{self._attributes},"time":"{when}"}}\n'
        texts = [
            f'{{"log":{fastjson.quote(line.decode("utf-8", "replace"))}{tail}' for line in lines
        ]
        if not self._max_size and self._put(self._note(when) + "".join(texts).encode()):
            self._lost = 0
            return
        # One by one where a size is to be kept, or where the disk may take some of them.
        for text, line in zip(texts, lines, strict=True):
            data = self._note(when) + text.encode()
            if self._max_size and self._size + len(data) > self._max_size and self._size:
                self._rotate()
            self._lost = 0 if self._put(data) else self._lost + len(line)

    def _put(self, data: bytes) -> bool:
        """Append `data`, whole or not at all."""
        try:
            written = os.write(self._fd, data)
        except OSError:
            return False
        if written < len(data):
            try:
                os.ftruncate(self._fd, self._size)
            except OSError:
                self._size += written
            return False
        self._size += written
        return True

    def _note(self, when: str) -> bytes:
        """A line about what was lost, b"" when nothing was: written with the next that fits."""
        if not self._lost:
            return b""
        text = f"rl: {self._lost} bytes of output are not in this log: the disk was full\n"
        return f'{{"log":{fastjson.quote(text)},"stream":"stderr","time":"{when}"}}\n'.encode()

    def _rotate(self) -> None:
        """log -> log.1 -> log.2 …, at most `max_files` of them, the current one included.

        Not while log.1 is being compressed: the log grows a little over its size then.
        """
        if self._is_compressing():
            return
        try:
            for number in range(self._max_files - 1, 0, -1):
                source = self._path if number == 1 else f"{self._path}.{number - 1}"
                for suffix in ("", ".gz"):
                    try:
                        os.rename(source + suffix, f"{self._path}.{number}{suffix}")
                    except FileNotFoundError:
                        pass
            if self._max_files == 1:
                os.unlink(self._path)
            fd = self._open()
        except OSError:
            return  # the old file goes on
        os.close(self._fd)
        self._fd, self._size = fd, 0
        if self._compress:
            from rootless.runtime import log_compress

            self._compressor = log_compress.start(f"{self._path}.1")

    def _is_compressing(self) -> bool:
        if self._compressor:
            try:
                if os.waitpid(self._compressor, os.WNOHANG)[0] == 0:
                    return True
            except ChildProcessError:
                pass
            self._compressor = 0
        return False

    def close(self) -> None:
        for stream in self._lines.streams():
            self.close_stream(stream)
        if self._lost:
            self._put(self._note(rfc3339(time.time_ns())))
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
