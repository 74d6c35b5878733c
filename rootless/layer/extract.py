"""A tar stream onto a directory, as a layer for overlayfs.  Runs in the worker.

Nothing outside the directory is touched, whatever the archive says: a member's parent is opened
with openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), as Docker's chroot would resolve it, and all
else is done by that descriptor and one name, never following a symlink there.
"""

import errno
import os
import stat

from rootless.errors import BadDocument, KernelError, StoreError
from rootless.layer import tarstream, whiteout
from rootless.linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.layer.tarstream import Member, TarReader

_RESOLVE = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
_DIRECTORY = os.O_PATH | os.O_DIRECTORY
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CACHE_MAX = 128  # open directories
_TIME_MAX_NS = (1 << 34) * 1_000_000_000  # the year 2514, the end of an ext4 inode's range
# Labels (security.selinux) and trusted.* are the host's, not an image's.
_XATTRS = (b"user.", b"security.capability", b"system.posix_acl_")
_NO_XATTR = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EINVAL, errno.ERANGE, errno.E2BIG)


class Extractor:
    """Puts members below the directory `root_fd`.  Call finish() after the last one.

    What the host doesn't allow is counted, not refused: `skipped_devices`, `skipped_xattrs` and
    `lost_owners` (IDs that are not mapped became 0).  `size` is the sum of the files' lengths.
    In what is no `layer`, whiteouts are files like others, and the top directory stays as it is.
    """

    def __init__(self, root_fd: int, *, layer: bool = True) -> None:
        self.size = 0
        self.entries = 0
        self.skipped_devices = 0
        self.skipped_xattrs = 0
        self.lost_owners = 0
        self._root = root_fd
        self._fds: dict[bytes, int] = {}
        self._directories: dict[bytes, tuple[int, int]] = {}  # mode, mtime; set at the end
        self._opaque: set[bytes] = set()
        self._whiteouts: dict[bytes, list[bytes]] = {}
        self._unmapped: set[tuple[int, int]] = set()
        self._layer = layer
        os.umask(0)
        if layer:
            # A set-group-ID directory above hands its group down; a root directory is root's.
            os.fchown(root_fd, 0, 0)
            os.fchmod(root_fd, 0o755)

    def extract_all(self, reader: "TarReader") -> None:
        """Every member of the archive, then what has to be done last."""
        for member in reader.members():
            self._place(member, reader)
        reader.drain()
        self._finish()

    def _place(self, member: "Member", reader: "TarReader") -> None:
        self.entries += 1
        try:
            self._extract(member, reader)
        except KernelError as e:
            raise _failure(e.errno, member.name) from e
        except OSError as e:
            raise _failure(e.errno or 0, member.name) from e

    def _extract(self, member: "Member", reader: "TarReader") -> None:
        path = clean(member.name)
        if not path:
            self._root_directory(member)
            return
        parent, _, name = path.rpartition(b"/")
        if self._layer and name.startswith(whiteout.PREFIX):
            self._whiteout(parent, name, member.mtime_ns)
            return
        kind = member.kind
        if kind == tarstream.REGULAR:
            self._file(self._open_parent(parent), name, member, reader)
        elif kind == tarstream.DIRECTORY:
            self._make_directory(self._open_parent(parent), name, path, member)
        elif kind == tarstream.SYMLINK:
            self._symlink(self._open_parent(parent), name, member)
        elif kind == tarstream.HARD_LINK:
            self._hard_link(parent, name, member)
        elif kind == tarstream.FIFO:
            at = self._open_parent(parent)
            mode = member.mode & 0o777
            self._making(at, name, lambda: os.mkfifo(name, mode, dir_fd=at))
            self._node_attributes(at, name, member)
        else:
            self.skipped_devices += 1  # no mknod without privilege; Docker rootless skips it too

    # Directories by descriptor.

    def _open_parent(self, path: bytes) -> int:
        fd = self._fds.get(path)
        if fd is not None:
            return fd
        if not path:
            return self._root
        if len(self._fds) >= _CACHE_MAX:
            self._forget()
        try:
            fd = syscalls.openat2(self._root, path, _DIRECTORY, 0, _RESOLVE)
        except KernelError as e:
            if e.errno != errno.ENOENT:
                raise
            # Not every archive names its directories: they are made as root's, 0755.
            above, _, name = path.rpartition(b"/")
            at = self._open_parent(above)
            try:
                os.mkdir(name, 0o755, dir_fd=at)
            except FileExistsError:
                # A symlink to nowhere, or a whiteout: it gives way, as a directory is wanted.
                self._make_way(at, name)
                os.mkdir(name, 0o755, dir_fd=at)
            fd = syscalls.openat2(self._root, path, _DIRECTORY, 0, _RESOLVE)
        self._fds[path] = fd
        return fd

    def _forget(self) -> None:
        """Close the cached directories: one of them may be elsewhere now, or gone."""
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()

    def _make_way(self, at: int, name: bytes) -> bool:
        """Remove what an earlier member put at `name`; whether that was a whiteout."""
        status = os.lstat(name, dir_fd=at)
        if stat.S_ISDIR(status.st_mode):
            self._forget()
            _remove_tree(at, name)
            return False
        if stat.S_ISLNK(status.st_mode):
            self._forget()
        os.unlink(name, dir_fd=at)
        return stat.S_ISCHR(status.st_mode)

    def _making(self, at: int, name: bytes, make: "Callable[[], object]") -> None:
        try:
            make()
        except FileExistsError:
            self._make_way(at, name)
            make()

    # One kind of member each.

    def _file(self, at: int, name: bytes, member: "Member", reader: "TarReader") -> None:
        mode = member.mode
        try:
            fd = os.open(name, _CREATE, mode & 0o777, dir_fd=at)
        except FileExistsError:
            self._make_way(at, name)
            fd = os.open(name, _CREATE, mode & 0o777, dir_fd=at)
        try:
            if member.sparse is not None:
                _write_sparse(fd, member, reader)
            elif member.size:
                for piece in reader.data():
                    if os.write(fd, piece) != len(piece):
                        raise OSError(errno.ENOSPC, "short write")
            if member.uid or member.gid:
                self._chown(fd, member)
            if mode & 0o7000:  # after the chown, which takes these bits away
                os.fchmod(fd, mode)
            if member.xattrs:
                self._set_xattrs(fd, member.xattrs)
            mtime = _time(member.mtime_ns)
            os.utime(fd, ns=(mtime, mtime))
        finally:
            os.close(fd)
        self.size += member.length

    def _make_directory(self, at: int, name: bytes, path: bytes, member: "Member") -> None:
        opaque = False
        try:
            os.mkdir(name, 0o755, dir_fd=at)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(name, dir_fd=at).st_mode):
                # A directory in the place of one that this layer took away: nothing of the
                # old one may shine through.
                opaque = self._make_way(at, name)
                os.mkdir(name, 0o755, dir_fd=at)
        self._directories[path] = (member.mode, _time(member.mtime_ns))
        if not (opaque or member.uid or member.gid or member.xattrs):
            return
        fd = os.open(name, _OPEN_DIRECTORY, dir_fd=at)
        try:
            self._chown(fd, member)
            if member.xattrs:
                self._set_xattrs(fd, member.xattrs)
            if opaque:
                self._opaque.add(path)
                _set_opaque(fd)
        finally:
            os.close(fd)

    def _root_directory(self, member: "Member") -> None:
        if member.kind != tarstream.DIRECTORY:
            raise BadDocument("tar: the root directory as something else")
        self._chown(self._root, member)
        if member.xattrs:
            self._set_xattrs(self._root, member.xattrs)
        self._directories[b""] = (member.mode, _time(member.mtime_ns))

    def _symlink(self, at: int, name: bytes, member: "Member") -> None:
        if not member.link:
            raise BadDocument(f"tar: {shown(member.name)} is a symlink to nothing")
        self._making(at, name, lambda: os.symlink(member.link, name, dir_fd=at))
        self._node_attributes(at, name, member)

    def _hard_link(self, parent: bytes, name: bytes, member: "Member") -> None:
        target = clean(member.link)
        above, _, target_name = target.rpartition(b"/")
        if not target_name or target_name.startswith(whiteout.PREFIX):
            raise BadDocument(
                f"tar: {shown(member.name)} is a hard link to {shown(member.link)}, no file"
            )
        if target == (parent + b"/" + name if parent else name):
            return  # to itself: it is there, or an error that the next look would find
        # Opened before the other parent, which may be made now and close what is cached.
        at = self._open_parent(parent)
        target_fd = syscalls.openat2(self._root, above or b".", _DIRECTORY, 0, _RESOLVE)
        try:
            status = os.lstat(target_name, dir_fd=target_fd)
            if stat.S_ISDIR(status.st_mode) or stat.S_ISCHR(status.st_mode):
                raise BadDocument(
                    f"tar: {shown(member.name)} is a hard link to {shown(member.link)}, no file"
                )
            if self._is_same(at, name, status):
                return
            self._making(
                at,
                name,
                lambda: os.link(
                    target_name, name, src_dir_fd=target_fd, dst_dir_fd=at, follow_symlinks=False
                ),
            )
        finally:
            os.close(target_fd)

    def _is_same(self, at: int, name: bytes, status: os.stat_result) -> bool:
        """Whether `name` is that file already: removing it first would lose the target."""
        try:
            there = os.lstat(name, dir_fd=at)
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (status.st_dev, status.st_ino)

    def _whiteout(self, parent: bytes, name: bytes, mtime_ns: int) -> None:
        kind = whiteout.kind_of(name)
        if kind == whiteout.META:
            return
        at = self._open_parent(parent)
        if kind == whiteout.HIDE_ALL:
            self._make_opaque(at, parent)
            return
        hidden = whiteout.hidden_name(name)
        if hidden is None:
            raise BadDocument(f"tar: the whiteout {shown(name)} hides no name")
        if self._in_opaque(parent):
            return  # all is hidden there already, and overlayfs would list the device
        try:
            os.mknod(hidden, stat.S_IFCHR, os.makedev(0, 0), dir_fd=at)
        except FileExistsError:
            # It applies to what is below (layer.md): what this layer itself brings stays, but a
            # directory of it stops merging with the one below.
            if stat.S_ISDIR(os.lstat(hidden, dir_fd=at).st_mode):
                path = parent + b"/" + hidden if parent else hidden
                self._make_opaque(self._open_parent(path), path)
            return
        # The archive of this layer is to have it again, and to have the same digest.
        mtime = _time(mtime_ns)
        os.utime(hidden, ns=(mtime, mtime), dir_fd=at, follow_symlinks=False)
        self._whiteouts.setdefault(parent, []).append(hidden)

    def _make_opaque(self, at: int, path: bytes) -> None:
        # `at` is O_PATH, which takes no attribute.
        fd = os.open(b".", _OPEN_DIRECTORY, dir_fd=at)
        try:
            _set_opaque(fd)
        finally:
            os.close(fd)
        self._opaque.add(path)

    def _in_opaque(self, path: bytes) -> bool:
        if not self._opaque:
            return False
        while path:
            if path in self._opaque:
                return True
            path = path.rpartition(b"/")[0]
        return b"" in self._opaque

    # Attributes.

    def _node_attributes(self, at: int, name: bytes, member: "Member") -> None:
        """Owner and time of what isn't opened: symlinks and FIFOs."""
        if member.uid or member.gid:
            uid, gid = self._owner(member)
            try:
                os.chown(name, uid, gid, dir_fd=at, follow_symlinks=False)
            except OSError as e:
                self._note_unmapped(e, member)
        mtime = _time(member.mtime_ns)
        os.utime(name, ns=(mtime, mtime), dir_fd=at, follow_symlinks=False)

    def _owner(self, member: "Member") -> tuple[int, int]:
        owner = (member.uid, member.gid)
        if owner in self._unmapped:
            self.lost_owners += 1
            return (0, 0)
        return owner

    def _chown(self, fd: int, member: "Member") -> None:
        uid, gid = self._owner(member)
        try:
            os.fchown(fd, uid, gid)
        except OSError as e:
            self._note_unmapped(e, member)

    def _note_unmapped(self, e: OSError, member: "Member") -> None:
        """EINVAL: the namespace maps no such ID; EPERM: none but ours.  The owner stays 0:0."""
        if e.errno not in (errno.EINVAL, errno.EPERM):
            raise e
        self._unmapped.add((member.uid, member.gid))
        self.lost_owners += 1

    def _set_xattrs(self, fd: int, xattrs: dict[bytes, bytes]) -> None:
        for name, value in xattrs.items():
            if whiteout.is_reserved_xattr(name) or not name.startswith(_XATTRS):
                self.skipped_xattrs += 1
                continue
            try:
                os.setxattr(fd, name, value)
            except OSError as e:
                if e.errno not in _NO_XATTR:
                    raise
                self.skipped_xattrs += 1

    def _finish(self) -> None:
        """Modes and times of directories, which filling them would change or forbid."""
        self._forget()
        for path, names in self._whiteouts.items():
            if self._in_opaque(path):
                self._drop_whiteouts(path, names)
        for path, (mode, mtime) in self._directories.items():
            parent, _, name = path.rpartition(b"/")
            try:
                at = self._open_parent(parent)
                fd = os.open(name or b".", _OPEN_DIRECTORY, dir_fd=at)
            except (OSError, KernelError):
                continue  # a later member replaced it
            try:
                os.fchmod(fd, mode)
                os.utime(fd, ns=(mtime, mtime))
            finally:
                os.close(fd)
        self._forget()

    def _drop_whiteouts(self, path: bytes, names: list[bytes]) -> None:
        at = self._open_parent(path)
        for name in names:
            try:
                if stat.S_ISCHR(os.lstat(name, dir_fd=at).st_mode):
                    os.unlink(name, dir_fd=at)
            except FileNotFoundError:
                pass


