"""Which layers the build cache still holds: those of entries that were used not long ago.

buildcache/<key>.json has the diffID of a step's layer; its mtime is its last use.
"""

import os
import time

from rootless.errors import RlError
from rootless.store import atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.paths import Paths

KEEP_S = 14 * 86400  # an entry that no build has used for so long is dropped
_TOUCH_S = 3600


def directory(paths: "Paths") -> str:
    return f"{paths.store}/buildcache"


def touch(path: str) -> None:
    """Note that an entry was used; once an hour is enough."""
    try:
        if os.stat(path).st_mtime < time.time() - _TOUCH_S:
            os.utime(path)
    except OSError:
        pass


def entries(paths: "Paths") -> "list[tuple[str, float, dict[str, object]]]":
    """(key, time of its last use, what it says) of all entries, the last used first."""
    found = []
    try:
        names = os.listdir(directory(paths))
    except OSError:
        return []
    for name in names:
        path = f"{directory(paths)}/{name}"
        if not name.endswith(".json") or atomic.is_temporary(name):
            continue
        try:
            found.append(
                (name.removesuffix(".json"), os.stat(path).st_mtime, atomic.read_json(path))
            )
        except (OSError, RlError):
            continue  # dropped this moment
    return sorted(found, key=lambda entry: -entry[1])


def mounts(paths: "Paths") -> "dict[str, str]":
    """Name -> directory of what RUN --mount=type=cache keeps."""
    top = f"{directory(paths)}/mounts"
    try:
        return {name: f"{top}/{name}" for name in sorted(os.listdir(top))}
    except OSError:
        return {}


def drop(paths: "Paths", keys: "list[str]") -> None:
    """Forget entries; the next collection frees the layers that nothing else has."""
    for key in keys:
        try:
            os.unlink(f"{directory(paths)}/{key}.json")
        except FileNotFoundError:
            pass
        except OSError as e:
            raise atomic.store_error(e, f"remove the cache entry {key[:12]}") from e


def touch_mount(path: str) -> None:
    """Note that a cache mount is used: by its access time, which no step depends on."""
    try:
        os.utime(path, ns=(time.time_ns(), os.stat(path).st_mtime_ns))
    except OSError:
        pass  # a step has given it to another user


def mount_used(path: str) -> float:
    """When a cache mount was used last, in seconds since the epoch."""
    try:
        status = os.stat(path)
    except OSError:
        return 0
    return max(status.st_atime, status.st_mtime)


def held_layers(paths: "Paths") -> set[str]:
    """The diffIDs of entries in use; the others are removed.  The caller holds the image lock."""
    found: set[str] = set()
    oldest = time.time() - KEEP_S
    try:
        names = os.listdir(directory(paths))
    except OSError:
        return found
    for name in names:
        path = f"{directory(paths)}/{name}"
        if not name.endswith(".json") or atomic.is_temporary(name):
            continue
        try:
            if os.stat(path).st_mtime < oldest:
                os.unlink(path)
                continue
            found.add(str(atomic.read_json(path).get("diff_id", "")))
        except (OSError, RlError):
            continue
    return found
