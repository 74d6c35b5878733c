"""`rl logs`.  Warm."""

import os
import time

from rootless import log
from rootless.cli.actions import several
from rootless.cli.output import cannot_write
from rootless.errors import ContainerError, UsageError
from rootless.runtime import logs
from rootless.store import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootless.context import Context
    from rootless.runtime.logs import Entry
    from rootless.store.containers import Container

_POLL_MS = 1000
_READABLE = 1  # POLLIN
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~")


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Print what a container has written."""
    container = several.find(ctx, str(values["container"]))
    if values.get("network"):
        return _network_log(container, values)
    stamped, details = bool(values.get("timestamps")), bool(values.get("details"))
    for entry in _entries(ctx, container, values):
        text = f"{entry.time} " * stamped + entry.text
        if details:
            text = f"{entry.time} " * stamped + _details(entry) + entry.text
        try:
            _write(2 if entry.stream == "stderr" else 1, text.encode("utf-8", "surrogateescape"))
        except BrokenPipeError:
            raise
        except OSError as e:
            raise cannot_write(e) from e
    return 0


def _network_log(container: "Container", values: "dict[str, object]") -> int:
    """What --egress has refused or written down."""
    from rootless.cli.actions import network_log

    for option in ("follow", "tail", "since", "until", "timestamps", "details"):
        if values.get(option) not in (None, "", "all", False):
            raise UsageError(
                f"--{option} and --network do not go together",
                remedy="leave one of them out; rl network log is the same",
            )
    network_log.show(container)
    return 0


def _entries(
    ctx: "Context", container: "Container", values: "dict[str, object]"
) -> "Iterator[Entry]":
    driver = container.config.get("options", {}).get("log_driver")
    if driver == "none":
        raise ContainerError(
            f"{container.name} has no log: it was created with --log-driver none",
            remedy="create it without, or attach to it",
            code="RL-NO-LOG",
        )
    follow, tail = bool(values.get("follow")), _tail(str(values.get("tail") or "all"))
    since, until = _time(values.get("since")), _time(values.get("until"))
    if driver == "journald":
        from rootless.runtime import log_journald

        return log_journald.read(
            container, ctx.environ, follow=follow, tail=tail, since=since, until=until
        )
    wait = _Waiter(ctx, container, until).wait if follow else None
    return logs.read(container, follow=follow, tail=tail, since=since, until=until, wait=wait)


def _time(asked: object) -> str:
    if not asked:
        return ""
    from rootless.cli.time_option import parse_time

    return parse_time(str(asked))


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _details(entry: "Entry") -> str:
    """--details, as docker writes them: key=value,key=value, escaped as in a URL."""
    pairs = sorted(entry.attributes.items())
    return ",".join(f"{_escape(key)}={_escape(value)}" for key, value in pairs) + " "


def _escape(text: str) -> str:
    if _PLAIN.issuperset(text):
        return text
    return "".join(
        "+" if c == " " else c if c in _PLAIN else "".join(f"%{byte:02X}" for byte in c.encode())
        for c in text
    )


def _tail(text: str) -> int:
    if text == "all":
        return -1
    if not text.removeprefix("-").isdecimal():
        log.warning(f"--tail {text} is no number: showing all")
        return -1
    return max(int(text), -1)


class _Waiter:
    """Waits for a log to grow, until its container has ended for good.

    inotify(7) on the log's directory, by ctypes; a second's pause where the host has no watch
    left for us.
    """

    def __init__(self, ctx: "Context", container: "Container", until: str) -> None:
        import select

        from rootless.linux import inotify

        self._ctx = ctx
        self._container = container
        self._until = until
        self._poll = select.poll()
        self._watch = inotify.watch_changes(container.directory)
        if self._watch >= 0:
            self._poll.register(self._watch, _READABLE)
        self._pidfd = -1
        self._hold(container)

    def _hold(self, container: "Container") -> None:
        self._pidfd = container.pidfd()
        if self._pidfd >= 0:
            self._poll.register(self._pidfd, _READABLE)

    def wait(self) -> bool:
        """Block until there may be more; False when nothing more will come."""
        if self._until and containers.rfc3339(time.time_ns()) > self._until:
            return False
        if self._pidfd < 0 and not self._runs_again():
            return False
        ready = {fd for fd, _ in self._poll.poll(_POLL_MS)}
        if self._watch in ready:
            os.read(self._watch, 65536)
        if self._pidfd in ready:
            self._poll.unregister(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
            if not self._container.restarts:
                from rootless.runtime import stop

                # The supervisor writes the last lines before it lets go.
                stop.wait_cleaned_up(self._container)
                return False
        return True

    def _runs_again(self) -> bool:
        """Whether a restart policy has it started, or is about to."""
        if not self._container.restarts:
            return False
        try:
            container = containers.find(self._ctx, self._container.id)
        except ContainerError:
            return False
        self._hold(container)
        return self._pidfd >= 0 or container.running
