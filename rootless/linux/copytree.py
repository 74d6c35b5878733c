"""Copy directories with all that a container can see of them: owners, modes, links, xattrs, times.

By descriptors, and symbolic links are never followed.  Device nodes are left out: they cannot be
made without root, but for overlayfs's whiteout, character device 0/0.
"""

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Owner = Callable[[int, int], tuple[int, int]]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPAQUE = "user.overlay.opaque"
_FICLONE = 0x40049409


class Copy:
    """One copy of a tree.

    `overlay` says what becomes of overlayfs's marks: "drop" leaves them out (the source is a
    mounted overlay), "keep" copies them (a layer as it is), "apply" does what they say to what is
    at the target already (layer upon layer).  `owner` maps (UID, GID).
    """

    def __init__(self, *, overlay: str = "drop", owner: "Owner | None" = None) -> None:
        self._overlay = overlay
        self._owner = owner
        self._links: dict[tuple[int, int], str] = {}
        self._top_fd = -1
        self.copied = 0  # bytes that could not be shared with the source
        self.shared = 0  # bytes that are, by reflink

    def directory(self, source_fd: int, target_fd: int) -> None:
        """Copy content and attributes of one directory onto another.  Raises OSError.

        Hard links inside the tree stay hard links.
        """
        self._links.clear()
        self._top_fd = target_fd
        self._content(source_fd, target_fd, "")
        self._attributes(source_fd, target_fd)

    def _content(self, source_fd: int, target_fd: int, prefix: str) -> None:
        if self._overlay == "apply" and _is_opaque(source_fd):
            for name in os.listdir(target_fd):
                _remove(target_fd, name)
        for name in os.listdir(source_fd):
            self._entry(source_fd, target_fd, name, prefix)

    def _entry(self, source_fd: int, target_fd: int, name: str, prefix: str) -> None:
        status = os.stat(name, dir_fd=source_fd, follow_symlinks=False)
        kind = stat.S_IFMT(status.st_mode)
        path = f"{prefix}{name}"
        if kind == stat.S_IFDIR:
            self._subdirectory(source_fd, target_fd, name, path)
            return
        if self._overlay == "apply":
            _remove(target_fd, name)
        if kind == stat.S_IFCHR and status.st_rdev == 0:
            if self._overlay == "keep":
                os.mknod(name, status.st_mode, os.makedev(0, 0), dir_fd=target_fd)
            return
        if kind in (stat.S_IFCHR, stat.S_IFBLK):
            return
        key = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and key in self._links:
            os.link(
                self._links[key], name, src_dir_fd=self._top_fd, dst_dir_fd=target_fd,
                follow_symlinks=False,
            )  # fmt: skip
            return
        self._links[key] = path
        if kind == stat.S_IFREG:
            self._file(source_fd, target_fd, name)
        elif kind == stat.S_IFLNK:
            os.symlink(os.readlink(name, dir_fd=source_fd), name, dir_fd=target_fd)
            self._own(name, target_fd, status)
        else:
            os.mknod(name, status.st_mode, dir_fd=target_fd)
            self._own(name, target_fd, status)

    def _subdirectory(self, source_fd: int, target_fd: int, name: str, path: str) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=target_fd)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=target_fd, follow_symlinks=False).st_mode):
                _remove(target_fd, name)
                os.mkdir(name, 0o700, dir_fd=target_fd)
        inner_source = os.open(name, _DIRECTORY, dir_fd=source_fd)
        inner_target = os.open(name, _DIRECTORY, dir_fd=target_fd)
        try:
            self._content(inner_source, inner_target, f"{path}/")
            self._attributes(inner_source, inner_target)
        finally:
            os.close(inner_source)
            os.close(inner_target)

    def _file(self, source_dir: int, target_dir: int, name: str) -> None:
        source_fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source_dir)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            target_fd = os.open(name, flags, 0o600, dir_fd=target_dir)
            try:
                size = os.fstat(source_fd).st_size
                if clone_or_copy(source_fd, target_fd):
                    self.shared += size
                else:
                    self.copied += size
                self._attributes(source_fd, target_fd)
            finally:
                os.close(target_fd)
        finally:
            os.close(source_fd)

    def _own(self, name: str, target_fd: int, status: os.stat_result) -> None:
        uid, gid = self._ids(status)
        os.chown(name, uid, gid, dir_fd=target_fd, follow_symlinks=False)

    def _ids(self, status: os.stat_result) -> tuple[int, int]:
        if self._owner is None:
            return status.st_uid, status.st_gid
        return self._owner(status.st_uid, status.st_gid)

    def _attributes(self, source_fd: int, target_fd: int) -> None:
        status = os.fstat(source_fd)
        os.fchown(target_fd, *self._ids(status))
        for name in os.listxattr(source_fd):
            if name.startswith("user.overlay.") and self._overlay != "keep":
                continue
            try:
                os.setxattr(target_fd, name, os.getxattr(source_fd, name))
            except OSError:
                pass  # the target's file system may have no such attributes
        # After the change of owner, which takes the set-user-ID bit away.
        os.fchmod(target_fd, stat.S_IMODE(status.st_mode))
        os.utime(target_fd, ns=(status.st_atime_ns, status.st_mtime_ns))


def clone_or_copy(source_fd: int, target_fd: int) -> bool:
    """Copy a file's bytes: shared blocks where the file system can (FICLONE), True then."""
    import fcntl

    try:
        fcntl.ioctl(target_fd, _FICLONE, source_fd)
        return True
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
    while os.sendfile(target_fd, source_fd, None, 1 << 30):
        pass
    return False


def _is_opaque(fd: int) -> bool:
    try:
        return os.getxattr(fd, _OPAQUE) == b"y"
    except OSError:
        return False


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
