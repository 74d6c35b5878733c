"""A directory as a tar stream: the same bytes for the same tree.  Runs in the worker.

In a layer, overlayfs's whiteouts become the names of image-spec layer.md again, and times are
whole seconds, as in Docker's.  Entries are in the order of their names, directories before what is
in them.
"""

import errno
import os
import stat

from rootless import fastjson
from rootless.layer import tarstream, whiteout
from rootless.layer.tarstream import Member
from rootless.layer.tarwriter import END, header, padding, sparse_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Write = Callable[[bytes], object]

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20
_CHANGED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_KINDS = {
    stat.S_IFREG: tarstream.REGULAR,
    stat.S_IFDIR: tarstream.DIRECTORY,
    stat.S_IFLNK: tarstream.SYMLINK,
    stat.S_IFIFO: tarstream.FIFO,
    stat.S_IFCHR: tarstream.CHARACTER,
    stat.S_IFBLK: tarstream.BLOCK_DEVICE,
}


def write_tree(root_fd: int, write: "Write", *, layer: bool = True) -> None:
    """Write the tree below `root_fd` as a whole tar archive.

    A tree that is no `layer` has no whiteouts, its times have fractions and its files holes.  A
    layer does not change meanwhile.  Sockets are left out, as tar(1) does.
    """
    Writer(write, layer=layer).tree(root_fd)
    write(END)


