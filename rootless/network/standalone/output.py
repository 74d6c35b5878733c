"""Lines on standard output, from a loop that must not wait for who reads them."""

import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_WAITING_MAX = 1 << 20
_AGAIN_S = 0.05
_PIECE = 4096  # what a pipe takes at once, or not at all: pipe(7), PIPE_BUF


class Output:
    """Standard output.  What a pipe has no room for waits; when that is 1 MiB, lines are lost."""

    def __init__(
        self, call_after: "Callable[[float, Callable[[], None]], None]", *, quiet: bool
    ) -> None:
        self._call_after = call_after
        self._quiet = quiet
        self._waiting = b""
        self._poll = select.poll()
        self._poll.register(1, select.POLLOUT)

    def line(self, text: str) -> None:
        """Say `text`, unless -quiet."""
        if self._quiet:
            return
        was_waiting = bool(self._waiting)
        if len(self._waiting) < _WAITING_MAX:
            self._waiting += os.fsencode(text) + b"\n"
        if not was_waiting:
            self._write()

    def _write(self) -> None:
        while self._waiting:
            if not self._poll.poll(0):
                self._call_after(_AGAIN_S, self._write)
                return
            try:
                written = os.write(1, self._waiting[:_PIECE])
            except OSError:
                written = len(self._waiting)  # nobody reads them
            self._waiting = self._waiting[written:]
