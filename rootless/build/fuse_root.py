"""RUN on fuse-overlayfs: its own marks in the upper directory become those of overlayfs.

It marks each directory that it makes as opaque, by files that the kernel's overlay would show.
The layer of a step is the same with either, and its diffID.
Source: github.com/containers/fuse-overlayfs, main.c (set_fd_opaque, create_whiteout).
"""

import os
import stat
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rootless.layer import whiteout
from rootless.store import shared_mounts

if TYPE_CHECKING:
    from rootless.context import Context

_OPAQUE_FILES = (os.fsdecode(whiteout.OPAQUE), ".wh..opq")
_PREFIX = os.fsdecode(whiteout.PREFIX)
_XATTR = "user.fuseoverlayfs.opaque"


def settle(ctx: "Context", directory: str, lower: Sequence[str]) -> None:
    """Replace the marks in `directory`/upper.  `lower` are layers' directories, topmost first."""
    upper = f"{directory}/upper"

    def work() -> object:
        for place, _, names in os.walk(upper):
            _settle(place, place.removeprefix(upper), names, lower)
        return None

    shared_mounts.run_in_worker(ctx, lower, work)


def _settle(place: str, relative: str, names: Sequence[str], lower: Sequence[str]) -> None:
    marks = [name for name in names if name.startswith(_PREFIX)]
    try:
        os.getxattr(place, _XATTR)
        opaque = True
        os.removexattr(place, _XATTR)
    except OSError:
        opaque = False
    if not marks and not opaque:
        return
    status = os.stat(place)
    for name in marks:
        path = f"{place}/{name}"
        if name in _OPAQUE_FILES:
            opaque = True
            os.unlink(path)
        elif stat.S_ISREG(os.lstat(path).st_mode) and not os.lstat(path).st_size:
            os.unlink(path)
            os.mknod(f"{place}/{name.removeprefix(_PREFIX)}", stat.S_IFCHR, os.makedev(0, 0))
    if opaque and _is_directory_below(relative, lower):
        os.setxattr(place, whiteout.OPAQUE_XATTR, whiteout.OPAQUE_VALUE)
    os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))


def _is_directory_below(relative: str, lower: Sequence[str]) -> bool:
    for layer in lower:
        try:
            status = os.lstat(f"{layer}{relative or '/'}")
        except NotADirectoryError:
            return False
        except OSError:
            continue
        return stat.S_ISDIR(status.st_mode)
    return False