class Writer:
    """Writes trees and single files into one archive; its END is the caller's.

    At the paths `hollow` is only an empty directory or file: something is mounted there.
    What a subclass may say otherwise: whiteouts, extended attributes, a member's header.
    """

    def __init__(self, write: "Write", *, layer: bool, hollow: "Iterable[str]" = ()) -> None:
        self._write = write
        self._layer = layer
        self._hollow = {os.fsencode(path.strip("/")) for path in hollow}
        self._links: dict[tuple[int, int], bytes] = {}

    def tree(self, root_fd: int, top: bytes = b".") -> None:
        """A directory and all below it, as `top`; iteratively: it may be deeper than our stack."""
        prefix = b"" if top == b"." else top + b"/"
        self._header(top, os.fstat(root_fd), root_fd)
        stack = [(os.dup(root_fd), prefix, self._entries(root_fd, prefix))]
        try:
            while stack:
                fd, prefix, names = stack[-1]
                if not names:
                    os.close(fd)
                    stack.pop()
                    continue
                name = names.pop()
                path = prefix + name
                try:
                    status = os.lstat(name, dir_fd=fd)
                    if not stat.S_ISDIR(status.st_mode):
                        self.node(fd, name, path, status)
                        continue
                    child = os.open(name, _OPEN_DIRECTORY, dir_fd=fd)
                except OSError as e:
                    if self._layer or e.errno not in _CHANGED:
                        raise
                    continue  # a container has removed or replaced it just now
                self._header(path, status, child)
                below = [] if path in self._hollow else self._entries(child, path + b"/")
                stack.append((child, path + b"/", below))
        finally:
            for fd, _, _ in stack:
                os.close(fd)

    def _entries(self, fd: int, prefix: bytes) -> list[bytes]:
        """The names in a directory, last first; an opaque one says so before them."""
        if self._layer and _xattr(fd, whiteout.OPAQUE_XATTR) == whiteout.OPAQUE_VALUE:
            self.opaque(prefix, os.fstat(fd))
        return sorted((os.fsencode(name) for name in os.listdir(fd)), reverse=True)

    def node(self, fd: int, name: bytes, path: bytes, status: os.stat_result) -> None:
        """What is no directory, as `path`."""
        kind = stat.S_IFMT(status.st_mode)
        if self._layer and kind == stat.S_IFCHR and status.st_rdev == 0:
            self.hidden(path[: len(path) - len(name)], name, status)
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
            self._named_file(fd, name, path)
        elif kind == stat.S_IFLNK:
            link = os.readlink(name, dir_fd=fd)
            self._header(path, status, None, link=link, owner=_link_owner(fd, name))
        else:
            self._header(path, status, None, owner=_link_owner(fd, name))

    def _named_file(self, at: int, name: bytes, path: bytes) -> None:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        fd = os.open(name, flags, dir_fd=at)
        try:
            self.file(fd, path)
        finally:
            os.close(fd)

    def file(self, fd: int, path: bytes) -> None:
        """The open file `fd` as `path`; what is no regular file is left out."""
        status = os.fstat(fd)
        if path in self._hollow:
            self._empty(path, status)
        elif stat.S_ISREG(status.st_mode):  # another file may have had the name by now
            pieces = None if self._layer else _pieces(fd, status)
            member = self._header(path, status, fd, sparse=pieces)
            if pieces is not None:
                self._write(sparse_map(member))
            size = member.size
            for offset, length in pieces if pieces is not None else ((0, status.st_size),):
                self._copy(fd, offset, length, path)
            self._write(padding(size))

    def _empty(self, path: bytes, status: os.stat_result) -> None:
        member = Member(path)
        member.mode = stat.S_IMODE(status.st_mode)
        member.mtime_ns = status.st_mtime_ns
        self._write(header(member, precise=True))

    def _copy(self, fd: int, offset: int, left: int, path: bytes) -> None:
        while left:
            data = os.pread(fd, min(left, _CHUNK), offset)
            if not data:
                if self._layer:
                    raise OSError(5, "the file became shorter", os.fsdecode(path))
                data = bytes(min(left, _CHUNK))  # a container writes it just now
            self._write(data)
            offset += len(data)
            left -= len(data)

    def opaque(self, prefix: bytes, status: os.stat_result) -> None:
        """The directory `prefix` hides all that is below it."""
        self._marker(prefix + whiteout.OPAQUE, status)

    def hidden(self, prefix: bytes, name: bytes, status: os.stat_result) -> None:
        """`name` in the directory `prefix` is gone."""
        self._marker(prefix + whiteout.PREFIX + name, status)

    def xattrs(self, fd: int) -> dict[bytes, bytes]:
        """What a layer carries: not overlayfs's own, nor the labels of this host's SELinux."""
        return xattrs_of(
            fd,
            lambda name: not whiteout.is_reserved_xattr(name) and name != b"security.selinux",
        )

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
        sparse: list[tuple[int, int]] | None = None,
        owner: tuple[int, int] | None = None,
    ) -> Member:
        member = Member(path, kind or _KINDS[stat.S_IFMT(status.st_mode)])
        member.mode = stat.S_IMODE(status.st_mode)
        member.uid, member.gid = status.st_uid, status.st_gid
        member.mtime_ns = status.st_mtime_ns
        member.link = os.fsencode(link)
        if member.kind == tarstream.REGULAR:
            member.size = member.length = status.st_size
            member.sparse = sparse
        if member.kind in (tarstream.CHARACTER, tarstream.BLOCK_DEVICE):
            member.device = (os.major(status.st_rdev), os.minor(status.st_rdev))
        if fd is not None:
            member.xattrs = self.xattrs(fd)
            noted = _xattr(fd, whiteout.OWNER_XATTR)
            owner = None if noted is None else whiteout.recorded_owner(noted)
        if owner is not None:
            member.uid, member.gid = owner
        self.member(member)
        return member

    def member(self, member: Member) -> None:
        """One member's header goes out."""
        self._write(header(member, precise=not self._layer))


def _pieces(fd: int, status: os.stat_result) -> list[tuple[int, int]] | None:
    """[(offset, size), …] of the data of a file with holes, None for one without: lseek(2)."""
    if status.st_blocks * 512 >= status.st_size:
        return None
    pieces = []
    end = 0
    while end < status.st_size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
            end = os.lseek(fd, start, os.SEEK_HOLE)
        except OSError as e:
            if e.errno == errno.ENXIO:  # a hole up to the end
                break
            return None
        pieces.append((start, min(end, status.st_size) - start))
    return pieces


def _link_owner(directory_fd: int, name: bytes) -> "tuple[int, int] | None":
    """The noted owner of a symbolic link or a pipe."""
    noted = _xattr(directory_fd, whiteout.LINK_OWNERS_XATTR)
    if noted is None:
        return None
    try:
        uid, gid = fastjson.loads(noted.decode())[os.fsdecode(name)]
    except (ValueError, KeyError, TypeError):
        return None
    return int(uid), int(gid)


def xattrs_of(fd: int, wanted: "Callable[[bytes], bool]") -> dict[bytes, bytes]:
    """The extended attributes of a file whose names are `wanted`."""
    found = {}
    try:
        names = os.listxattr(fd)
    except OSError:
        return {}
    for text in names:
        name = os.fsencode(text)
        if not wanted(name):
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
