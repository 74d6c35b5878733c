"""What a container has written, told from its own layers alone.  Runs in the worker.

The rules are those of `docker diff`: an entry of a layer is changed where something was below it,
added where nothing was; a directory is named when its attributes, or anything in it, have changed.
"""

import os
import stat
from collections.abc import Iterator, Sequence

from rootless.layer.view import Node, View, is_opaque

ADDED, CHANGED, DELETED = "A", "C", "D"

Change = tuple[str, str]  # kind, path with a slash in front


def changes(own: Sequence[str], lower: Sequence[str], stubs: Sequence[str]) -> Iterator[Change]:
    """The changes that `own` layers make to `lower` ones, both topmost first, sorted by path.

    `stubs` are the mount points that rl makes in every container: an empty one is no change.
    """
    below = View(lower)
    root = below.root() if lower else None
    yield from _Walk(below, {path.strip("/") for path in stubs}).directory(list(own), root, "")


class _Walk:
    def __init__(self, below: View, stubs: set[str]) -> None:
        self._below = below
        self._stubs = stubs
        self.stubs_met = False

    def directory(self, places: list[str], below: Node | None, prefix: str) -> list[Change]:
        """The changes below a directory that is at `places` of the own layers."""
        found: list[Change] = []
        names: dict[str, list[str]] = {}
        closed = False  # whether nothing of the lower layers shines through
        for place in places:
            for name in os.listdir(place):
                names.setdefault(name, []).append(place)
            if is_opaque(place):
                closed = True
                break
        old: dict[str, Node] = {}
        if closed and below is not None:
            old = {os.path.basename(node.path): node for node in self._below.children(below)}
        for name in sorted({*names, *old}):
            there = old.get(name) if closed or below is None else self._below.child(below, name)
            if name in names:
                found += self._entry([f"{one}/{name}" for one in names[name]], there, prefix + name)
            else:
                found.append((DELETED, f"/{prefix}{name}"))
        return found

    def _entry(self, places: list[str], below: Node | None, path: str) -> list[Change]:
        status = os.lstat(places[0])
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            return [] if below is None else [(DELETED, f"/{path}")]
        if not stat.S_ISDIR(status.st_mode):
            if path in self._stubs and below is None and status.st_size == 0:
                self.stubs_met = True
                return []
            return [(ADDED if below is None else CHANGED, f"/{path}")]
        merged = []
        for place in places:
            if not stat.S_ISDIR(os.lstat(place).st_mode):
                below = None  # an own layer had another thing here, which hides what is below
                break
            merged.append(place)
            if is_opaque(place):
                break
        before, self.stubs_met = self.stubs_met, False
        inner = self.directory(merged, below if below and below.is_directory else None, f"{path}/")
        stub, self.stubs_met = self.stubs_met, before or self.stubs_met
        if path in self._stubs and below is None and not inner:
            self.stubs_met = True
            return []
        if below is None:
            return [] if stub and not inner else [(ADDED, f"/{path}"), *inner]
        if inner or not below.is_directory or _differ(status, below.status, times=not stub):
            return [(CHANGED, f"/{path}"), *inner]
        return []


def _differ(ours: os.stat_result, theirs: os.stat_result, *, times: bool) -> bool:
    """Whether the attributes of a directory have changed; a new mount point changes its time."""
    if (ours.st_mode, ours.st_uid, ours.st_gid) != (theirs.st_mode, theirs.st_uid, theirs.st_gid):
        return True
    return times and ours.st_mtime_ns != theirs.st_mtime_ns
