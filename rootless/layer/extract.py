"""A tar stream onto a directory, as a layer for overlayfs.  Runs in the worker.

Nothing outside the directory is touched, whatever the archive says: a member's parent is opened
as Docker's chroot would resolve it (layer/directories.py), and all else is done by that descriptor
and one name, never following a symlink there.

Members count in their order: a later one takes the place of an earlier one, and a directory that
takes the place of something else is opaque, since that had hidden what is below.  Whiteouts are
about the layers below, wherever they stand (image-spec layer.md).
"""

import errno
import os
import stat

from rootless.errors import BadDocument, KernelError, StoreError
from rootless.layer import directories, tarstream, whiteout
from rootless.layer.attributes import Attributes, times_ns
from rootless.layer.directories import Directories, below, clean
from rootless.layer.tarstream import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.layer.tarstream import Member, TarReader

    WriteData = Callable[[int, Member, TarReader], None]

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEVICES = frozenset((tarstream.CHARACTER, tarstream.BLOCK_DEVICE))
_DEVICES_NAMED = 3  # in what is told of those that were skipped


class Extractor:
    """Puts members below the directory `root_fd`.

    `write_data` writes a file's content (the function below, maybe timed).  `squash` is for files
    whose owners are not mapped: see Attributes.  `size` is the sum of the files' lengths,
    `devices` counts those that were skipped.  In what is no `layer`, whiteouts are files like
    others, nothing is opaque, and the top directory stays as it is.  Names are looked up from the
    directory `below` on, links in them from the root.
    """

    def __init__(
        self,
        root_fd: int,
        *,
        squash: bool,
        write_data: "WriteData",
        layer: bool = True,
        below: bytes = b"",
    ) -> None:
        self.size = 0
        self.entries = 0
        self.devices = 0
        self.device_names: list[bytes] = []
        self.attributes = Attributes(squash=squash)
        self._root = root_fd
        self._write_data = write_data
        self._directories = Directories(root_fd, layer=layer)
        # By path: mode and time, which are set at the end; and the number of the entry.
        self._to_finish: dict[bytes, tuple[int, tuple[int, int], int]] = {}
        self._whiteouts: dict[tuple[bytes, bytes], int] = {}  # directory and name, likewise
        self._layer = layer
        self._below = below
        os.umask(0)
        if layer:
            # A set-group-ID directory above hands its group down; a root directory is root's.
            os.fchown(root_fd, 0, 0)
            os.fchmod(root_fd, 0o755)

    def extract_all(self, reader: "TarReader") -> None:
        """Every member of the archive, then what has to be done last."""
        try:
            for member in reader.members():
                self.entries += 1
                self._directories.clock = self.entries
                try:
                    self._extract(member, reader)
                except (OSError, KernelError) as e:
                    raise _failure(e.errno or 0, member.name) from e
            reader.drain()
            self._finish()
        finally:
            self._directories.forget()

    def _extract(self, member: "Member", reader: "TarReader") -> None:
        path = clean(member.name)
        if not path:
            if not self._below:
                self._root_directory(member)
            return
        if self._below:
            path = self._below + b"/" + path
        parent, _, name = path.rpartition(b"/")
        if self._layer and name.startswith(whiteout.PREFIX):
            self._whiteout(parent, name, member.mtime_ns)
            return
        kind = member.kind
        if kind in _DEVICES:
            # No mknod without privilege; Docker without root skips it too.
            self.devices += 1
            if len(self.device_names) < _DEVICES_NAMED:
                self.device_names.append(path)
            return
        at, parent = self._directories.open(parent)
        path = below(parent, name)
        if kind == tarstream.REGULAR:
            self._file(at, name, path, member, reader)
        elif kind == tarstream.DIRECTORY:
            self._make_directory(at, name, path, member)
        elif kind == tarstream.SYMLINK:
            self._symlink(at, name, path, member)
        elif kind == tarstream.HARD_LINK:
            self._hard_link(at, name, path, member)
        else:
            mode = member.mode & 0o777
            self._directories.making(at, name, path, lambda: os.mkfifo(name, mode, dir_fd=at))
            self._node_attributes(at, name, member)

    # One kind of member each.

    def _file(
        self, at: int, name: bytes, path: bytes, member: "Member", reader: "TarReader"
    ) -> None:
        mode = member.mode
        try:
            fd = os.open(name, _CREATE, mode & 0o777, dir_fd=at)
        except FileExistsError:
            self._directories.make_way(at, name, path)
            fd = os.open(name, _CREATE, mode & 0o777, dir_fd=at)
        try:
            if member.length:
                self._write_data(fd, member, reader)
            if member.uid or member.gid:
                self.attributes.own(fd, member)
            if mode & 0o7000:  # after the chown, which takes these bits away
                os.fchmod(fd, mode)
            if member.xattrs:
                self.attributes.set_xattrs(fd, member.xattrs)
            os.utime(fd, ns=times_ns(member.mtime_ns))
        finally:
            os.close(fd)
        self.size += member.length

    def _make_directory(self, at: int, name: bytes, path: bytes, member: "Member") -> None:
        was = self._directories.new(at, name, path)
        self._remember_directory(path, member)
        if was == directories.NOTHING and not (member.uid or member.gid or member.xattrs):
            return
        fd = os.open(name, _OPEN_DIRECTORY, dir_fd=at)
        try:
            self.attributes.own(fd, member)
            if member.xattrs:
                self.attributes.set_xattrs(fd, member.xattrs)
        finally:
            os.close(fd)
        if was == directories.OTHER:
            self._directories.make_opaque(at, name, path)

    def _root_directory(self, member: "Member") -> None:
        if member.kind != tarstream.DIRECTORY:
            raise BadDocument("tar: the root directory as something else")
        self.attributes.own(self._root, member)
        if member.xattrs:
            self.attributes.set_xattrs(self._root, member.xattrs)
        self._remember_directory(b"", member)

    def _remember_directory(self, path: bytes, member: "Member") -> None:
        self._to_finish[path] = (member.mode, times_ns(member.mtime_ns), self.entries)

    def _symlink(self, at: int, name: bytes, path: bytes, member: "Member") -> None:
        if not member.link:
            raise BadDocument(f"tar: {shown(member.name)} is a symlink to nothing")
        self._directories.making(at, name, path, lambda: os.symlink(member.link, name, dir_fd=at))
        self._node_attributes(at, name, member)

    def _hard_link(self, at: int, name: bytes, path: bytes, member: "Member") -> None:
        target = clean(member.link)
        if self._below:
            target = self._below + b"/" + target
        above, _, target_name = target.rpartition(b"/")
        if not target_name or target_name.startswith(whiteout.PREFIX):
            raise _not_linkable(member, "no file")
        try:
            target_fd, _ = self._directories.look_up(above)
        except KernelError as e:
            if e.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise
            raise _not_linkable(member, "which the layer does not have") from e
        try:
            status = os.lstat(target_name, dir_fd=target_fd)
            if stat.S_ISDIR(status.st_mode) or stat.S_ISCHR(status.st_mode):
                raise _not_linkable(member, "no file")
            if self._is_same(at, name, status):
                return
            self._directories.making(
                at,
                name,
                path,
                lambda: os.link(
                    target_name, name, src_dir_fd=target_fd, dst_dir_fd=at, follow_symlinks=False
                ),
            )
        except FileNotFoundError as e:
            raise _not_linkable(member, "which the layer does not have") from e
        finally:
            os.close(target_fd)

    def _is_same(self, at: int, name: bytes, status: os.stat_result) -> bool:
        """Whether `name` is that file already: removing it first would lose the target."""
        try:
            there = os.lstat(name, dir_fd=at)
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (status.st_dev, status.st_ino)

    def _node_attributes(self, at: int, name: bytes, member: "Member") -> None:
        """Owner and time of what isn't opened: symlinks and FIFOs."""
        if member.uid or member.gid:
            self.attributes.own_node(at, name, member)
        os.utime(name, ns=times_ns(member.mtime_ns), dir_fd=at, follow_symlinks=False)

    # Whiteouts.

    def _whiteout(self, parent: bytes, name: bytes, mtime_ns: int) -> None:
        kind = whiteout.kind_of(name)
        if kind == whiteout.META:
            return
        at, parent = self._directories.open(parent)
        if kind == whiteout.HIDE_ALL:
            self._directories.make_opaque(at, b".", parent)
            return
        hidden = whiteout.hidden_name(name)
        if hidden is None:
            raise BadDocument(f"tar: the whiteout {shown(name)} hides no name")
        if self._directories.in_opaque(parent):
            return  # all is hidden there already, and overlayfs would list the device
        try:
            os.mknod(hidden, stat.S_IFCHR, os.makedev(0, 0), dir_fd=at)
        except FileExistsError:
            # It applies to what is below (layer.md): what this layer itself brings stays, but a
            # directory of it stops merging with the one below.
            if stat.S_ISDIR(os.lstat(hidden, dir_fd=at).st_mode):
                self._directories.make_opaque(at, hidden, below(parent, hidden))
            return
        # The archive of this layer is to have it again, and to have the same digest.
        os.utime(hidden, ns=times_ns(mtime_ns), dir_fd=at, follow_symlinks=False)
        self._whiteouts[parent, hidden] = self.entries

    def _finish(self) -> None:
        """Modes and times of directories, which filling them would change or forbid."""
        self._directories.forget()
        for (path, name), entry in self._whiteouts.items():
            if self._directories.in_opaque(path) and self._directories.is_current(path, entry):
                self._drop_whiteout(path, name)
        for path, (mode, times, entry) in self._to_finish.items():
            if not self._directories.is_current(path, entry):
                continue
            parent, _, name = path.rpartition(b"/")
            try:
                at, _ = self._directories.open(parent, make=False)
                fd = os.open(name or b".", _OPEN_DIRECTORY, dir_fd=at)
            except (OSError, KernelError):
                continue  # a later member replaced it
            try:
                os.fchmod(fd, mode)
                os.utime(fd, ns=times)
            finally:
                os.close(fd)

    def _drop_whiteout(self, path: bytes, name: bytes) -> None:
        at, _ = self._directories.open(path, make=False)
        try:
            if stat.S_ISCHR(os.lstat(name, dir_fd=at).st_mode):
                os.unlink(name, dir_fd=at)
        except FileNotFoundError:
            pass


def _not_linkable(member: "Member", why: str) -> BadDocument:
    return BadDocument(f"tar: {shown(member.name)} is a hard link to {shown(member.link)}, {why}")


def write_data(fd: int, member: "Member", reader: "TarReader") -> None:
    """The content of a file from the archive into `fd`."""
    if member.sparse is not None:
        _write_sparse(fd, member, reader)
        return
    while piece := reader.piece():
        if os.write(fd, piece) != len(piece):
            raise OSError(errno.ENOSPC, "short write")


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


def _failure(code: int, name: bytes) -> BadDocument | StoreError | KernelError:
    """The error for an errno met while `name` was extracted."""
    if code == errno.EFBIG:
        return BadDocument(f"tar: {shown(name)} is larger than this file system's files can be")
    if code in (errno.ENOSPC, errno.EDQUOT):
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