def clean(name: bytes) -> bytes:
    """`name` relative to the root, without "." and "..", as Go's filepath.Clean.

    Raises BadDocument for a relative one that leaves the root, as Docker refuses it.
    """
    if b"/." not in name and b"//" not in name and name[:1] not in (b".", b"/"):
        return name[:-1] if name.endswith(b"/") else name
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part in (b"", b"."):
            continue
        if part != b"..":
            parts.append(part)
        elif parts:
            parts.pop()
        elif not name.startswith(b"/"):
            raise BadDocument(f"tar: {shown(name)} leads out of the root directory")
    return b"/".join(parts)


def shown(name: bytes) -> str:
    """A name from an archive for a message: on one line, and not for ever."""
    text = repr(os.fsdecode(name[:200]))
    return text if len(name) <= 200 else text + "…"


def _time(ns: int) -> int:
    return max(-_TIME_MAX_NS, min(_TIME_MAX_NS, ns))


def _write_sparse(fd: int, member: "Member", reader: "TarReader") -> None:
    pieces = reader.data()
    piece: bytes | memoryview = b""
    for offset, size in member.sparse or ():
        while size:
            if not piece:
                piece = next(pieces)
            written = os.pwrite(fd, piece[:size], offset)
            piece = memoryview(piece)[written:]
            offset += written
            size -= written
    os.ftruncate(fd, member.length)


