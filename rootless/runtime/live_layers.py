"""Other layers under a running container: a new overlay takes the place of its root.

An overlay cannot get another upper directory, and a process keeps the mount that its directories
and files were opened on.  So a second overlay, with a new upper directory on top of the layers
that are wanted, is mounted on the first; what was mounted in the first moves into it; and
pivot_root(2) makes it the root of every process whose root, or working directory, was the top of
the first.  Nothing is read or copied.

That is right only where no process holds anything else of the first overlay: it would go on in
files that others do not see, and locks, sockets and watches would not meet (linux/mount_users.py
looks).  Meanwhile the container is paused, and no other rl is on its way into it: root.lock.
"""

import os
import select
import stat
from typing import TYPE_CHECKING, Any

from rootless.errors import RlError
from rootless.linux import mount, mount_users, namespaces, pidtree, signals, syscalls
from rootless.linux.copytree import Copy
from rootless.runtime import pause, rootfs, stage
from rootless.runtime.supervise import id_map
from rootless.store.removal import remove_tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rootless.context import Context
    from rootless.store.containers import Container

    Doc = dict[str, Any]

FRESH, FRESH_WORK = "upper.new", "work.new"
_TURNS = 5
_RESOLVE = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS


class Exchange:
    """The exchange of a running container's layers.  The caller holds its layers and root locks,
    and has paused it; it has one thread."""

    def __init__(self, ctx: "Context", container: "Container", config: "Doc") -> None:
        self._ctx = ctx
        self._container = container
        self._config = config
        self._pid = int(container.state["pid"])
        self.root: int = 0  # the ID of the mount that is the root now

    def obstacle(self) -> str:
        """Why it cannot be done, "" when it can; notes `root`."""
        extension = self._config["rl"]
        if extension["rung"].get("storage", "overlay") != "overlay":
            return "its storage driver is another than overlay"
        if self._config["root"]["readonly"]:
            return "its root is read-only"
        if self._container.state.get("one_id"):
            return "one ID is mapped, and its owners are noted by the mount"
        if any(os.path.islink(f"{self._ctx.paths.layer(one)}/image")
               for one in extension["layers"]):  # fmt: skip
            return "its image is in a shared store"
        if not pause.is_still(self._container):
            return "a process of it does not stop"

        def look() -> object:
            for _ in range(_TURNS):
                try:
                    return self._look()
                except (FileNotFoundError, ProcessLookupError):
                    continue  # the last steps of one that has ended
                except OSError as e:
                    return [0, f"a process of it cannot be looked at ({os.strerror(e.errno or 0)})"]
            return [0, "processes of it end just now"]

        found = namespaces.run_beside(self._pid, look)
        assert isinstance(found, list)
        self.root = int(found[0])
        return str(found[1])

    def _look(self) -> list[object]:
        members = [one.pid for one in pidtree.members(self._pid) if one.state not in ("Z", "X")]
        proc_fd = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        number = mount_users.root_of(str(self._pid), proc_fd)
        table = mount_users.table(str(self._pid), proc_fd)
        root = next((one for one in table if one.number == number), None)
        if root is None:
            return [0, "its first process has a root directory of its own"]
        namespace = os.readlink(f"/proc/{self._pid}/ns/mnt")
        if any(os.readlink(f"/proc/{pid}/ns/mnt") != namespace for pid in members):
            return [0, "a process of it has a mount namespace of its own"]
        points = set()
        for entry in table:
            if entry.number != root.number and entry.device == root.device:
                return [0, f"a directory of it is mounted on {entry.point}"]
            if entry.parent == root.number and entry.point in points:
                return [0, f"two mounts are on {entry.point}"]
            points.add(entry.point)
        if root.shared:
            return [0, "its root is shared"]
        upper = f"{self._container.directory}/upper"
        reason = mount_users.obstacle(members, root, lambda path: os.path.lexists(upper + path))
        return [root.number, reason]

    def run(self, frozen: "Sequence[str]", like: str, *, on_upper: bool) -> None:
        """Put a new upper directory, with the attributes of the directory `like`, on the frozen
        layers `frozen` (bottom first), with `on_upper` on the present upper directory before.

        Raises RlError: then tidy() tells whether it was done, and the directories FRESH* are left.
        """
        pidfd = self._container.pidfd()
        if pidfd < 0:
            raise RlError("it has ended")
        extension = self._config["rl"] | {"frozen": list(frozen)}
        idmap = id_map(self._ctx, extension)
        plan = rootfs.root_plan(self._ctx, self._container, extension, idmap, read_only=False)
        if on_upper:
            plan.lower = [plan.upper, *plan.lower]
        name = f"containers/{self._container.id}"
        plan.upper, plan.work = f"{name}/{FRESH}", f"{name}/{FRESH_WORK}"

        def work() -> None:
            for path in (plan.upper, plan.work):
                remove_tree(f"{plan.base}/{path}")  # of one that was killed
                os.mkdir(f"{plan.base}/{path}", 0o700)
            copy_attributes(like, f"{plan.base}/{plan.upper}")
            proc_fd = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            mounts_fd = os.open(f"/proc/{self._pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
            table = mount_users.table(str(self._pid), proc_fd)
            children = [one.point for one in table if one.parent == self.root]
            if _has_ended(pidfd):
                raise RlError("it has ended")
            stage.mount_by_kernel(plan)
            new_fd = syscalls.open_tree(-1, plan.target, syscalls.OPEN_TREE_CLONE)
            syscalls.setns(mounts_fd, syscalls.CLONE_NEWNS)
            _uninterrupted()
            _take_place(new_fd, children)

        try:
            namespaces.run_beside(self._pid, work)
        finally:
            os.close(pidfd)


def tidy(pid: int, before: int) -> bool:
    """Undo an exchange that was cut off, or end it, where it was done; whether it was.

    `before` is the ID of the mount that was the root of the process `pid`.  Raises OSError,
    KernelError when the process has ended.
    """

    def work() -> bool:
        proc_fd = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        number = mount_users.root_of(str(pid), proc_fd)
        target = mount.Root(f"/proc/{pid}/root")
        mounts_fd = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        syscalls.setns(mounts_fd, syscalls.CLONE_NEWNS)  # begins at what is on top
        on_top = mount_users.root_of("self", proc_fd)
        if on_top != number:
            _uninterrupted()
            os.chdir("/")
            top_fd = os.open(".", os.O_PATH | os.O_CLOEXEC)
            for one in mount_users.table("self", proc_fd):
                if number == before and one.parent == on_top:
                    _move(one.point, top_fd, target)
            syscalls.umount2(".", syscalls.MNT_DETACH)
        return number != before

    return bool(namespaces.run_beside(pid, work))


def _uninterrupted() -> None:
    """Neither a signal nor the end of the parent ends this process in the middle."""
    signals.block_all()
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 0)


