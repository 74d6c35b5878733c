"""The loop of the networks' helper: poll(2), and timers."""

import heapq
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Watch:
    """As rootless.network.driver.Watcher."""

    OUT = select.POLLOUT

    def __init__(self) -> None:
        self._poll = select.poll()
        self._handlers: dict[int, tuple[Callable[[int], None], int]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._ended = False

    def watch(
        self, fd: int, handler: "Callable[[int], None]", argument: int, events: int = select.POLLIN
    ) -> None:
        """Call `handler(argument)` when `fd` is ready."""
        self._handlers[fd] = (handler, argument)
        self._poll.register(fd, events)

    def forget(self, fd: int) -> None:
        """Stop watching `fd`, which is open still."""
        if self._handlers.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def call_after(self, seconds: float, action: "Callable[[], None]") -> None:
        """Call `action()` once, `seconds` from now by the monotonic clock."""
        self._count += 1  # of two at the same time the earlier one comes first
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._count, action))

    def end(self) -> None:
        """Let run() return."""
        self._ended = True

    def run(self) -> None:
        while not self._ended:
            patience = None
            if self._timers:
                patience = max(0, int((self._timers[0][0] - time.monotonic()) * 1000) + 1)
            for fd, _ in self._poll.poll(patience):
                found = self._handlers.get(fd)
                if found is not None:
                    found[0](found[1])
            while self._timers and self._timers[0][0] <= time.monotonic():
                heapq.heappop(self._timers)[2]()
