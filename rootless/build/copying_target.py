"""Where COPY, ADD and unpacked contexts write: a layer's directory above the layers below it.

Writes a layer as overlayfs would have left it in its upper directory, without a mount: a
directory that is only below is made here with its attributes, a file above another hides it, and
a directory in the place of a file that hid one is opaque.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from rootless.errors import BuildError, StoreError
from rootless.layer import whiteout
from rootless.layer.view import Node, View, set_opaque
from rootless.store.removal import remove_tree

Owner = tuple[int, int]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FICLONE = 0x40049409
# Labels (security.selinux) and trusted.* are the host's, overlayfs's own are the layer's.
_KEPT = ("user.", "security.capability", "system.posix_acl_")
_LEFT_OUT = ("user.overlay.", "user.fuseoverlayfs.", "user.rl.")
_NO_XATTR = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EINVAL, errno.ERANGE, errno.E2BIG)
_SEND = 1 << 30


class Target:
    """The tree of `lower` (topmost first) with `upper` on top, where everything is written.

    `owned` is false where no owner can or shall be set (an unpacked context).  With `record`, an
    owner that is not mapped is noted for the layer's archive.  `epoch_ns` becomes the time of all
    that is written.  Paths are the ones View.resolve() gives.  The caller has set
    the umask to 0 and calls finish() at the end.
    """

    def __init__(
        self,
        upper: str,
        lower: Sequence[str] = (),
        *,
        owned: bool = True,
        record: bool = False,
        epoch_ns: int | None = None,
    ) -> None:
        self.view = View([upper, *lower])
        self.files = 0
        self.size = 0
        self._owned = owned
        self._record = record
        self._epoch_ns = epoch_ns
        self._upper = upper
        self._times: dict[str, int] = {}
        self._ready: dict[str, str] = {"": upper}
        self._nodes: dict[str, Node] = {}
        self._clones = True
        if not os.path.isdir(upper):
            os.mkdir(upper, 0o755)
            if owned and lower:
                self._take_attributes(lower[0], upper)
        self._nodes[""] = self.view.root()

    # What is there.

    def look_up(self, path: str) -> Node | None:
        """What is at `path`, whose directories are no links."""
        if not path:
            return self.view.root()
        above = self._directory_node(_parent(path))
        return None if above is None else self.view.child(above, path.rpartition("/")[2])

    def _directory_node(self, path: str) -> Node | None:
        """The same for a directory, and kept: once it is in the layer, its places stay."""
        above = [path]
        while above[-1] not in self._nodes:
            above.append(_parent(above[-1]))
        node: Node | None = self._nodes[above.pop()]
        for one in reversed(above):
            assert node is not None
            node = self.view.child(node, one.rpartition("/")[2])
            if node is None or not node.is_directory:
                return None
            if one in self._ready:
                self._nodes[one] = node
        return node

    # Directories.

    def make_all(self, path: str, owner: Owner) -> None:
        """The directory `path` with all above it: what is missing is made, 0755.

        Raises BuildError where a file is in the way.
        """
        missing = [path]
        while missing[-1] not in self._ready:
            node = self.look_up(missing[-1])
            if node is not None:
                if not node.is_directory:
                    raise _in_the_way(missing[-1])
                break
            missing.append(_parent(missing[-1]))
        for one in reversed(missing[:-1]):
            real = self.place(one)
            os.mkdir(real, 0o755)
            self._own(real, owner)
            if self._epoch_ns is not None:
                self._times[real] = self._epoch_ns
            self._ready[one] = real

    def ready(self, path: str) -> str:
        """The host path of the existing directory `path` in the layer, made there if need be."""
        above = [path]
        while above[-1] not in self._ready:
            above.append(_parent(above[-1]))
        real = self._ready[above.pop()]
        for one in reversed(above):
            real = f"{real}/{one.rpartition('/')[2]}"
            try:
                os.mkdir(real, 0o700)
            except FileExistsError:
                pass
            else:
                node = self.look_up(one)
                assert node is not None
                below = [place for place in node.places if place != real]
                if below:
                    self._take_attributes(below[0], real)
            self._ready[one] = real
        return real

    def directory(self, path: str) -> tuple[str, bool]:
        """The directory `path`, in one that is there: its host path, and whether it was made.

        Raises BuildError when something else has its name.
        """
        real = self._ready.get(path)
        if real is not None:
            return real, False
        node = self.look_up(path)
        if node is not None:
            if not node.is_directory:
                raise _in_the_way(path)
            return self.ready(path), False
        parent, _, name = path.rpartition("/")
        real = f"{self.ready(parent)}/{name}"
        os.mkdir(real, 0o700)
        self._ready[path] = real
        return real, True

    def clear(self, path: str, *, trees: bool = False) -> bool:
        """Take away what is at `path`, for something else; whether something was.

        Raises BuildError for a directory, unless `trees`.
        """
        node = self.look_up(path)
        if node is None:
            return False
        if node.is_directory and not trees:
            raise BuildError(
                f"cannot replace the directory /{path} with a file",
                remedy="choose another destination, or end it with / to copy into the directory",
                code="RL-BUILD-COPY",
            )
        real = f"{self._upper}/{path}"
        if node.places[0] == real:
            if node.is_directory:
                remove_tree(real)
                self._ready = _without(self._ready, path)
                self._nodes = _without(self._nodes, path)
                self._times = _without(self._times, real)
            else:
                os.unlink(real)
        return True

    def opaque_directory(self, path: str) -> None:
        """Make the directory `path`, which hides one below that a file had replaced."""
        real = self.place(path)
        os.mkdir(real, 0o755)
        set_opaque(real)
        self._ready[path] = real

    # Files and the rest.  Nothing is at their path, and the directory above it is there.

    def file(
        self,
        path: str,
        content: "int | bytes | Iterator[bytes | memoryview]",
        mode: int,
        owner: Owner,
        mtime_ns: int | None,
        xattrs: Mapping[str, bytes] | None = None,
    ) -> str:
        """A file with the bytes of a descriptor or of `content`; its host path."""
        real = self.place(path)
        fd = os.open(real, _CREATE, 0o600)
        try:
            if isinstance(content, int):
                self._copy(content, fd)
            elif isinstance(content, bytes):
                _write(fd, content)
            else:
                for piece in content:
                    _write(fd, piece)
            self.size += os.fstat(fd).st_size
            self.attributes(fd, mode, owner, mtime_ns, xattrs)
        finally:
            os.close(fd)
        self.files += 1
        return real

    def place(self, path: str) -> str:
        """The host path where `path` is to be made."""
        parent, _, name = path.rpartition("/")
        return f"{self.ready(parent)}/{name}"

    def attributes(
        self,
        where: int,
        mode: int,
        owner: Owner,
        mtime_ns: int | None,
        xattrs: Mapping[str, bytes] | None = None,
    ) -> None:
        """Owner, mode, attributes and time of the open file `where`."""
        self._own(where, owner)
        for name, value in (xattrs or {}).items():
            try:
                os.setxattr(where, name, value)
            except OSError as e:
                if e.errno not in _NO_XATTR:
                    raise
        os.fchmod(where, mode)  # after the change of owner, which takes set-ID bits away
        time = self._time(mtime_ns)
        if time is not None:
            os.utime(where, ns=(time, time))

    def directory_attributes(
        self,
        real: str,
        mode: int,
        owner: Owner,
        mtime_ns: int | None,
        xattrs: Mapping[str, bytes] | None = None,
    ) -> None:
        """The same for a directory of the layer; its time is set by finish()."""
        fd = os.open(real, _DIRECTORY)
        try:
            self.attributes(fd, mode, owner, None, xattrs)
        finally:
            os.close(fd)
        self.directory_time(real, mtime_ns)

    def directory_time(self, real: str, mtime_ns: int | None) -> None:
        time = self._time(mtime_ns)
        if time is not None:
            self._times[real] = time

    def symlink(self, path: str, text: "str | bytes", owner: Owner, mtime_ns: int | None) -> None:
        real = self.place(path)
        os.symlink(text, os.fsencode(real) if isinstance(text, bytes) else real)
        self._node(real, owner, mtime_ns)

    def fifo(self, path: str, mode: int, owner: Owner, mtime_ns: int | None) -> None:
        real = self.place(path)
        os.mkfifo(real, 0o600)
        self._node(real, owner, mtime_ns)
        os.chmod(real, mode)

    def hard_link(self, real: str, path: str) -> None:
        """Another name for a file of this layer."""
        os.link(real, self.place(path), follow_symlinks=False)
        self.files += 1

    def finish(self) -> None:
        """The times of directories, which filling them changes."""
        for real, time in self._times.items():
            os.utime(real, ns=(time, time), follow_symlinks=False)

    def _node(self, real: str, owner: Owner, mtime_ns: int | None) -> None:
        self._own(real, owner)
        time = self._time(mtime_ns)
        if time is not None:
            os.utime(real, ns=(time, time), follow_symlinks=False)

    def _time(self, mtime_ns: int | None) -> int | None:
        return mtime_ns if self._epoch_ns is None else self._epoch_ns

    def _own(self, where: "int | str", owner: Owner) -> None:
        if not self._owned:
            return
        try:
            if isinstance(where, int):
                os.fchown(where, *owner)
            else:
                os.chown(where, *owner, follow_symlinks=False)
        except OSError as e:
            if e.errno not in (errno.EINVAL, errno.EPERM):
                raise
            if self._record and _record_owner(where, owner):
                return
            raise BuildError(
                f"cannot give files to {owner[0]}:{owner[1]}: the ID is not mapped here",
                remedy="ask the admin for (more) subordinate IDs: rl doctor; or leave --chown out",
                code="RL-BUILD-OWNER",
            ) from e

    def _take_attributes(self, source: str, real: str) -> None:
        """What overlayfs copies up with a directory; its time is kept as it was."""
        # A layer may be a link to one of another store.
        source_fd = os.open(source, _DIRECTORY & ~os.O_NOFOLLOW)
        try:
            status = os.fstat(source_fd)
            owner = owner_of(source_fd, status)
            xattrs = read_xattrs(source_fd)
        finally:
            os.close(source_fd)
        fd = os.open(real, _DIRECTORY)
        try:
            self.attributes(fd, stat.S_IMODE(status.st_mode), owner, None, xattrs)
        finally:
            os.close(fd)
        self._times[real] = status.st_mtime_ns

    def _copy(self, source_fd: int, fd: int) -> None:
        """The bytes, as shared blocks where the file system can."""
        if self._clones:
            try:
                fcntl.ioctl(fd, _FICLONE, source_fd)
                return
            except OSError as e:
                if e.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise
                self._clones = False
        status = os.fstat(source_fd)
        if status.st_blocks * 512 < status.st_size:
            _copy_sparse(source_fd, fd, status.st_size)
            return
        while os.sendfile(fd, source_fd, None, _SEND):
            pass


def _copy_sparse(source_fd: int, fd: int, size: int) -> None:
    """Data as data and holes as holes: lseek(2), SEEK_DATA."""
    start = 0
    while True:
        try:
            start = os.lseek(source_fd, start, os.SEEK_DATA)
        except OSError as e:
            if e.errno != errno.ENXIO:
                raise
            break  # nothing but a hole is left
        end = os.lseek(source_fd, start, os.SEEK_HOLE)
        os.lseek(fd, start, os.SEEK_SET)
        while start < end:
            sent = os.sendfile(fd, source_fd, start, min(end - start, _SEND))
            if not sent:
                break
            start += sent
        start = end
    os.ftruncate(fd, size)


def owner_of(where: "int | str", status: os.stat_result) -> Owner:
    """Whose a file of a layer is, also where that could only be noted."""
    if not (status.st_uid or status.st_gid) and not stat.S_ISLNK(status.st_mode):
        try:
            noted = whiteout.recorded_owner(os.getxattr(where, whiteout.OWNER_XATTR))
        except OSError:
            noted = None
        if noted is not None:
            return noted
    return status.st_uid, status.st_gid


def _record_owner(where: "int | str", owner: Owner) -> bool:
    """Note an owner that cannot be given; whether that worked."""
    value = b"%d:%d" % owner
    if isinstance(where, str):
        kind = stat.S_IFMT(os.lstat(where).st_mode)
        if kind not in (stat.S_IFREG, stat.S_IFDIR):
            return True  # links and pipes take no such attribute; nobody asks whose they are
    try:
        os.setxattr(where, whiteout.OWNER_XATTR, value)
    except OSError as e:
        if e.errno not in _NO_XATTR:
            raise
        return False
    return True


def read_xattrs(where: "int | str") -> dict[str, bytes]:
    """The extended attributes that a layer carries."""
    found: dict[str, bytes] = {}
    follow = {} if isinstance(where, int) else {"follow_symlinks": False}
    try:
        names = os.listxattr(where, **follow)
        for name in names:
            if name.startswith(_KEPT) and not name.startswith(_LEFT_OUT):
                found[name] = os.getxattr(where, name, **follow)
    except OSError:
        pass  # the file system has none
    return found


def storage_failure(e: OSError, what: str) -> StoreError | BuildError:
    """The error for an OSError met while something was copied."""
    if e.errno in (errno.ENOSPC, errno.EDQUOT):
        full = "your quota is used up" if e.errno == errno.EDQUOT else "the disk is full"
        return StoreError(
            f"cannot {what}: {full}",
            remedy="free some space (rl rmi, rl rm) or set RL_STORE to a larger file system",
            code="RL-STORE-FULL",
        )
    name = f" ({os.fsdecode(e.filename)})" if isinstance(e.filename, (str, bytes)) else ""
    return BuildError(
        f"cannot {what}: {e.strerror or e}{name}",
        remedy="check that your user may read it: .dockerignore can leave it out"
        if e.errno in (errno.EACCES, errno.EPERM)
        else "did it change while it was read? try again",
        code="RL-BUILD-COPY",
    )


Known = TypeVar("Known")


def _without(known: dict[str, Known], path: str) -> dict[str, Known]:
    """`known` but for `path` and what is in it."""
    inside = f"{path}/"
    return {k: v for k, v in known.items() if k != path and not k.startswith(inside)}


def _write(fd: int, data: "bytes | memoryview") -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _in_the_way(path: str) -> BuildError:
    return BuildError(
        f"cannot copy a directory to /{path}, which is no directory",
        remedy="choose another destination",
        code="RL-BUILD-COPY",
    )
