"""Files that are either the old one or the new one, and half-made things that get swept.  Warm.

Everything is written beside its place, synced and renamed: a reader, and whoever comes after a
kill -9, sees one of two complete files.
"""

import errno
import fcntl
import os

from rootless import fastjson
from rootless.errors import RlError, StoreError
from rootless.linux import process
from rootless.store.removal import remove_mapped_tree, remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from rootless.context import Context
    from rootless.paths import Paths

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FOREIGN_MAX_S = 7 * 24 * 3600  # a machine that makes something this long has gone


def store_error(error: OSError, what: str) -> StoreError:
    """The StoreError for an OSError met while `what` ("write …/x.json") was done."""
    if error.errno in _FULL:
        where = "your quota is used up" if error.errno == errno.EDQUOT else "the disk is full"
        return StoreError(
            f"cannot {what}: {where}",
            remedy="free some space (rl rmi, rl rm) or set RL_STORE to a larger file system",
            code="RL-STORE-FULL",
        )
    return StoreError(
        f"cannot {what}: {error.strerror or error}",
        remedy="check who owns the store and that its file system is mounted read-write",
        code="RL-STORE-UNWRITABLE",
    )


def write_bytes(path: str, data: bytes, mode: int = 0o600, *, sync: bool = True) -> None:
    """Put `data` at `path`, all or nothing.  Raises StoreError; nothing is left then.

    Without `sync` a power failure (not a kill) may lose the file: for what is made again.
    """
    directory, name = os.path.split(path)
    temporary = f"{directory}/.{name[:200]}.{os.urandom(4).hex()}.tmp"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    except OSError as e:
        raise store_error(e, f"write {path}") from e
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except OSError as e:
        _unlink(temporary)
        raise store_error(e, f"write {path}") from e
    except BaseException:  # Ctrl-C
        _unlink(temporary)
        raise


def write_json(path: str, value: object, mode: int = 0o600, *, sync: bool = True) -> None:
    """write_bytes() of `value` as one line of JSON."""
    text = fastjson.dumps(value)
    write_bytes(path, text.encode("utf-8") + b"\n", mode, sync=sync)


def read_json(path: str) -> "dict[str, object]":
    """The JSON object in the file `path`.

    Raises FileNotFoundError when there is none, StoreError RL-STORE-CORRUPT when it is no object.
    """
    try:
        with open(path, "rb") as file:
            value = fastjson.loads(file.read())
    except FileNotFoundError:
        raise
    except (ValueError, RecursionError) as e:
        raise StoreError(
            f"{path} is damaged: {e}",
            remedy="see rl system check; what it described has to be made again",
            code="RL-STORE-CORRUPT",
        ) from e
    except OSError as e:
        raise StoreError(
            f"cannot read {path}: {e.strerror}",
            remedy="check who owns the store",
            code="RL-STORE-UNREADABLE",
        ) from e
    if not isinstance(value, dict):
        raise StoreError(
            f"{path} is damaged: it holds no JSON object",
            remedy="see rl system check; what it described has to be made again",
            code="RL-STORE-CORRUPT",
        )
    return value


def replace_symlink(target: str, path: str) -> None:
    """Make `path` a symlink to `target`, in place of what was there.  Raises StoreError."""
    directory, name = os.path.split(path)
    temporary = f"{directory}/.{name[:200]}.{os.urandom(4).hex()}.tmp"
    try:
        os.symlink(target, temporary)
        os.rename(temporary, path)
    except OSError as e:
        _unlink(temporary)
        raise store_error(e, f"write {path}") from e


def is_temporary(name: str) -> bool:
    """Whether a directory entry is (the leftover of) an atomic write."""
    return name.startswith(".") and name.endswith(".tmp")


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


class TemporaryDirectory:
    """A directory in the store's tmp/, flocked while its maker lives; `with` gives its path.

    What is to stay is renamed out of it.  The rest is removed on exit; with `ctx` also what
    belongs to subordinate IDs.  After a kill -9 sweep() removes it: the kernel has dropped the
    lock.  The descriptor is kept in the object, so that the collector cannot drop the lock.
    """

    def __init__(self, paths: "Paths", ctx: "Context | None" = None) -> None:
        self._paths = paths
        self._ctx = ctx
        self._fd = -1
        self.path = ""

    def __enter__(self) -> str:
        while True:
            path = f"{self._paths.tmp}/{_machine()}-{os.urandom(8).hex()}"
            try:
                os.mkdir(path, 0o700)
                self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
                fcntl.flock(self._fd, fcntl.LOCK_EX)
            except FileNotFoundError:
                if not os.path.isdir(self._paths.tmp):
                    raise StoreError(
                        f"{self._paths.tmp} does not exist",
                        remedy="the store is damaged or was removed: start again",
                        code="RL-STORE-CORRUPT",
                    ) from None
                continue  # swept between mkdir and open
            except OSError as e:
                raise store_error(e, f"make a directory in {self._paths.tmp}") from e
            # A sweeper may have had the lock before us, and removed the directory.
            if os.path.exists(path):
                self.path = path
                return path
            os.close(self._fd)

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        value: "BaseException | None",
        traceback: "TracebackType | None",
    ) -> None:
        try:
            if self._ctx is None:
                remove_tree(self.path)
            else:
                remove_mapped_tree(self._ctx, self.path)
        except RlError:
            if kind is None:
                raise  # else the first failure is the one to report; sweep() tries again
        finally:
            os.close(self._fd)


def _machine() -> str:
    """This machine in the names of temporary directories: a lock on a directory of NFS is known
    to its own machine alone (flock(2))."""
    return process.machine_id()[-4:]


def is_foreign(path: str) -> bool:
    """Whether a temporary directory is in use on another machine: made there, within a week."""
    import time

    machine, dash, _ = os.path.basename(path).rpartition("-")
    if not dash or machine == _machine():
        return False
    try:
        return time.time() - os.stat(path).st_mtime < _FOREIGN_MAX_S
    except OSError:
        return False


def sweep(ctx: "Context") -> int:
    """Remove what killed commands left in tmp/; the number of directories removed.

    Never blocks, and touches nothing whose maker lives.
    """
    tmp = ctx.paths.tmp
    removed = 0
    try:
        names = os.listdir(tmp)
    except FileNotFoundError:
        return 0
    for name in names:
        path = f"{tmp}/{name}"
        if is_foreign(path):
            continue
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except NotADirectoryError:
            removed += remove_tree(path)
            continue
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            removed += remove_mapped_tree(ctx, path)
        except (BlockingIOError, RlError):
            pass  # in use; or this host cannot make the namespace, which run and pull report
        finally:
            os.close(fd)
    return removed
