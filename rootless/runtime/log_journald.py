"""The log driver journald: a container's lines in systemd's journal, with Docker's fields.

The journal's native protocol: one datagram of NAME=value lines, binary values with their length
(systemd's JOURNAL_NATIVE_PROTOCOL).  A message that is too long for a datagram cannot be: lines
are cut at 16 KiB.  They are read back by journalctl(1).
"""

import _socket
import os

from rootless import fastjson
from rootless.errors import ContainerError, HostError
from rootless.linux import process
from rootless.runtime import log_attributes
from rootless.runtime.log_writer import Lines
from rootless.runtime.logs import Entry
from rootless.store.containers import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rootless.store.containers import Container

SOCKET = "/run/systemd/journal/socket"
_PRIORITIES = {"stdout": b"6", "stderr": b"3"}  # informational, error: as Docker


class Writer:
    """Sends lines to the journal; one that it does not take is lost."""

    __slots__ = ("_fields", "_lines", "_socket")

    def __init__(
        self, container: "Container", options: "Mapping[str, str]", path: str = SOCKET
    ) -> None:
        self._lines = Lines()
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
        try:
            self._socket.connect(path)
        except OSError as e:
            self._socket.close()
            raise HostError(
                f"cannot log to the journal: {path}: {e.strerror}",
                remedy="use --log-driver json-file or local where systemd-journald does not run",
                code="RL-LOG-JOURNALD",
            ) from e
        tag = log_attributes.tag(container, options.get("tag") or "{{.ID}}")
        fields = {
            "CONTAINER_ID": container.id[:12],
            "CONTAINER_ID_FULL": container.id,
            "CONTAINER_NAME": container.name,
            "CONTAINER_TAG": tag,
            "SYSLOG_IDENTIFIER": tag,
            "IMAGE_NAME": str(container.config.get("image", {}).get("reference", "")),
        }
        chosen = {key: value for key, value in options.items() if key != "tag"}
        for name, value in log_attributes.of(container, chosen).items():
            fields[_field_name(name)] = value
        self._fields = b"".join(_field(name, text.encode()) for name, text in fields.items())

    def write(self, stream: str, data: bytes) -> None:
        for line in self._lines.feed(stream, data):
            self._send(stream, line)

    def close_stream(self, stream: str) -> None:
        rest = self._lines.end(stream)
        if rest:
            self._send(stream, rest)

    def _send(self, stream: str, line: bytes) -> None:
        message = _field("MESSAGE", line.removesuffix(b"\n"))
        message += _field("PRIORITY", _PRIORITIES[stream]) + self._fields
        if not line.endswith(b"\n"):
            message += _field("CONTAINER_PARTIAL_MESSAGE", b"true")
        try:
            self._socket.send(message, _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL)
        except OSError:
            pass  # a journal that is stopped must not stop the container

    def close(self) -> None:
        for stream in self._lines.streams():
            self.close_stream(stream)
        self._socket.close()


def _field(name: str, value: bytes) -> bytes:
    if b"\n" in value:
        return name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
    return name.encode() + b"=" + value + b"\n"


def _field_name(name: str) -> str:
    """A label's name as the journal takes it: capitals, digits and underscores."""
    text = "".join(c if c.isascii() and c.isalnum() else "_" for c in name).upper()
    return text.lstrip("_0123456789") or "LABEL"


def read(
    container: "Container",
    environ: "Mapping[str, str]",
    *,
    follow: bool,
    tail: int,
    since: str = "",
    until: str = "",
) -> "Iterator[Entry]":
    """The entries of the container in the journal, by journalctl.  Raises HostError."""
    program = process.need_program(
        "journalctl", environ, "read them where the journal is kept", "RL-LOG-JOURNALD"
    )
    words = [program, "--output=json", "--all", "--quiet", f"CONTAINER_ID_FULL={container.id}"]
    words += ["--follow"] * follow + [f"--lines={tail if tail >= 0 else 'all'}"]
    words += [f"--since={_local(since)}"] * bool(since) + [f"--until={_local(until)}"] * bool(until)
    read_fd, write_fd = os.pipe()
    pid = os.posix_spawn(
        program, words, environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, write_fd, 1)], setsigdef=process.PYTHON_IGNORES,
    )  # fmt: skip
    os.close(write_fd)
    try:
        with open(read_fd, "rb") as lines:
            for line in lines:
                yield _entry(fastjson.loads(line))
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
            pid = 0
            raise ContainerError(
                f"journalctl cannot read the log of {container.name}",
                remedy="its message is above; reading the journal may take a group, as adm",
                code="RL-LOG-JOURNALD",
            )
        pid = 0
    finally:
        if pid:
            os.kill(pid, 15)
            os.waitpid(pid, 0)


def _local(when: str) -> str:
    """RFC 3339 in UTC as systemd.time(7) takes it."""
    return f"{when[:10]} {when[11:26]} UTC"


def _entry(document: "Mapping[str, object]") -> Entry:
    message = document.get("MESSAGE")
    if isinstance(message, list):  # not text: an array of bytes
        message = bytes(message).decode("utf-8", "replace")
    end = "" if document.get("CONTAINER_PARTIAL_MESSAGE") == "true" else "\n"
    when = rfc3339(int(str(document.get("__REALTIME_TIMESTAMP", "0"))) * 1000)
    stream = "stderr" if document.get("PRIORITY") == "3" else "stdout"
    return Entry(stream, when, f"{message or ''}{end}")
