"""What a command is about to use, written down so that the garbage collector leaves it alone.

A lease is a temporary directory of the store with a file that lists layers and blobs.  It holds
while its maker lives: a lock held across a download would stop every other command.
"""

import fcntl
import os
from collections.abc import Iterable

from rootless.context import Context
from rootless.errors import StoreError
from rootless.paths import Paths
from rootless.store.atomic import TemporaryDirectory, is_foreign, read_json, write_json
from rootless.store.locks import Locked

_FILE = "keep.json"


class Lease:
    """`with Lease(ctx) as lease:` — `lease.path` is a temporary directory to make things in.

    Call keep() *before* looking whether a layer or blob exists: what is there then, stays.
    """

    def __init__(self, ctx: Context) -> None:
        self._paths = ctx.paths
        self._directory = TemporaryDirectory(ctx.paths, ctx)
        self.path = ""

    def __enter__(self) -> "Lease":
        self.path = self._directory.__enter__()
        return self

    def __exit__(self, *arguments: object) -> None:
        self._directory.__exit__(*arguments)  # type: ignore[arg-type]

    def keep(self, layers: Iterable[str], blobs: Iterable[str]) -> None:
        """Protect these diffIDs and digests, in place of what was protected before."""
        self._write({"layers": sorted(set(layers)), "blobs": sorted(set(blobs))})

    def keep_all(self) -> None:
        """Protect everything: for who learns the digests only when the work is done (import)."""
        self._write({"all": True})

    def _write(self, value: dict[str, object]) -> None:
        # Under the lock: a collector sees the lease, or has finished before we look.
        with Locked(self._paths.image_lock, what="the image store"):
            write_json(f"{self.path}/{_FILE}", value, sync=False)


def leased(paths: Paths) -> set[str] | None:
    """The digests (layers and blobs) of all living leases; None when everything is leased.

    The caller holds the image lock.
    """
    found: set[str] = set()
    try:
        names = os.listdir(paths.tmp)
    except FileNotFoundError:
        return found
    for name in names:
        path = f"{paths.tmp}/{name}"
        try:
            lease = read_json(f"{path}/{_FILE}")
        except (FileNotFoundError, StoreError):
            continue
        if not is_alive(path):
            continue
        if lease.get("all"):
            return None
        for key in ("layers", "blobs"):
            digests = lease.get(key)
            if isinstance(digests, list):
                found.update(str(digest) for digest in digests)
    return found


def is_alive(path: str) -> bool:
    """Whether the maker of a temporary directory of the store lives."""
    if is_foreign(path):
        return True
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
