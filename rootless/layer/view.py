"""Trees to copy from and into: one directory, or layers seen as overlayfs shows them merged.

Nothing is mounted: names are looked up layer by layer, symbolic links are resolved here and never
by the kernel, so that none of them leads outside.  Whiteouts are character devices 0/0, opaque
directories have an extended attribute (Documentation/filesystems/overlayfs.rst).

Layers are ours and never change.  A single directory is somebody's context, and others may write
in it: what was looked at as a directory may be a link out of it a moment later.  So everything in
it is opened from its root, by openat2(2), with no link allowed on the way.
"""

import errno
import os
import stat
from collections.abc import Sequence

from rootless.errors import BuildError, KernelError
from rootless.linux import syscalls

_BENEATH = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS
LINKS_MAX = 255  # as continuity's fs.RootPath, which BuildKit resolves with
_OPAQUE = "user.overlay.opaque"


class Node:
    """Something that is there: `path` from the root without a slash in front, "" for the root.

    `places` are the host paths of the directories that merge, topmost first, or of the one file.
    """

    __slots__ = ("path", "places", "status")

    def __init__(self, path: str, places: list[str], status: os.stat_result) -> None:
        self.path = path
        self.places = places
        self.status = status

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.status.st_mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.status.st_mode)

    def read_link(self) -> str:
        return os.readlink(self.places[0])


class View:
    """The tree that `directories` (topmost first) make together; one alone is just itself."""

    def __init__(self, directories: Sequence[str], *, layered: bool = True) -> None:
        self.layered = layered
        self.directories = list(directories)

    def root(self) -> Node:
        """Raises OSError when the topmost directory is not there; no layers are an empty one."""
        top = self.directories[0] if self.directories else "/"
        return Node("", list(self.directories), os.stat(top))

    def child(self, node: Node, name: str) -> Node | None:
        """What `name` is in the directory `node`; its last symbolic link is not followed."""
        path = _join(node.path, name)
        if not self.layered:
            return self._child(node, name, path)
        found: Node | None = None
        for place in node.places:
            host = f"{place}/{name}"
            try:
                status = os.lstat(host)
            except OSError as e:
                if e.errno in (errno.ENOENT, errno.ENAMETOOLONG):
                    continue
                raise
            if not stat.S_ISDIR(status.st_mode):
                if found is not None or self._is_whiteout(status):
                    return found
                return Node(path, [host], status)
            if found is None:
                found = Node(path, [host], status)
            else:
                found.places.append(host)
            if is_opaque(host):
                return found
        return found

    def _child(self, node: Node, name: str, path: str) -> Node | None:
        directory_fd = self.open(node, os.O_PATH | os.O_DIRECTORY)
        try:
            status = os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
        except OSError as e:
            if e.errno in (errno.ENOENT, errno.ENAMETOOLONG):
                return None
            raise
        finally:
            os.close(directory_fd)
        return Node(path, [f"{node.places[0]}/{name}"], status)

    def open(self, node: Node, flags: int) -> int:
        """A descriptor of what was found.

        Raises BuildError if it is gone or became a link, and OSError as open(2) does.
        """
        if self.layered:
            # A layer may be a link to one of another store; what is in it is never followed.
            flags |= os.O_NOFOLLOW if node.path else 0
            return os.open(node.places[0], flags | os.O_CLOEXEC)
        root_fd = os.open(self.directories[0], os.O_PATH | os.O_CLOEXEC)
        try:
            return syscalls.openat2(root_fd, node.path or ".", flags, resolve=_BENEATH)
        except KernelError as e:
            if e.errno not in (errno.ELOOP, errno.EXDEV, errno.ENOENT, errno.ENOTDIR):
                raise OSError(e.errno, os.strerror(e.errno), node.places[0]) from e
            raise BuildError(
                f"{node.path} was changed while it was read",
                remedy="build again when nothing else writes to the context",
                code="RL-BUILD-CHANGED",
            ) from e
        finally:
            os.close(root_fd)

    def children(self, node: Node) -> list[Node]:
        """Everything in the directory `node`, by name."""
        if not self.layered:
            return self._listed(node)
        if len(node.places) == 1:
            return self._only(node)
        found: dict[str, Node] = {}
        closed: set[str] = set()
        for place in node.places:
            with os.scandir(place) as entries:
                for entry in entries:
                    name = entry.name
                    if name in closed:
                        continue
                    status = entry.stat(follow_symlinks=False)
                    if not stat.S_ISDIR(status.st_mode):
                        closed.add(name)
                        if name not in found and not self._is_whiteout(status):
                            found[name] = Node(_join(node.path, name), [entry.path], status)
                        continue
                    if name in found:
                        found[name].places.append(entry.path)
                    else:
                        found[name] = Node(_join(node.path, name), [entry.path], status)
                    if is_opaque(entry.path):
                        closed.add(name)
        return [found[name] for name in sorted(found)]

    def _only(self, node: Node) -> list[Node]:
        prefix = f"{node.path}/" if node.path else ""
        with os.scandir(node.places[0]) as entries:
            found = [
                Node(prefix + e.name, [e.path], e.stat(follow_symlinks=False)) for e in entries
            ]
        found = [child for child in found if not self._is_whiteout(child.status)]
        found.sort(key=lambda child: child.path)
        return found

    def _listed(self, node: Node) -> list[Node]:
        prefix = f"{node.path}/" if node.path else ""
        place = node.places[0]
        directory_fd = self.open(node, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with os.scandir(directory_fd) as entries:
                found = [
                    Node(prefix + e.name, [f"{place}/{e.name}"], e.stat(follow_symlinks=False))
                    for e in entries
                ]
        finally:
            os.close(directory_fd)
        found.sort(key=lambda child: child.path)
        return found

    def resolve(self, path: str, *, follow_last: bool = True) -> tuple[Node | None, str]:
        """What `path` leads to, links followed inside the tree, and its path without any link.

        The path is also known for what is not there: links to nowhere are followed too.
        Raises BuildError when the links go in circles.
        """
        above = [self.root()]
        missing: list[str] = []
        pending = _parts(path)
        links = 0
        while pending:
            name = pending.pop()
            if name == "..":
                if missing:
                    missing.pop()
                elif len(above) > 1:
                    above.pop()
                continue
            node = None
            if not missing and above[-1].is_directory:
                node = self.child(above[-1], name)
            if node is None:
                missing.append(name)
            elif node.is_link and (pending or follow_last):
                links += 1
                if links > LINKS_MAX:
                    raise BuildError(
                        f"{path}: its symbolic links go in circles",
                        remedy="repair the link",
                        code="RL-BUILD-COPY",
                    )
                text = node.read_link()
                if text.startswith("/"):
                    del above[1:]
                pending += _parts(text)
            else:
                above.append(node)
        if missing:
            return None, "/".join([above[-1].path, *missing]).lstrip("/")
        return above[-1], above[-1].path

    @staticmethod
    def _is_whiteout(status: os.stat_result) -> bool:
        return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(place: str) -> bool:
    """Whether overlayfs hides what is below this directory of a layer."""
    try:
        return os.getxattr(place, _OPAQUE, follow_symlinks=False) == b"y"
    except OSError:
        return False


def set_opaque(place: str) -> None:
    """Make it so."""
    os.setxattr(place, _OPAQUE, b"y", follow_symlinks=False)


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _parts(path: str) -> list[str]:
    """The names of a path that mean something, last first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]
