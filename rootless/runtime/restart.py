"""Restart policies: whether a container that has ended starts again, and when.

Imported by a supervisor whose container has a policy, when it has ended.  Docker's rules: 100 ms
at first, then twice as long each time up to a minute, and from the start again after a run of
10 s.  The clock is the monotonic one: nobody sets it.
"""

import os
import select
import time

from rootless.linux import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.store.containers import Container

_FIRST_MS, _LAST_MS = 100, 60_000
_GOOD_RUN_NS = 10 * 10**9


def is_wanted(container: "Container", exit_code: int, count: int) -> bool:
    """Whether a container that ended with `exit_code` after `count` restarts starts again."""
    policy = container.config.get("restart") or {}
    name, retries = policy.get("name", "no"), int(policy.get("retries", 0))
    if os.path.exists(container.stop_mark):
        return False
    if name == "on-failure":
        return exit_code != 0 and (retries == 0 or count < retries)
    return name in ("always", "unless-stopped")


class Backoff:
    """The pauses between the runs of one supervisor's container."""

    __slots__ = ("_delay_ms", "_ended")

    def __init__(self) -> None:
        self._delay_ms = 0
        self._ended = False

    def wait(self, container: "Container", exit_code: int, count: int, ran_ns: int) -> bool:
        """Wait before restart number `count`, after a run of `ran_ns`; False when it is called off.

        Called off by a mark in the container's directory (stop), a changed policy (update), or
        SIGTERM to the supervisor.
        """
        if ran_ns >= _GOOD_RUN_NS:
            self._delay_ms = 0
        self._delay_ms = min(self._delay_ms * 2, _LAST_MS) if self._delay_ms else _FIRST_MS
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        os.set_blocking(wake_read, False)
        signals.handle([signals.SIGTERM], self._end)
        signals.wake(wake_write)
        try:
            return self._sleep(container, exit_code, count - 1, wake_read)
        finally:
            signals.wake(-1)
            os.close(wake_read)
            os.close(wake_write)

    def _end(self, *_: object) -> None:
        self._ended = True

    def _sleep(self, container: "Container", exit_code: int, count: int, wake_fd: int) -> bool:
        poll = select.poll()
        poll.register(wake_fd, select.POLLIN)
        deadline = time.monotonic() + self._delay_ms / 1000
        while True:
            container.read_config()
            if self._ended or not is_wanted(container, exit_code, count):
                return False
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return True
            if poll.poll(int(left_s * 1000) + 1):
                os.read(wake_fd, 4096)
