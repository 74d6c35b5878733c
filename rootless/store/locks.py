"""flock(2) as a context manager.  Warm.  The order is store, image, container."""

import fcntl
import os
import time

from rootless.errors import StoreError
from rootless.store.atomic import store_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_POLL_MAX_S = 0.05


class Locked:
    """Hold a flock on the file `path` for the time of a `with` block.

    `shared` locks exclude exclusive ones only.  `wait_s` is None to wait for ever, 0 not to wait.
    Raises StoreError RL-STORE-BUSY, naming `what`, when the time is over, and FileNotFoundError
    when the directory of `path` does not exist.  Never held across a download.

    The kernel drops the lock when the process ends, however it ends.  The descriptor is
    close-on-exec, but a fork shares the lock: it lasts until both have closed it.
    """

    __slots__ = ("_fd", "_path", "_shared", "_wait_s", "_what")

    def __init__(
        self, path: str, *, shared: bool = False, wait_s: "float | None" = None, what: str = ""
    ) -> None:
        self._path = path
        self._shared = shared
        self._wait_s = wait_s
        self._what = what or path
        self._fd = -1

    def __enter__(self) -> "Locked":
        deadline = None if self._wait_s is None else time.monotonic() + self._wait_s
        while True:
            try:
                fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            except FileNotFoundError:
                raise
            except OSError as e:
                raise store_error(e, f"lock {self._path}") from e
            try:
                self._acquire(fd, deadline)
                # Whoever held it may have removed the file: then ours is a lock on nothing.
                if self._is_current(fd):
                    self._fd = fd
                    fd = -1
                    return self
            finally:
                if fd >= 0:
                    os.close(fd)

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        value: "BaseException | None",
        traceback: "TracebackType | None",
    ) -> None:
        self.release()

    def release(self) -> None:
        """Drop the lock before the end of the block."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def fileno(self) -> int:
        """The locked descriptor, to hand the lock on to a child; -1 when not held."""
        return self._fd

    def _acquire(self, fd: int, deadline: "float | None") -> None:
        operation = fcntl.LOCK_SH if self._shared else fcntl.LOCK_EX
        if deadline is None:
            fcntl.flock(fd, operation)  # Python itself repeats it after EINTR (PEP 475)
            return
        pause_s = 0.002
        while True:
            try:
                fcntl.flock(fd, operation | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise StoreError(
                        f"{self._what} is in use by another rl",
                        remedy="wait for the other command to end, and try again",
                        code="RL-STORE-BUSY",
                    ) from None
                time.sleep(min(pause_s, left_s))
                pause_s = min(pause_s * 2, _POLL_MAX_S)

    def _is_current(self, fd: int) -> bool:
        try:
            at_path = os.stat(self._path)
        except FileNotFoundError:
            return False
        ours = os.fstat(fd)
        return (at_path.st_dev, at_path.st_ino) == (ours.st_dev, ours.st_ino)
