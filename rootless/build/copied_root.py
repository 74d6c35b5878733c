"""RUN where no overlay works: on a copy of the layers below, whose changes are the step's layer.

What has changed is told by inode and ctime, which nothing but a change touches; the changed files
are moved, not copied.  A file system with reflinks shares the copy's blocks with the layers.
"""

import json
import os
import stat
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rootless.layer import whiteout
from rootless.linux import copytree
from rootless.runtime import layer_copies
from rootless.store import shared_mounts

if TYPE_CHECKING:
    from rootless.context import Context

_BEFORE = "before.json"  # {directory: {name: [inode, ctime in ns, whether it is a directory]}}
Listing = dict[str, dict[str, list[int]]]


def flat(ctx: "Context", lower: Sequence[str], target: str) -> None:
    """A copy of `lower` (topmost first) in the new directory `target`; one that is there stays."""
    if not os.path.isdir(target):
        os.makedirs(target, 0o755)
        layer_copies.flatten(ctx, list(reversed(lower)), target)


def fill(ctx: "Context", lower: Sequence[str], directory: str) -> None:
    """Copy `lower` (topmost first) to `directory`/rootfs, and note what there is.

    The copy that a failed command has left stays as it is.
    """
    if os.path.exists(f"{directory}/{_BEFORE}"):
        return
    root = f"{directory}/rootfs"
    layer_copies.flatten(ctx, list(reversed(lower)), root)

    def work() -> object:
        with open(
            f"{directory}/{_BEFORE}", "w", encoding="utf-8", errors="surrogateescape"
        ) as file:
            json.dump(_listing(root), file)
        return None

    shared_mounts.run_in_worker(ctx, (), work)


def take_changes(ctx: "Context", directory: str) -> None:
    """Move what the command has changed from `directory`/rootfs to `directory`/upper."""

    def work() -> object:
        with open(f"{directory}/{_BEFORE}", encoding="ascii") as file:
            before: Listing = json.load(file)
        _Changes(f"{directory}/rootfs", f"{directory}/upper", before).take("")
        return None

    shared_mounts.run_in_worker(ctx, (), work)


def _listing(root: str) -> Listing:
    found: Listing = {}
    stack = [""]
    while stack:
        directory = stack.pop()
        found[directory] = {}
        with os.scandir(f"{root}{directory}") as entries:
            for entry in entries:
                found[directory][entry.name] = _mark(entry.stat(follow_symlinks=False))
                if entry.is_dir(follow_symlinks=False):
                    stack.append(f"{directory}/{entry.name}")
    return found


def _mark(status: os.stat_result) -> list[int]:
    return [status.st_ino, status.st_ctime_ns, int(stat.S_ISDIR(status.st_mode))]


class _Changes:
    def __init__(self, root: str, upper: str, before: Listing) -> None:
        self._root = root
        self._upper = upper
        self._before = before
        self._copied: set[str] = set()

    def take(self, top: str) -> None:
        """What differs in and below the directory `top`, "" for the root."""
        stack: list[tuple[str, os.stat_result]] = []
        todo = [top]
        while todo:
            directory = todo.pop()
            stack.append((directory, os.stat(f"{self._root}{directory}")))
            todo += self._entries(directory)
        # Moving files in and out has changed the times.
        for directory, status in reversed(stack):
            if directory in self._copied or not directory:
                times = (status.st_atime_ns, status.st_mtime_ns)
                os.utime(f"{self._upper}{directory}", ns=times)

    def _entries(self, directory: str) -> list[str]:
        """Take the changed entries of a directory; the directories to look into."""
        before = self._before.get(directory, {})
        inner = []
        for name in os.listdir(f"{self._root}{directory}"):
            path = f"{directory}/{name}"
            status = os.lstat(f"{self._root}{path}")
            now, then = _mark(status), before.get(name)
            if then is not None and now[2] and then[2] and now[0] == then[0]:
                inner.append(path)
                if now[1] != then[1]:
                    self._copy_up(path)
            elif now != then:
                self._copy_up(directory)
                os.rename(f"{self._root}{path}", f"{self._upper}{path}")
                if now[2] and then is not None:
                    # Another directory than the one below: nothing of that shows through.
                    os.setxattr(
                        f"{self._upper}{path}", whiteout.OPAQUE_XATTR, whiteout.OPAQUE_VALUE
                    )
        for name in set(before) - set(os.listdir(f"{self._root}{directory}")):
            hidden = f"{self._upper}{directory}/{name}"
            if not os.path.lexists(hidden):
                self._copy_up(directory)
                os.mknod(hidden, stat.S_IFCHR, os.makedev(0, 0))
        return inner

    def _copy_up(self, directory: str) -> None:
        """Make the directory in the upper one, with what is above it, as it is in the root."""
        if directory in self._copied:
            return
        above = directory.rpartition("/")[0]
        if directory:
            self._copy_up(above)
            os.mkdir(f"{self._upper}{directory}", 0o700)
        self._copied.add(directory)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        source_fd = os.open(f"{self._root}{directory}", flags)
        target_fd = os.open(f"{self._upper}{directory}", flags)
        try:
            copytree.Copy().attributes(source_fd, target_fd)
        finally:
            os.close(source_fd)
            os.close(target_fd)
