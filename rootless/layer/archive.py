"""A layer's directory as a tar stream: the same bytes for the same tree.  Runs in the worker.

overlayfs's whiteouts become the names of image-spec layer.md again.  Entries are in the order of
their names, directories before what is in them; times are whole seconds, as in Docker's layers.
"""

import os
import stat

from rootless.layer import tarstream, whiteout
from rootless.layer.tarstream import Member
from rootless.layer.tarwriter import END, header, padding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Write = Callable[[bytes], object]

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20
_KINDS = {
    stat.S_IFREG: tarstream.REGULAR,
    stat.S_IFDIR: tarstream.DIRECTORY,
    stat.S_IFLNK: tarstream.SYMLINK,
    stat.S_IFIFO: tarstream.FIFO,
    stat.S_IFCHR: tarstream.CHARACTER,
    stat.S_IFBLK: tarstream.BLOCK_DEVICE,
}


def write_tree(root_fd: int, write: "Write") -> None:
    """Write the tree below `root_fd` as a whole tar archive.

    The tree does not change meanwhile.  Sockets are left out, as tar(1) does.
    """
    _Writer(write).tree(root_fd)
    write(END)


class _Writer:
    def __init__(self, write: "Write") -> None:
        self._write = write
        self._links: dict[tuple[int, int], bytes] = {}

    def tree(self, root_fd: int) -> None:
        """Everything, iteratively: a tree may be deeper than Python's stack."""
        self._header(b".", os.fstat(root_fd), root_fd)
        stack = [(os.dup(root_fd), b"", self._entries(root_fd, b""))]
        try:
            while stack:
                fd, prefix, names = stack[-1]
                if not names:
                    os.close(fd)
                    stack.pop()
                    continue
                name = names.pop()
                status = os.lstat(name, dir_fd=fd)
                path = prefix + name
                if stat.S_ISDIR(status.st_mode):
                    child = os.open(name, _OPEN_DIRECTORY, dir_fd=fd)
                    self._header(path, status, child)
                    stack.append((child, path + b"/", self._entries(child, path + b"/")))
                else:
                    self._node(fd, name, prefix, status)
        finally:
            for fd, _, _ in stack:
                os.close(fd)

    def _entries(self, fd: int, prefix: bytes) -> list[bytes]:
        """The names in a directory, last first; an opaque one says so before them."""
        if _xattr(fd, whiteout.OPAQUE_XATTR) == whiteout.OPAQUE_VALUE:
            self._marker(prefix + whiteout.OPAQUE, os.fstat(fd))
        return sorted((os.fsencode(name) for name in os.listdir(fd)), reverse=True)

    def _node(self, fd: int, name: bytes, prefix: bytes, status: os.stat_result) -> None:
        path = prefix + name
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFCHR and status.st_rdev == 0:
            self._marker(prefix + whiteout.PREFIX + name, status)
            return
        if kind not in _KINDS:
            return  # a socket
        if status.st_nlink > 1:
            key = (status.st_dev, status.st_ino)
            first = self._links.setdefault(key, path)
            if first != path:
                self._header(path, status, None, link=first, kind=tarstream.HARD_LINK)
                return
        if kind == stat.S_IFREG:
            self._file(fd, name, path, status)
        elif kind == stat.S_IFLNK:
            self._header(path, status, None, link=os.readlink(name, dir_fd=fd))
        else:
            self._header(path, status, None)

    def _file(self, at: int, name: bytes, path: bytes, status: os.stat_result) -> None:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=at)
        try:
            self._header(path, status, fd)
            left = status.st_size
            while left:
                data = os.read(fd, min(left, _CHUNK))
                if not data:
                    raise OSError(5, "the file became shorter", os.fsdecode(path))
                self._write(data)
                left -= len(data)
            self._write(padding(status.st_size))
        finally:
            os.close(fd)

    def _marker(self, path: bytes, status: os.stat_result) -> None:
        """A whiteout: an empty file of a telling name."""
        member = Member(path)
        member.mtime_ns = status.st_mtime_ns
        self._write(header(member))

    def _header(
        self,
        path: bytes,
        status: os.stat_result,
        fd: int | None,
        *,
        link: bytes | str = b"",
        kind: bytes = b"",
    ) -> None:
        member = Member(path, kind or _KINDS[stat.S_IFMT(status.st_mode)])
        member.mode = stat.S_IMODE(status.st_mode)
        member.uid, member.gid = status.st_uid, status.st_gid
        member.mtime_ns = status.st_mtime_ns
        member.link = os.fsencode(link)
        if member.kind == tarstream.REGULAR:
            member.size = status.st_size
        if member.kind in (tarstream.CHARACTER, tarstream.BLOCK_DEVICE):
            member.device = (os.major(status.st_rdev), os.minor(status.st_rdev))
        if fd is not None:
            member.xattrs = _xattrs(fd)
            owner = _xattr(fd, whiteout.OWNER_XATTR)
            if owner is not None:
                member.uid, member.gid = whiteout.recorded_owner(owner) or (member.uid, member.gid)
        self._write(header(member))


def _xattrs(fd: int) -> dict[bytes, bytes]:
    """What a layer carries: not overlayfs's own, nor the labels of this host's SELinux."""
    found = {}
    try:
        names = os.listxattr(fd)
    except OSError:
        return {}
    for text in names:
        name = os.fsencode(text)
        if whiteout.is_reserved_xattr(name) or name == b"security.selinux":
            continue
        value = _xattr(fd, name)
        if value is not None:
            found[name] = value
    return found


def _xattr(fd: int, name: bytes) -> bytes | None:
    try:
        return os.getxattr(fd, name)
    except OSError:
        return None
