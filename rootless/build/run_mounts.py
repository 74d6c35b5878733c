"""RUN --mount: what the stage mounts for it, as operations like those of rootless.linux.mount.

They run between fork and exec, as root of the container's user namespace, before pivot_root(2).
What must not reach a disk (secrets, heredoc scripts) lives on a tmpfs in the container's own mount
namespace, `private`, and ends with it.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Sequence

from rootless.errors import BuildError, KernelError
from rootless.linux import mount, syscalls

SAFE = syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV
READ_ONLY = syscalls.MOUNT_ATTR_RDONLY


class Private:
    """A tmpfs on the host's directory `path`, in this mount namespace alone."""

    target = ""

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self) -> str:
        return f"mount tmpfs on {self.path}, for what must not reach a disk"

    def execute(self, root: mount.Root) -> None:
        syscalls.mount("tmpfs", self.path, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV,
                       "mode=0755")  # fmt: skip


class MemoryFile:
    """A file with `data` at `target`; `place` is where it is kept, on the Private tmpfs."""

    def __init__(
        self, place: str, data: bytes, target: str, *, mode: int, uid: int = 0, gid: int = 0
    ) -> None:
        self.place = place
        self.data = data
        self.target = target
        self.mode = mode
        self.owner = (uid, gid)

    def describe(self) -> str:
        return f"mount a file in memory on {self.target}"

    def execute(self, root: mount.Root) -> None:
        fd = os.open(self.place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(self.data)
            os.fchown(fd, *self.owner)
            os.fchmod(fd, self.mode)
        mount.Bind(self.place, self.target, SAFE | READ_ONLY).execute(root)


class FromLayers:
    """What `source` is in the tree of `lower` (topmost first), bound to `target`.

    It is seen through an overlay, so that what RUN writes there is lost at its end.  `scratch` is
    a directory for it below `base` (the store); both relative paths of `lower` and absolute ones.
    `copied`: the tree is a copy of its own at `place` already, on hosts without overlayfs.
    """

    def __init__(
        self,
        lower: Sequence[str],
        source: str,
        target: str,
        *,
        base: str,
        scratch: str,
        place: str,
        read_only: bool,
        copied: bool = False,
    ) -> None:
        self.copied = copied
        self.lower = list(lower)
        self.source = source
        self.target = target
        self.base = base
        self.scratch = scratch
        self.place = place
        self.read_only = read_only

    def describe(self) -> str:
        return f"bind {self.source} of an overlay of {len(self.lower)} layers on {self.target}"

    def execute(self, root: mount.Root) -> None:
        source_fd = self.open_source()
        try:
            flags = syscalls.OPEN_TREE_CLONE | syscalls.AT_EMPTY_PATH
            mount_fd = syscalls.open_tree(source_fd, "", flags)
            directory = stat.S_ISDIR(os.fstat(source_fd).st_mode)
        finally:
            os.close(source_fd)
        attributes = SAFE | (READ_ONLY if self.read_only else 0)
        syscalls.mount_setattr(mount_fd, set_=attributes)
        target_fd = root.make(self.target, directory=directory)
        syscalls.move_mount(mount_fd, target_fd)
        os.close(target_fd)
        os.close(mount_fd)

    def open_source(self) -> int:
        """Mount the tree, and a descriptor of what is asked for in it."""
        if not self.copied:
            self._mount()
        tree = mount.Root(self.place)
        try:
            return tree.open(self.source)
        except KernelError as e:
            if e.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise
            raise BuildError(
                f"--mount: {self.source} is not there",
                remedy="check the path in source=, and .dockerignore",
                code="RL-BUILD-MOUNT-SOURCE",
            ) from e
        finally:
            os.close(tree.fd)

    def _mount(self) -> None:
        os.mkdir(self.place, 0o755)
        os.mkdir(f"{self.place}.links", 0o755)
        for name in ("upper", "work", "empty"):
            # They are there when a shell follows the failed command (--shell-on-fail).
            os.makedirs(f"{self.base}/{self.scratch}/{name}", 0o755, exist_ok=True)
        mount.overlay(
            self.lower or [f"{self.scratch}/empty"],
            self.place,
            upper=f"{self.scratch}/upper",
            work=f"{self.scratch}/work",
            base=self.base,
            links=f"{self.place}.links",
        )


class CacheDirectory:
    """A directory that stays from build to build, at `target`."""

    def __init__(
        self,
        directory: str,
        target: str,
        *,
        mode: int,
        uid: int,
        gid: int,
        read_only: bool,
        content: FromLayers | None = None,
    ) -> None:
        self.directory = directory
        self.target = target
        self.mode = mode
        self.owner = (uid, gid)
        self.read_only = read_only
        self.content = content  # what it starts with

    def describe(self) -> str:
        return f"bind the cache {self.directory} on {self.target}"

    def execute(self, root: mount.Root) -> None:
        data = f"{self.directory}/data"
        fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)  # against another build that makes it now
            if not os.path.isdir(data):
                self._make(data)
        finally:
            os.close(fd)
        mount.Bind(data, self.target, SAFE | (READ_ONLY if self.read_only else 0)).execute(root)

    def _make(self, data: str) -> None:
        made = f"{self.directory}/.new-{os.urandom(4).hex()}"
        os.mkdir(made, 0o700)
        if self.content is not None:
            from rootless.linux import copytree

            source_fd = self.content.open_source()
            inner_fd = os.open(f"/proc/self/fd/{source_fd}", os.O_RDONLY | os.O_DIRECTORY)
            made_fd = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
            copytree.Copy().directory(inner_fd, made_fd)
            for one in (source_fd, inner_fd, made_fd):
                os.close(one)
        os.chown(made, *self.owner)
        os.chmod(made, self.mode)
        os.rename(made, data)


def tmpfs(target: str, size: int) -> mount.Filesystem:
    options = ["mode=1777"] + ([f"size={size}"] if size else [])
    return mount.Filesystem("tmpfs", target, options, SAFE)


class Socket:
    """The socket `path` of the host at `target`, for this user of the container."""

    def __init__(self, path: str, target: str, *, mode: int, uid: int, gid: int) -> None:
        self.path = path
        self.target = target
        self.mode = mode
        self.owner = (uid, gid)

    def describe(self) -> str:
        return f"bind the socket {self.path} on {self.target}"

    def execute(self, root: mount.Root) -> None:
        os.chmod(self.path, self.mode)
        os.chown(self.path, *self.owner)
        mount.Bind(self.path, self.target).execute(root)
