"""RUN --mount: what the stage mounts for it, as operations like those of rootless.linux.mount.

They run between fork and exec, as root of the container's user namespace, before pivot_root(2).
What must not reach a disk (secrets, heredoc scripts) lives on a tmpfs in the container's own mount
namespace, `private`, and ends with it.
"""

import fcntl
import os

from rootless.linux import mount, syscalls
from rootless.linux.from_layers import SAFE, FromLayers

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
