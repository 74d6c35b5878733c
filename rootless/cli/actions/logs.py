"""`rl logs`.  Warm."""

import os
import time

from rootless import log
from rootless.cli.actions import several
from rootless.cli.output import cannot_write
from rootless.errors import UsageError
from rootless.runtime import logs
from rootless.store.containers import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.context import Context
    from rootless.store.containers import Container

_POLL_MS = 1000


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Print what a container has written."""
    container = several.find(ctx, str(values["container"]))
    if container.config.get("options", {}).get("log_driver") == "none":
        raise UsageError(
            f"{container.name} has no log: it was created with --log-driver none",
            remedy="create it without, or attach to it",
            code="RL-NO-LOG",
        )
    follow = bool(values.get("follow"))
    entries = logs.read(
        container,
        follow=follow,
        tail=_tail(str(values.get("tail") or "all")),
        since=parse_time(str(values.get("since") or "")),
        until=parse_time(str(values.get("until") or "")),
        wait=_waiter(container) if follow else None,
    )
    stamped = bool(values.get("timestamps"))
    details = _details(container) if values.get("details") else ""
    for entry in entries:
        text = f"{entry.time} " * stamped + details + entry.text
        try:
            _write(2 if entry.stream == "stderr" else 1, text.encode("utf-8", "surrogateescape"))
        except BrokenPipeError:
            raise
        except OSError as e:
            raise cannot_write(e) from e
    return 0


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _details(container: "Container") -> str:
    """--details: the labels and variables that --log-opt labels= and env= name."""
    options = container.config["options"]
    chosen = []
    names = options["log_options"].get("labels", "").split(",")
    chosen += [f"{k}={v}" for k, v in container.config["labels"].items() if k in names]
    names = options["log_options"].get("env", "").split(",")
    chosen += [entry for entry in options["env"] if entry.partition("=")[0] in names]
    return ",".join(chosen) + " " if chosen else ""


def _tail(text: str) -> int:
    if text == "all":
        return -1
    if not text.removeprefix("-").isdecimal():
        log.warning(f"--tail {text} is no number: showing all")
        return -1
    return max(int(text), -1)


def _waiter(container: "Container") -> "Callable[[], bool]":
    """Blocks until the log has grown; False once the container has ended.

    inotify(7) on the log's directory, by ctypes; a second's pause where the host has no watch
    left for us.
    """
    import select

    from rootless.linux import inotify

    poll = select.poll()
    pidfd = container.pidfd()
    if pidfd >= 0:
        poll.register(pidfd, select.POLLIN)
    watch = inotify.watch_changes(container.directory)
    if watch >= 0:
        poll.register(watch, select.POLLIN)

    def wait() -> bool:
        if pidfd < 0:
            return False
        ready = {fd for fd, _ in poll.poll(_POLL_MS)}
        if watch in ready:
            os.read(watch, 65536)
        if pidfd in ready:
            from rootless.runtime import stop

            # The supervisor writes the last lines before it lets go.
            stop.wait_cleaned_up(container)
            return False
        return True

    return wait


def parse_time(text: str) -> str:
    """--since and --until: a Unix time, RFC 3339 (parts may be missing), or an age as 10m or 1h30m.

    Returns RFC 3339 in UTC with nanoseconds, "" for "".  Raises UsageError.
    """
    if not text:
        return ""
    seconds = _age(text)
    if seconds is not None:
        return rfc3339(time.time_ns() - int(seconds * 10**9))
    if text.replace(".", "", 1).isdecimal():
        whole, _, part = text.partition(".")
        return rfc3339(int(whole) * 10**9 + int(part.ljust(9, "0")[:9] or 0))
    from datetime import UTC, datetime

    # datetime knows microseconds alone, and the log's own stamps have nine digits.
    before, _, after = text.partition(".")
    digits = after[: len(after) - len(after.lstrip("0123456789"))]
    try:
        when = datetime.fromisoformat(before + after[len(digits) :])
    except ValueError:
        raise UsageError(
            f"{text} is neither a time nor an age",
            remedy="write 2026-01-02T15:04:05, a Unix time, or an age as 10m",
        ) from None
    if when.tzinfo is None:
        when = when.astimezone()
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    delta = when - epoch
    seconds = delta.days * 86400 + delta.seconds
    return rfc3339(seconds * 10**9 + int(digits.ljust(9, "0")[:9] or 0))


def _age(text: str) -> "float | None":
    """Go's durations, as 1h30m, 90s, 1.5h; None when it is none."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
    seconds, number, place = 0.0, "", 0
    while place < len(text):
        character = text[place]
        if character in "0123456789.":
            number += character
            place += 1
            continue
        unit = text[place : place + 2] if text[place : place + 2] in units else character
        if unit not in units or not number.replace(".", "", 1).isdecimal():
            return None
        seconds += float(number) * units[unit]
        number = ""
        place += len(unit)
    return None if number else seconds
