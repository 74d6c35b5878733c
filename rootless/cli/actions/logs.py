"""`rl logs`.  Warm."""

import os

from rootless import log
from rootless.cli.actions import several
from rootless.cli.output import cannot_write
from rootless.errors import UsageError
from rootless.runtime import logs

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
        since=_time(values.get("since")),
        until=_time(values.get("until")),
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


def _time(asked: object) -> str:
    if not asked:
        return ""
    from rootless.cli.time_option import parse_time

    return parse_time(str(asked))


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
