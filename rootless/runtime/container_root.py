"""The root file systems of containers, running or not, for work on their files from outside.

The work is done in a child: root of a user namespace of its own with the container's mapping, and
never in the container's namespaces, where the container's root could meddle with it.  Every path
is looked up with openat2(2) and RESOLVE_IN_ROOT, so that no symbolic link leads to the host.
"""

import errno
import os
import select
import signal
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rootless.errors import ContainerError, KernelError
from rootless.linux import fuse, mount, namespaces, syscalls
from rootless.runtime import owners, rootfs, stage, start
from rootless.runtime.supervise import id_map
from rootless.store import containers, shared_mounts
from rootless.store.containers import Container, Lock
from rootless.store.locks import Locked

if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.linux.idmap import IdMap


def work(
    ctx: "Context",
    containers: Sequence[Container],
    function: Callable[[list[mount.Root]], object],
    *,
    keep_groups: bool = False,
    volumes: bool = True,
) -> object:
    """Call `function` in a child with the roots of `containers`; what it returns, as JSON does.

    A running container is seen as it sees itself, with all that is mounted in it.  Of another one
    the root file system is mounted, and with `volumes` what the user has mounted there; meanwhile
    nobody else starts it.  `keep_groups` keeps the caller's groups, for files of the host.

    The caller has one thread.  Raises RlError; ContainerError RL-CONTAINER-BUSY.
    """
    idmap: IdMap | None = None
    opened: list[_Place] = []
    try:
        for container in containers:
            place = _Place(ctx, container)
            opened.append(place)
            if idmap is not None and place.idmap.uids != idmap.uids:
                raise ContainerError(
                    "the containers see different IDs (--userns), so that files cannot go from "
                    "one to the other",
                    remedy="copy to the host first",
                    code="RL-CONTAINER-IDS",
                )
            idmap = place.idmap
        assert idmap is not None

        def inside() -> object:
            try:
                return function([place.root(volumes=volumes) for place in opened])
            finally:
                for place in opened:
                    place.leave()

        return namespaces.run_in_user_namespace(
            idmap, ctx.environ, inside, mounts=True, keep_groups=keep_groups
        )
    finally:
        for place in opened:
            place.close()


class _Place:
    """One container: opened by the parent, its root made in the child."""

    def __init__(self, ctx: "Context", container: Container) -> None:
        self._ctx = ctx
        self._config = container.runtime_config()
        self._container = container
        self._fd = -1
        self._lock: Lock | None = None
        self._way_in: Locked | None = None
        self._servers: list[int] = []
        self.idmap = id_map(ctx, self._config["rl"])
        pidfd = container.pidfd()
        if pidfd >= 0:
            try:
                self._open_running(pidfd)
            finally:
                os.close(pidfd)
        if self._fd < 0:
            self._lock = start.hold(ctx, container)
        if container.state.get("one_id"):
            owners.settle(ctx, container)

    def _open_running(self, pidfd: int) -> None:
        self._way_in = Locked(self._container.root_lock_path, shared=True)
        try:
            self._way_in.__enter__()
        except FileNotFoundError as e:
            raise containers.gone(self._container.directory) from e
        try:
            flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
            self._fd = os.open(f"/proc/{self._container.state['pid']}/root", flags)
        except OSError as e:
            if e.errno not in (errno.ENOENT, errno.ESRCH):
                raise KernelError("open", e.errno or 0, "/proc/PID/root") from e
            return
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        if poll.poll(0):  # it has ended, and the PID may be another's
            os.close(self._fd)
            self._fd = -1

    def root(self, *, volumes: bool) -> mount.Root:
        """In the child: the root, and in it what the user has asked to be mounted."""
        if self._fd >= 0:
            return mount.Root(f"/proc/self/fd/{self._fd}")
        extension = self._config["rl"]
        read_only = bool(self._config["root"]["readonly"])
        plan = rootfs.root_plan(
            self._ctx, self._container, extension, self.idmap, read_only=read_only
        )
        for directory, archive in plan.images:
            argv = [shared_mounts.program(self._ctx.environ), "-f", archive]
            self._mount_fuse("squashfuse", argv, directory, syscalls.MS_RDONLY)
        if plan.driver == "fuse-overlayfs":
            argv = [fuse.overlayfs_program(self._ctx.environ), "-f", "-o", stage.fuse_options(plan)]
            self._mount_fuse("fuse-overlayfs", argv, plan.target)
        else:
            stage.mount_by_kernel(plan)
        root = mount.Root(plan.target)
        own = {shown["Destination"] for shown in self._container.config["mounts"]}
        for entry in self._config["mounts"]:
            if volumes and entry["destination"] in own:
                if entry["type"] == "image":
                    # What is written to an image is lost when the container ends: it has ended.
                    entry["options"] = ["ro"]
                made = rootfs.operation(self._ctx, self._container, self._config, entry, self.idmap)
                made.execute(root)
        if read_only:
            fd = os.open(plan.target, os.O_PATH | os.O_CLOEXEC)
            syscalls.mount_setattr(fd, set_=syscalls.MOUNT_ATTR_RDONLY)
            os.close(fd)
        return root

    def _mount_fuse(self, name: str, argv: list[str], target: str, flags: int = 0) -> None:
        fuse_fd = fuse.mount(name, target, flags)
        self._servers.append(fuse.serve(argv, fuse_fd, self._ctx.environ))

    def leave(self) -> None:
        """In the child: the servers are in its mount namespace, and would keep it alive."""
        for pid in self._servers:
            os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """In the parent."""
        if self._fd >= 0:
            os.close(self._fd)
        if self._lock is not None:
            self._lock.close()
        if self._way_in is not None:
            self._way_in.release()


def readable(root: mount.Root) -> int:
    """A descriptor of the root directory that can be listed."""
    return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root.fd)
