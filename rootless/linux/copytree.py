"""Copy directories with all that a container can see of them: owners, modes, links, xattrs, times.

By descriptors, and symbolic links are never followed.  Device nodes are left out: they cannot be
made without root, but for overlayfs's whiteout, character device 0/0.
"""

import errno
import os
import stat

from rootless.linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Owner = Callable[[int, int], tuple[int, int]]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPAQUE = "user.overlay.opaque"
_CAPABILITY = "security.capability"
_FICLONE = 0x40049409


class Copy:
    """One copy of a tree, into which somebody may put links while it runs: none is followed.

    `overlay` says what becomes of overlayfs's marks: "drop" leaves them out (the source is a
    mounted overlay), "keep" copies them (a layer as it is), "apply" does what they say to what is
    at the target already (layer upon layer).  `owner` maps (UID, GID).  With `merge` a file takes
    the place of another one; a directory and a file never take each other's (EISDIR, ENOTDIR).
    Attributes that begin like one of `strip` are left out.  `record` names an attribute that notes
    the owner "UID:GID" of a file, in place of a chown: for where one ID alone is mapped.
    """

    def __init__(
        self,
        *,
        overlay: str = "drop",
        owner: "Owner | None" = None,
        merge: bool = False,
        strip: "tuple[str, ...]" = (),
        record: str = "",
    ) -> None:
        self._overlay = overlay
        self._owner = owner
        self._merge = merge
        self._strip = strip if overlay == "keep" else ("user.overlay.", *strip)
        self._record = record
        self._links: dict[tuple[int, int], str] = {}
        self._top_fd = -1
        self.current = ""  # what is being copied, for messages
        self.copied = 0  # bytes that could not be shared with the source
        self.shared = 0  # bytes that are, by reflink
        self.skipped_devices = 0

    def directory(self, source_fd: int, target_fd: int) -> None:
        """Copy content and attributes of one directory onto another.  Raises OSError.

        Hard links inside the tree stay hard links.
        """
        self._links.clear()
        self._top_fd = target_fd
        self._content(source_fd, target_fd, "")
        self.attributes(source_fd, target_fd)

    def entry(self, source_fd: int, name: str, target_fd: int, new_name: str) -> None:
        """Copy the entry `name` of one directory into another, as `new_name`.  Raises OSError."""
        self._links.clear()
        self._top_fd = target_fd
        self._entry(source_fd, target_fd, name, "", new_name)

    def file(self, source_fd: int, target_fd: int, name: str) -> None:
        """Copy the open regular file `source_fd` into a directory, as `name`.  Raises OSError."""
        self.current = name
        if self._merge:
            _make_way(target_fd, name)
        self._data(source_fd, target_fd, name)

    def _content(self, source_fd: int, target_fd: int, prefix: str) -> None:
        if self._overlay == "apply" and _is_opaque(source_fd):
            for name in os.listdir(target_fd):
                _remove(target_fd, name)
        for name in os.listdir(source_fd):
            self._entry(source_fd, target_fd, name, prefix)

    def _entry(
        self, source_fd: int, target_fd: int, name: str, prefix: str, new_name: str = ""
    ) -> None:
        new_name = new_name or name
        path = self.current = f"{prefix}{new_name}"
        status = os.stat(name, dir_fd=source_fd, follow_symlinks=False)
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFDIR:
            self._subdirectory(source_fd, target_fd, name, new_name, path)
            return
        if self._overlay == "apply":
            _remove(target_fd, new_name)
        if kind == stat.S_IFCHR and status.st_rdev == 0:
            if self._overlay == "keep":
                os.mknod(new_name, status.st_mode, os.makedev(0, 0), dir_fd=target_fd)
            return
        if kind in (stat.S_IFCHR, stat.S_IFBLK):
            self.skipped_devices += 1
            return
        if self._merge:
            _make_way(target_fd, new_name)
        key = (status.st_dev, status.st_ino)
        if status.st_nlink > 1:
            if key in self._links:
                self._link(self._links[key], target_fd, new_name)
                return
            self._links[key] = path
        if kind == stat.S_IFREG:
            self._file(source_fd, target_fd, name, new_name)
            return
        if kind == stat.S_IFLNK:
            os.symlink(os.readlink(name, dir_fd=source_fd), new_name, dir_fd=target_fd)
        else:
            os.mknod(new_name, status.st_mode, dir_fd=target_fd)
        self._own(new_name, target_fd, status)
        times = (status.st_atime_ns, status.st_mtime_ns)
        os.utime(new_name, ns=times, dir_fd=target_fd, follow_symlinks=False)

    def _link(self, first: str, target_fd: int, name: str) -> None:
        above, _, last = first.rpartition("/")
        resolve = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS
        flags = os.O_PATH | os.O_DIRECTORY
        fd = syscalls.openat2(self._top_fd, above or ".", flags, 0, resolve)
        try:
            os.link(last, name, src_dir_fd=fd, dst_dir_fd=target_fd, follow_symlinks=False)
        finally:
            os.close(fd)

    def _subdirectory(
        self, source_fd: int, target_fd: int, name: str, new_name: str, path: str
    ) -> None:
        try:
            os.mkdir(new_name, 0o700, dir_fd=target_fd)
        except FileExistsError:
            mode = os.stat(new_name, dir_fd=target_fd, follow_symlinks=False).st_mode
            if not stat.S_ISDIR(mode):
                if self._merge:
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
                _remove(target_fd, new_name)
                os.mkdir(new_name, 0o700, dir_fd=target_fd)
        inner_source = os.open(name, _DIRECTORY, dir_fd=source_fd)
        inner_target = -1
        try:
            inner_target = os.open(new_name, _DIRECTORY, dir_fd=target_fd)
            self._content(inner_source, inner_target, f"{path}/")
            self.current = path
            self.attributes(inner_source, inner_target)
        finally:
            os.close(inner_source)
            if inner_target >= 0:
                os.close(inner_target)

    def _file(self, source_dir: int, target_dir: int, name: str, new_name: str) -> None:
        # A FIFO may have the name by now, and opening one waits for a writer.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        source_fd = os.open(name, flags, dir_fd=source_dir)
        try:
            if stat.S_ISREG(os.fstat(source_fd).st_mode):
                self._data(source_fd, target_dir, new_name)
        finally:
            os.close(source_fd)

    def _data(self, source_fd: int, target_dir: int, name: str) -> None:
        status = os.fstat(source_fd)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        target_fd = os.open(name, flags, 0o600, dir_fd=target_dir)
        try:
            if _clone_or_copy(source_fd, target_fd, status):
                self.shared += status.st_size
            else:
                self.copied += status.st_size
            self.attributes(source_fd, target_fd)
        finally:
            os.close(target_fd)

    def _own(self, name: str, target_fd: int, status: os.stat_result) -> None:
        if self._record:
            return  # links and nodes hold no user.* attributes: xattr(7)
        uid, gid = self._ids(status)
        os.chown(name, uid, gid, dir_fd=target_fd, follow_symlinks=False)

    def _ids(self, status: os.stat_result) -> tuple[int, int]:
        if self._owner is None:
            return status.st_uid, status.st_gid
        return self._owner(status.st_uid, status.st_gid)

    def attributes(self, source_fd: int, target_fd: int) -> None:
        """Give one directory or file the owner, mode, xattrs and times of another."""
        status = os.fstat(source_fd)
        uid, gid = self._ids(status)
        if not self._record:
            os.fchown(target_fd, uid, gid)
        for name in os.listxattr(source_fd):
            if name.startswith(self._strip):
                continue
            try:
                value = os.getxattr(source_fd, name)
                if name == _CAPABILITY and self._owner is not None:
                    value = _of_root(value, self._owner)
                os.setxattr(target_fd, name, value)
            except OSError:
                pass  # the target's file system may have no such attributes
        if self._record and (uid or gid):
            os.setxattr(target_fd, self._record, b"%d:%d" % (uid, gid))
        # After the change of owner, which takes the set-user-ID bit away.
        os.fchmod(target_fd, stat.S_IMODE(status.st_mode))
        os.utime(target_fd, ns=(status.st_atime_ns, status.st_mtime_ns))