def copy_attributes(source: str, target: str) -> None:
    """Give the directory `target` the owner, mode, times and extended attributes of `source`."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    source_fd, target_fd = os.open(source, flags), os.open(target, flags)
    Copy(overlay="drop").attributes(source_fd, target_fd)
    os.close(source_fd)
    os.close(target_fd)


def _has_ended(pidfd: int) -> bool:
    look = select.poll()
    look.register(pidfd, select.POLLIN)
    return bool(look.poll(0))


def _take_place(new_fd: int, children: "Sequence[str]") -> None:
    """In the container's mount namespace: make the mount `new_fd` the root, with the mounts on
    the paths `children` of the old one moved into it.  Raises KernelError, with a part done."""
    old = mount.Root("/")
    syscalls.move_mount(new_fd, old.fd)
    os.fchdir(new_fd)
    new = mount.Root(".")
    for path in children:
        _move(path, old.fd, new)
    syscalls.pivot_root(".", ".")
    syscalls.umount2(".", syscalls.MNT_DETACH)


def _move(path: str, source_fd: int, target: mount.Root) -> None:
    """Move the mount on `path` from one root to another."""
    mount_fd = syscalls.openat2(source_fd, path.lstrip("/"), os.O_PATH, 0, _RESOLVE)
    place_fd = target.make(path, directory=stat.S_ISDIR(os.fstat(mount_fd).st_mode))
    syscalls.move_mount(mount_fd, place_fd)
    os.close(place_fd)
    os.close(mount_fd)
