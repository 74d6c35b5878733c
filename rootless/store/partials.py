"""Blobs that have arrived in part: partial/<hex>, kept when a transfer breaks, for the next one.

The file is locked while somebody fetches the blob: others wait, and find it done or go on.  What
is in it is not trusted: whoever goes on hashes it again.
"""

import errno
import fcntl
import os
import time
from collections.abc import Callable

from rootless.paths import Paths
from rootless.store.atomic import store_error

KEPT_S = 7 * 24 * 3600.0  # since the last byte


class Partial:
    """The beginning of the blob `digest`; `with` holds it, `wait` is called while others do.

    read_kept() gives what an earlier transfer has left, once, then write() adds to it.  On exit
    it is kept, unless it was committed or discarded, or is empty.  Raises StoreError.
    """

    def __init__(self, paths: Paths, digest: str, wait: Callable[[], None]) -> None:
        self._blob = paths.blob(digest)
        self._path = paths.partial(digest)
        self._wait = wait
        self._fd = -1
        self._read = 0
        self.kept = 0  # bytes that were there

    def __enter__(self) -> "Partial":
        try:
            os.makedirs(os.path.dirname(self._path), 0o700, exist_ok=True)
            while not self._open():
                self._wait()
            self.kept = os.fstat(self._fd).st_size
        except OSError as e:
            raise store_error(e, f"write {self._path}") from e
        return self

    def _open(self) -> bool:
        """Whether the file is ours now."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        while True:
            fd = os.open(self._path, flags, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                return False
            try:
                if os.stat(self._path).st_ino == os.fstat(fd).st_ino:
                    self._fd = fd
                    return True
            except FileNotFoundError:
                pass  # it has become the blob, or was swept, before we had the lock
            os.close(fd)

    def read_kept(self, size: int) -> bytes:
        """What was left by an earlier transfer; b"" at its end."""
        if self._read >= self.kept:
            return b""
        try:
            data = os.pread(self._fd, min(size, self.kept - self._read), self._read)
        except OSError as e:
            raise store_error(e, f"read {self._path}") from e
        self._read += len(data)
        return data

    def write(self, data: bytes) -> None:
        """Append."""
        view = memoryview(data)
        try:
            while view:
                written = os.pwrite(self._fd, view, self._read)
                self._read += written
                view = view[written:]
        except OSError as e:
            raise store_error(e, f"write {self._path}") from e

    def commit(self, *, synced: bool = False) -> None:
        """Make it the blob.  The caller has verified all bytes, those that were kept, too.

        Bytes that are `synced` are on disk.
        """
        try:
            if not synced:
                os.fsync(self._fd)
            os.rename(self._path, self._blob)
        except OSError as e:
            raise store_error(e, f"write {self._blob}") from e

    def discard(self) -> None:
        """Begin with nothing: what is there makes no sense."""
        try:
            os.ftruncate(self._fd, 0)
        except OSError as e:
            raise store_error(e, f"write {self._path}") from e
        self.kept = self._read = 0

    def __exit__(self, *_: object) -> None:
        try:
            if not os.fstat(self._fd).st_size:
                _unlink(self._path, self._fd)
        finally:
            os.close(self._fd)


def sweep(paths: Paths, older_s: float = KEPT_S) -> int:
    """Remove what nobody fetches and nobody has added to for so long; the bytes freed."""
    try:
        names = os.listdir(paths.partials)
    except FileNotFoundError:
        return 0
    freed = 0
    for name in names:
        path = f"{paths.partials}/{name}"
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = os.fstat(fd)
            if time.time() - found.st_mtime >= older_s and _unlink(path, fd):
                freed += found.st_size
        except BlockingIOError:
            pass  # somebody fetches it
        finally:
            os.close(fd)
    return freed


def _unlink(path: str, fd: int) -> bool:
    """Remove `path` if it is still the file `fd`, which the caller has locked."""
    try:
        if os.stat(path).st_ino != os.fstat(fd).st_ino:
            return False
        os.unlink(path)
    except OSError as e:
        if e.errno != errno.ENOENT:
            raise store_error(e, f"remove {path}") from e
        return False
    return True