def _set_opaque(fd: int) -> None:
    try:
        os.setxattr(fd, whiteout.OPAQUE_XATTR, whiteout.OPAQUE_VALUE)
    except OSError as e:
        if e.errno != errno.ENOTSUP:
            raise
        raise StoreError(
            "the store's file system has no user extended attributes, which layers need",
            remedy="set RL_STORE to a directory on ext4, xfs, btrfs or a tmpfs of Linux 6.6",
            code="RL-STORE-NO-XATTRS",
        ) from e


def _remove_tree(at: int, name: bytes) -> None:
    """Remove the directory `name`, by descriptors and iteratively."""
    fd = os.open(name, _OPEN_DIRECTORY, dir_fd=at)
    stack = [(fd, os.listdir(fd), name)]
    while stack:
        fd, names, own = stack[-1]
        if not names:
            stack.pop()
            os.close(fd)
            os.rmdir(own, dir_fd=stack[-1][0] if stack else at)
            continue
        child = os.fsencode(names.pop())
        try:
            os.unlink(child, dir_fd=fd)
        except IsADirectoryError:
            child_fd = os.open(child, _OPEN_DIRECTORY, dir_fd=fd)
            stack.append((child_fd, os.listdir(child_fd), child))


def _failure(code: int, name: bytes) -> BadDocument | StoreError | KernelError:
    """The error for an errno met while `name` was extracted."""
    if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StoreError(
            "cannot unpack the layer: the disk is full"
            if code != errno.EDQUOT
            else "cannot unpack the layer: your quota is used up",
            remedy="free some space (rl rmi, rl rm) or set RL_STORE to a larger file system",
            code="RL-STORE-FULL",
        )
    if code in (
        errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.EXDEV, errno.EISDIR,
        errno.EEXIST, errno.EINVAL, errno.EMLINK, errno.ENOTEMPTY,
    ):  # fmt: skip
        return BadDocument(f"tar: {shown(name)} cannot be made: {os.strerror(code)}")
    return KernelError("extract", code, shown(name))
