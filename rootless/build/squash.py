"""--squash: the layers that a build has added, as one.

Whiteouts and opaque directories stay where they hide something of the base image.
"""

import os
import stat
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rootless.build import cache as caches
from rootless.build import commit
from rootless.build.cache import Cache, Entry
from rootless.build.copying_target import storage_failure
from rootless.linux import copytree
from rootless.store import shared_mounts
from rootless.store.atomic import TemporaryDirectory

if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.linux.copytree import Owner

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPAQUE = "user.overlay.opaque"


def squash(ctx: "Context", cache: Cache, diff_ids: Sequence[str], epoch: int | None) -> Entry:
    """One layer of `diff_ids` (bottom first), from the cache or made now.

    Files are shared by reflink where the file system can.  The caller has one thread.
    """
    key = caches.digest({"squash": list(diff_ids), "epoch": epoch})
    with cache.making(key):
        entry = cache.load(key)
        if entry is None:
            with TemporaryDirectory(ctx.paths, ctx) as directory:
                merge(ctx, commit.layer_directories(ctx, diff_ids), f"{directory}/upper")
                entry = commit.commit(ctx, directory, name="squash", epoch=epoch)
            cache.save(key, entry)
    return entry


def history(
    entries: Sequence[dict[str, Any]], inherited: int, entry: Entry
) -> list[dict[str, Any]]:
    """The history with the one layer at its end, as Docker's --squash has it."""
    done = [dict(one) for one in entries]
    for one in done[inherited:]:
        one["empty_layer"] = True
    return [*done, {"created": entry.created, "comment": "squashed by rl build"}]


def merge(
    ctx: "Context",
    layers: Sequence[str],
    target: str,
    *,
    what: str = "squash",
    moving: bool = False,
    owner: "Owner | None" = None,
) -> None:
    """Copy layers' directories (topmost first) as one to `target`, which is made.

    `what` is done, for messages.  With `moving` somebody changes the topmost meanwhile: what has
    gone since it was listed is left out.  `owner` maps owners, as copytree.Copy.  The caller has
    one thread.
    """

    def work() -> object:
        os.umask(0)
        try:
            os.mkdir(target, 0o755)
            target_fd = os.open(target, _DIRECTORY)
            # A layer may be a link to one of another store.
            sources = [os.open(layer, _DIRECTORY & ~os.O_NOFOLLOW) for layer in layers]
            _Merge(target_fd, moving, owner).merge(sources, target_fd, "")
        except OSError as e:
            raise storage_failure(e, what) from e
        return None

    shared_mounts.run_in_worker(ctx, layers, work)


class _Merge(copytree.Copy):
    """A copy of several directories as one, the topmost first."""

    def __init__(self, top_fd: int, moving: bool, owner: "Owner | None") -> None:
        super().__init__(overlay="keep", owner=owner)
        self._top_fd = top_fd
        self._moving = moving

    def merge(self, sources: list[int], target_fd: int, prefix: str) -> None:
        """Fill `target_fd`, and give it the attributes of the topmost; closes `sources`."""
        seen: set[str] = set()
        for position, source_fd in enumerate(sources):
            for name in os.listdir(source_fd):
                if name not in seen:
                    seen.add(name)
                    self._one(sources[position:], name, target_fd, prefix)
            if _is_opaque(source_fd):
                os.setxattr(target_fd, _OPAQUE, b"y")
                break
        self.attributes(sources[0], target_fd)
        for source_fd in sources:
            os.close(source_fd)

    def _one(self, sources: list[int], name: str, target_fd: int, prefix: str) -> None:
        """The entry `name`, which the first of `sources` has."""
        directories: list[int] = []
        hidden = False  # whether a layer in between had something else there
        for source_fd in sources:
            try:
                mode = os.stat(name, dir_fd=source_fd, follow_symlinks=False).st_mode
            except FileNotFoundError:
                mode = 0
            if mode and not stat.S_ISDIR(mode):
                hidden = True
                break
            if mode:
                directories.append(os.open(name, _DIRECTORY, dir_fd=source_fd))
            if _is_opaque(source_fd):
                break
        if not directories:
            try:
                self._entry(sources[0], target_fd, name, prefix)
            except FileNotFoundError:
                if not self._moving:
                    raise
            return
        os.mkdir(name, 0o700, dir_fd=target_fd)
        inner_fd = os.open(name, _DIRECTORY, dir_fd=target_fd)
        self.merge(directories, inner_fd, f"{prefix}{name}/")
        if hidden:
            os.setxattr(inner_fd, _OPAQUE, b"y")
        os.close(inner_fd)


def _is_opaque(fd: int) -> bool:
    try:
        return os.getxattr(fd, _OPAQUE) == b"y"
    except OSError:
        return False