def _of_root(value: bytes, owner: "Owner") -> bytes:
    """A file capability for the root that `owner` makes of its own: capabilities(7), "File
    capability versions".  Revision 2 is of root here, 3 says at its end whose root's it is."""
    words, root = value[4:20], int.from_bytes(value[20:24], "little")
    root, _ = owner(root, 0)
    flags = value[0:3]
    return flags + b"\3" + words + root.to_bytes(4, "little") if root else flags + b"\2" + words


def _clone_or_copy(source_fd: int, target_fd: int, status: os.stat_result) -> bool:
    """Copy a file's bytes: shared blocks where the file system can (FICLONE), True then.

    `status` is the source's; holes stay holes.
    """
    import fcntl

    try:
        fcntl.ioctl(target_fd, _FICLONE, source_fd)
        return True
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
    if status.st_blocks * 512 < status.st_size:
        _copy_pieces(source_fd, target_fd, status.st_size)
        return False
    while os.sendfile(target_fd, source_fd, None, 1 << 30):
        pass
    return False


def _copy_pieces(source_fd: int, target_fd: int, size: int) -> None:
    """The data of a file with holes: lseek(2), SEEK_DATA and SEEK_HOLE."""
    end = 0
    while end < size:
        try:
            start = os.lseek(source_fd, end, os.SEEK_DATA)
            end = os.lseek(source_fd, start, os.SEEK_HOLE)
        except OSError as e:
            if e.errno == errno.ENXIO:  # a hole up to the end
                break
            raise
        os.lseek(target_fd, start, os.SEEK_SET)
        while start < end:
            sent = os.sendfile(target_fd, source_fd, start, end - start)
            if not sent:
                break
            start += sent
    os.ftruncate(target_fd, size)


def _is_opaque(fd: int) -> bool:
    try:
        return os.getxattr(fd, _OPAQUE) == b"y"
    except OSError:
        return False


def _make_way(directory_fd: int, name: str) -> None:
    """Remove a file, for another one; a directory is none: IsADirectoryError."""
    try:
        mode = os.stat(name, dir_fd=directory_fd, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    os.unlink(name, dir_fd=directory_fd)


def _remove(directory_fd: int, name: str) -> None:
    """Remove an entry, a directory with all that is in it; nothing there is fine."""
    try:
        os.unlink(name, dir_fd=directory_fd)
        return
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        pass
    fd = os.open(name, _DIRECTORY, dir_fd=directory_fd)
    try:
        for child in os.listdir(fd):
            _remove(fd, child)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=directory_fd)
