"""The directories of a layer in the making, by descriptor.  Runs in the worker.

A path is opened with openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS): symlinks lead where they
would lead below a root directory, and never out of it.  Descriptors are kept, since members come
directory by directory.
"""

import errno
import os
import stat

from rootless.errors import BadDocument, KernelError, StoreError
from rootless.layer import whiteout
from rootless.layer.tarstream import shown
from rootless.linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_RESOLVE = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
_NO_SYMLINKS = _RESOLVE | syscalls.RESOLVE_NO_SYMLINKS
_DIRECTORY = os.O_PATH | os.O_DIRECTORY
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR)  # ENOTDIR: a whiteout, or a file, as a parent
_CACHE_MAX = 128  # open directories

# What new() found in the place of the directory.
NOTHING, DIRECTORY, OTHER = range(3)


class Directories:
    """Below `root_fd`.  Paths are relative, clean() and, but for open() and look_up(), real.

    `clock` is the number of the member that is being placed: what is known of a path holds until
    a directory above it is removed.  What is no `layer` has nothing below to hide.
    """

    def __init__(self, root_fd: int, *, layer: bool) -> None:
        self.clock = 0
        self._layer = layer
        self._root = root_fd
        self._open: dict[bytes, tuple[int, bytes]] = {}
        self._kept = -1  # was in _open
        self._opaque: dict[bytes, int] = {}  # and when it was made so
        self._removed: dict[bytes, int] = {}  # and when

    def open(self, path: bytes, *, make: bool = True) -> tuple[int, bytes]:
        """A descriptor (O_PATH) of the directory `path`, made if it is not there.

        And its real path, without symlinks.  The descriptor is kept here; it holds until the next
        member.  Raises KernelError.
        """
        found = self._open.get(path)
        if found is not None:
            return found
        if not path:
            return self._root, b""
        if len(self._open) >= _CACHE_MAX:
            self.forget()
        try:
            found = self.look_up(path)
        except KernelError as e:
            if e.errno not in _NOT_THERE or not make:
                raise
            self._make_parents(path)
            found = self.look_up(path)
        self._open[path] = found
        return found

    def look_up(self, path: bytes) -> tuple[int, bytes]:
        """open() of what is there, with a descriptor of the caller's own."""
        path = path or b"."
        try:
            return syscalls.openat2(self._root, path, _DIRECTORY, 0, _NO_SYMLINKS), path
        except KernelError as e:
            if e.errno != errno.ELOOP:
                raise
        fd = syscalls.openat2(self._root, path, _DIRECTORY, 0, _RESOLVE)
        real, top = (os.readlink(b"/proc/self/fd/%d" % one) for one in (fd, self._root))
        return fd, real[len(top) + 1 :]

    def _make_parents(self, path: bytes) -> None:
        """Make `path` and what is missing above it: not every archive names its directories.

        They are root's, 0755.  Begins below the last one that is there: a path has up to 2047.
        """
        missing: list[bytes] = []
        at, real = -1, b""
        while path and at < 0:
            try:
                at, real = self.look_up(path)
            except KernelError as e:
                if e.errno not in _NOT_THERE:
                    raise
                path, _, name = path.rpartition(b"/")
                missing.append(name)
        at = os.dup(self._root) if at < 0 else at
        try:
            for name in reversed(missing):
                path = below(path, name)
                self._make_parent(at, name, below(real, name))
                os.close(at)
                at = -1
                at, real = self.look_up(path)
        finally:
            if at >= 0:
                os.close(at)

    def _make_parent(self, at: int, name: bytes, path: bytes) -> None:
        try:
            target = os.readlink(name, dir_fd=at)
        except OSError:  # no symlink, or nothing
            if self._is_other_than_whiteout(at, name):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
            if self.new(at, name, path) == OTHER:
                self.make_opaque(at, name, path)
            return
        # A symlink to a directory that a layer below may have: it is where the link says.
        above = b"" if target.startswith(b"/") else path.rpartition(b"/")[0] + b"/"
        self.open(clean(b"/" + above + target))

    def _is_other_than_whiteout(self, at: int, name: bytes) -> bool:
        try:
            return not stat.S_ISCHR(os.lstat(name, dir_fd=at).st_mode)
        except FileNotFoundError:
            return False

    def new(self, at: int, name: bytes, path: bytes) -> int:
        """Make the directory `path`, `name` in `at`.

        Says what was there: NOTHING, DIRECTORY, OTHER.
        """
        try:
            os.mkdir(name, 0o755, dir_fd=at)
            return NOTHING
        except FileExistsError:
            if stat.S_ISDIR(os.lstat(name, dir_fd=at).st_mode):
                return DIRECTORY
        self.make_way(at, name, path)
        os.mkdir(name, 0o755, dir_fd=at)
        return OTHER

    def forget(self, in_use: int = -1) -> None:
        """Drop the cached directories: the path of one may lead elsewhere now, or nowhere.

        That of `in_use` stays open until the next time.
        """
        kept = {self._kept, *(fd for fd, _ in self._open.values())}
        for fd in kept - {in_use, -1}:
            os.close(fd)
        self._kept = in_use if in_use in kept else -1
        self._open.clear()

    def make_way(self, at: int, name: bytes, path: bytes) -> None:
        """Remove what an earlier member put at `path`, `name` in `at`."""
        mode = os.lstat(name, dir_fd=at).st_mode
        if stat.S_ISDIR(mode) or stat.S_ISLNK(mode):
            self.forget(in_use=at)
        if stat.S_ISDIR(mode):
            _remove_tree(at, name)
            self._removed[path] = self.clock
        else:
            os.unlink(name, dir_fd=at)

    def making(self, at: int, name: bytes, path: bytes, make: "Callable[[], object]") -> None:
        """make() `path`, `name` in `at`, in the place of what is there."""
        try:
            make()
        except FileExistsError:
            self.make_way(at, name, path)
            make()

    def is_current(self, path: bytes, when: int) -> bool:
        """Whether what was known of `path` at that time holds."""
        while self._removed and path:
            if self._removed.get(path, -1) >= when:
                return False
            path = path.rpartition(b"/")[0]
        return True

    def make_opaque(self, at: int, name: bytes, path: bytes) -> None:
        """Hide what layers below have in the directory `path`, `name` in `at`."""
        if not self._layer:
            return
        fd = os.open(name, _OPEN_DIRECTORY, dir_fd=at)
        try:
            _set_opaque(fd)
        finally:
            os.close(fd)
        self._opaque[path] = self.clock

    def in_opaque(self, path: bytes) -> bool:
        """Whether that holds for `path` or a directory above it."""
        while self._opaque:
            when = self._opaque.get(path)
            if when is not None and self.is_current(path, when):
                return True
            if not path:
                break
            path = path.rpartition(b"/")[0]
        return False


def below(path: bytes, name: bytes) -> bytes:
    """The path of `name` in the directory `path`."""
    return path + b"/" + name if path else name


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
