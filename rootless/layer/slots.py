"""How many layers are brought at once: one that only waits for the disk lets the next begin."""

import threading

PARALLEL = 3  # as Docker's max-concurrent-downloads
THREADS = 2 * PARALLEL


class Slot:
    """One of the places for layers, taken by `with`; it can be given back early."""

    def __init__(self, slots: threading.Semaphore) -> None:
        self._slots = slots
        self._held = False

    def __enter__(self) -> "Slot":
        self._held = self._slots.acquire()
        return self

    def release(self) -> None:
        """Somebody else can have it now."""
        if self._held:
            self._held = False
            self._slots.release()

    def __exit__(self, *_: object) -> None:
        self.release()
