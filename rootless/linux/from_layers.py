"""A mount of what is in a stack of layers, other than the container's own.

Of --mount type=image, and of the RUN --mount of a build that reads a stage, an image or a context.
"""

import errno
import os
import stat

from rootless.errors import KernelError, RlError
from rootless.linux import mount, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SAFE = syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV


class FromLayers:
    """What `source` is in the tree of `lower` (topmost first), bound to `target`.

    `scratch` is a directory for its overlay below `base` (the store); both relative paths of
    `lower` and absolute ones.  It gets an upper directory, so that what is written there does not
    reach the layers; with `read_only` nothing is.  `copied`: the tree is a copy of its own at
    `place` already.  `missing` is raised when there is no `source`.
    """

    def __init__(
        self,
        lower: "Sequence[str]",
        source: str,
        target: str,
        *,
        base: str,
        scratch: str,
        place: str,
        read_only: bool,
        missing: RlError,
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
        self.missing = missing

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
        attributes = SAFE | (syscalls.MOUNT_ATTR_RDONLY if self.read_only else 0)
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
            raise self.missing from e
        finally:
            os.close(tree.fd)

    def _mount(self) -> None:
        # They may be there: a container's, or of a failed command (--shell-on-fail).
        for path in (self.place, f"{self.place}.links"):
            os.makedirs(path, 0o755, exist_ok=True)
        scratch = f"{self.base}/{self.scratch}"
        names = ("empty",) if self.read_only else ("empty", "upper", "work")
        for name in names:
            os.makedirs(f"{scratch}/{name}", 0o755, exist_ok=True)
            if os.stat(f"{scratch}/{name}").st_uid != 0:
                os.chown(f"{scratch}/{name}", 0, 0)  # --userns=keep-id: root is not who made it
        # A read-only overlay needs two layers; an image may have one, or none.
        empty = [f"{self.scratch}/empty"] * (self.read_only or not self.lower)
        lower = [*self.lower, *empty]
        if len(lower) == 1 and self.read_only:
            lower.append(f"{self.scratch}/empty2")
            os.makedirs(f"{scratch}/empty2", 0o755, exist_ok=True)
        mount.overlay(
            lower,
            self.place,
            upper="" if self.read_only else f"{self.scratch}/upper",
            work="" if self.read_only else f"{self.scratch}/work",
            base=self.base,
            links=f"{self.place}.links",
        )
