"""Waiting for the disk once for all threads that have something to make last.

syncfs(2) writes what anybody has left unwritten, and each call ends a transaction of the journal:
threads that come while one is under way share the next.
"""

import os
import threading

from rootless.errors import KernelError
from rootless.linux import syscalls
from rootless.store.atomic import store_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Shared:
    """One call of `work` at a time, which serves all who came before it began."""

    def __init__(self, work: "Callable[[], None]") -> None:
        self._work = work
        self._turn = threading.Lock()
        self._lock = threading.Lock()  # over the numbers
        self._begun = 0  # calls
        self._ended = 0
        self.waiting = 0  # threads in call()
        self._failure: BaseException | None = None

    def call(self) -> None:
        """Return when a call that began after this one did has ended."""
        with self._lock:
            wanted = self._begun + 1
            self.waiting += 1
        try:
            self._take_turn(wanted)
        finally:
            with self._lock:
                self.waiting -= 1

    def _take_turn(self, wanted: int) -> None:
        with self._turn:
            if self._failure is not None:
                raise self._failure  # the kernel tells of lost data once: it may have been ours
            if self._ended >= wanted:
                return
            with self._lock:
                self._begun += 1
            try:
                self._work()
            except BaseException as e:
                self._failure = e
                raise
            self._ended = self._begun


_lock = threading.Lock()
_shared: dict[tuple[str, str], Shared] = {}


def file_system(directory: str) -> None:
    """Return when all that was written to the file system of `directory` before is on disk.

    Raises StoreError.
    """
    _of("file system", directory, syscalls.syncfs).call()


def directory(path: str) -> None:
    """Return when the renames in `path` that were made before are on disk.  Raises StoreError."""
    _of("directory", path, os.fsync).call()


def _of(what: str, path: str, sync: "Callable[[int], None]") -> Shared:
    with _lock:
        return _shared.setdefault((what, path), Shared(lambda: _call(sync, path)))


def _call(sync: "Callable[[int], None]", path: str) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sync(fd)
        finally:
            os.close(fd)
    except KernelError as e:
        raise store_error(OSError(e.errno, os.strerror(e.errno)), f"write {path}") from e
    except OSError as e:
        raise store_error(e, f"write {path}") from e
