"""Mounts as data: each operation says what it will do (describe) and does it (execute).

Every target is a path inside the container's root and is resolved there, with openat2(2) and
RESOLVE_IN_ROOT: a symbolic link of the image can't lead a mount outside.  Operations run in the
container's own mount namespace, before pivot_root(2), with the new mount API (Linux 5.2; 5.12 for
mount_setattr), so that no path is ever looked up twice.
"""

import errno
import os
import stat

from rootless.errors import ContainerError, KernelError
from rootless.linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

ATTRIBUTES = {
    "ro": syscalls.MOUNT_ATTR_RDONLY,
    "nosuid": syscalls.MOUNT_ATTR_NOSUID,
    "nodev": syscalls.MOUNT_ATTR_NODEV,
    "noexec": syscalls.MOUNT_ATTR_NOEXEC,
    "noatime": syscalls.MOUNT_ATTR_NOATIME,
    "strictatime": syscalls.MOUNT_ATTR_STRICTATIME,
    "nodiratime": syscalls.MOUNT_ATTR_NODIRATIME,
}
PROPAGATION = {
    "private": syscalls.MS_PRIVATE,
    "slave": syscalls.MS_SLAVE,
    "shared": syscalls.MS_SHARED,
}


LINKS_MAX = 40  # symbolic links in one path, as the kernel's MAXSYMLINKS
LAYERS_MAX = 500  # OVL_MAX_STACK, fs/overlayfs/params.h


class Root:
    """The root of a container that is being built: a descriptor that targets are relative to."""

    __slots__ = ("fd",)

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def open(self, path: str, flags: int = os.O_PATH) -> int:
        """A descriptor of `path` below the root.  Raises KernelError; ENOENT when missing."""
        return syscalls.openat2(
            self.fd, path.lstrip("/") or ".", flags, 0, syscalls.RESOLVE_IN_ROOT
        )

    def make(self, path: str, *, directory: bool, mode: int = 0o755) -> int:
        """As open(); what is missing is made: directories, and at the end a file or directory.

        What a symbolic link names is made too: many an image has an /etc/resolv.conf that leads
        to a place below /run, where a running system would have it.
        """
        try:
            return self.open(path)
        except KernelError as e:
            if e.errno != errno.ENOENT:
                raise
        done, links = "", 0
        names = _names(path)
        while names:
            name = names.pop(0)
            step = f"{done}/{name}"
            try:
                os.close(self.open(step))
                done = step
                continue
            except KernelError as e:
                if e.errno != errno.ENOENT:
                    raise
            parent_fd = self.open(done)
            try:
                link = _link(name, parent_fd)
                if link:
                    links += 1
                    if links > LINKS_MAX:
                        raise KernelError("openat2", errno.ELOOP, path)
                    names = _names(link) + names
                    done = "" if link.startswith("/") else done
                    continue
                if directory or names:
                    os.mkdir(name, mode, dir_fd=parent_fd)
                else:
                    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
                    os.close(os.open(name, flags, 0o644, dir_fd=parent_fd))
                done = step
            except OSError as e:
                raise KernelError("mkdir", e.errno or 0, step) from e
            finally:
                os.close(parent_fd)
        return self.open(path)


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]


def _link(name: str, parent_fd: int) -> str:
    """What the symbolic link `name` says; "" when there is none."""
    try:
        return os.readlink(name, dir_fd=parent_fd)
    except OSError:
        return ""


class Filesystem:
    """A new instance of a file system: proc, sysfs, tmpfs, devpts, mqueue, cgroup2."""

    __slots__ = ("attributes", "fstype", "options", "target")

    def __init__(
        self, fstype: str, target: str, options: "Sequence[str]" = (), attributes: int = 0
    ) -> None:
        self.fstype = fstype
        self.target = target
        self.options = options
        self.attributes = attributes

    def describe(self) -> str:
        options = f" ({','.join(self.options)})" if self.options else ""
        return f"mount {self.fstype} on {self.target}{options}"

    def execute(self, root: Root) -> None:
        mount_fd = new_filesystem(self.fstype, self.options, self.attributes)
        _attach(root, mount_fd, self.target, directory=True)

    def borrow(self, root: Root) -> str:
        """Mount what is here in place of a new proc or sysfs; the place of it, "" for others.

        In a container that hides parts of its own the kernel makes no new one (EPERM): it would
        show what is hidden.  mount_too_revealing() in fs/namespace.c; user_namespaces(7).
        """
        source = {"proc": "/proc", "sysfs": "/sys"}.get(self.fstype, "")
        if source:
            Bind(source, self.target, self.attributes).execute(root)
        return source


class Bind:
    """A bind mount of the host's `source`, with everything that is mounted below it.

    `subpath` is looked up below the source, which no symbolic link in it can leave.
    """

    __slots__ = (
        "attributes",
        "propagation",
        "recursive_read_only",
        "source",
        "submounts",
        "subpath",
        "target",
    )

    def __init__(
        self,
        source: str,
        target: str,
        attributes: int = 0,
        *,
        propagation: str = "private",
        recursive_read_only: bool = False,
        submounts: bool = True,
        subpath: str = "",
    ) -> None:
        self.source = source
        self.subpath = subpath
        self.target = target
        self.attributes = attributes
        self.propagation = propagation
        self.recursive_read_only = recursive_read_only
        self.submounts = submounts

    def describe(self) -> str:
        words = ",".join(word for word, bit in ATTRIBUTES.items() if self.attributes & bit)
        return f"bind {self.source} on {self.target}" + (f" ({words})" if words else "")

    def execute(self, root: Root) -> None:
        flags = syscalls.OPEN_TREE_CLONE | (syscalls.AT_RECURSIVE if self.submounts else 0)
        try:
            mount_fd = self._open(flags)
        except KernelError as e:
            raise self._understood(e) from e
        if self.attributes:
            recursive = self.recursive_read_only
            syscalls.mount_setattr(mount_fd, set_=self.attributes, recursive=recursive)
        if self.propagation != "private":
            syscalls.mount_setattr(
                mount_fd, propagation=PROPAGATION[self.propagation], recursive=True
            )
        directory = stat.S_ISDIR(os.fstat(mount_fd).st_mode)
        _attach(root, mount_fd, self.target, directory=directory)

    def _open(self, flags: int) -> int:
        if not self.subpath:
            return syscalls.open_tree(syscalls.AT_FDCWD, self.source, flags)
        below = Root(self.source)
        try:
            source_fd = below.open(self.subpath)
        finally:
            os.close(below.fd)
        try:
            return syscalls.open_tree(source_fd, "", flags | syscalls.AT_EMPTY_PATH)
        finally:
            os.close(source_fd)

    def _understood(self, failure: KernelError) -> ContainerError:
        """EINVAL without submounts: the kernel does not uncover, for a user namespace, what is
        mounted below a place of the host (mount_namespaces(7), locked mounts)."""
        if failure.errno == errno.EINVAL and not self.submounts:
            return ContainerError(
                f"cannot mount {self.source} without what is mounted below it: only root may see "
                "what is under that",
                remedy="leave bind-recursive=disabled (or :bind) out",
                code="RL-NEEDS-ROOT",
            )
        source = f"{self.source}/{self.subpath}" if self.subpath else self.source
        return ContainerError(
            f"cannot mount {source} on {self.target}: {os.strerror(failure.errno)}",
            remedy="check the path, or make it first",
            code="RL-MOUNT-SOURCE",
        )


class Mask:
    """Hide a path, if it is there: /dev/null over a file, an empty read-only tmpfs over a
    directory."""

    __slots__ = ("target",)

    def __init__(self, target: str) -> None:
        self.target = target

    def describe(self) -> str:
        return f"mask {self.target}"

    def execute(self, root: Root) -> None:
        try:
            target_fd = root.open(self.target)
        except KernelError as e:
            if e.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                return
            raise
        if stat.S_ISDIR(os.fstat(target_fd).st_mode):
            attributes = syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NOSUID
            mount_fd = new_filesystem("tmpfs", ("size=0k", "nr_inodes=2"), attributes)
        else:
            mount_fd = syscalls.open_tree(syscalls.AT_FDCWD, "/dev/null", syscalls.OPEN_TREE_CLONE)
        syscalls.move_mount(mount_fd, target_fd)
        os.close(mount_fd)
        os.close(target_fd)


class ReadOnly:
    """Make a path of the container read-only, if it is there, with a mount on itself."""

    __slots__ = ("target",)

    def __init__(self, target: str) -> None:
        self.target = target

    def describe(self) -> str:
        return f"read-only {self.target}"

    def execute(self, root: Root) -> None:
        try:
            target_fd = root.open(self.target)
        except KernelError as e:
            if e.errno in (errno.ENOENT, errno.ENOTDIR):
                return
            raise
        flags = syscalls.OPEN_TREE_CLONE | syscalls.AT_EMPTY_PATH | syscalls.AT_RECURSIVE
        mount_fd = syscalls.open_tree(target_fd, "", flags)
        syscalls.mount_setattr(mount_fd, set_=syscalls.MOUNT_ATTR_RDONLY)
        syscalls.move_mount(mount_fd, target_fd)
        os.close(mount_fd)
        os.close(target_fd)


class Symlink:
    """A symbolic link in the container, where nothing has its name."""

    __slots__ = ("target", "text")

    def __init__(self, text: str, target: str) -> None:
        self.text = text
        self.target = target

    def describe(self) -> str:
        return f"symlink {self.target} -> {self.text}"

    def execute(self, root: Root) -> None:
        parent, _, name = self.target.rpartition("/")
        parent_fd = root.make(parent or "/", directory=True)
        try:
            os.symlink(self.text, name, dir_fd=parent_fd)
        except FileExistsError:
            pass
        finally:
            os.close(parent_fd)


class File:
    """A small read-only file in the container, in place of what had its name."""

    __slots__ = ("target", "text")

    def __init__(self, text: str, target: str) -> None:
        self.text = text
        self.target = target

    def describe(self) -> str:
        return f"write {self.target}"

    def execute(self, root: Root) -> None:
        parent, _, name = self.target.rpartition("/")
        parent_fd = root.make(parent or "/", directory=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(name, flags, 0o444, dir_fd=parent_fd)
            os.write(fd, self.text.encode())
            os.close(fd)
        finally:
            os.close(parent_fd)


class MemoryFile:
    """A file on a file system of its own in memory: what it holds is never on a disk of ours.

    It is mounted read-only on `target`, where an empty file is made if there is none.
    """

    __slots__ = ("_data", "gid", "mode", "target", "uid")

    def __init__(self, data: bytes, target: str, *, mode: int, uid: int, gid: int) -> None:
        self._data = data
        self.target = target
        self.mode = mode
        self.uid = uid
        self.gid = gid

    def describe(self) -> str:
        return f"mount a file in memory on {self.target}"

    def execute(self, root: Root) -> None:
        attributes = ATTRIBUTES["nosuid"] | ATTRIBUTES["nodev"] | ATTRIBUTES["noexec"]
        top_fd = new_filesystem("tmpfs", ("size=1m", "mode=0700"), attributes)
        try:
            fd = os.open("data", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=top_fd)
            with open(fd, "wb") as file:
                file.write(self._data)
                os.fchmod(fd, self.mode)
                try:
                    os.fchown(fd, self.uid, self.gid)
                except OSError as e:
                    raise KernelError("fchown", e.errno or 0, self.target) from e
            mount_fd = syscalls.open_tree(top_fd, "data", syscalls.OPEN_TREE_CLONE)
        finally:
            os.close(top_fd)
        syscalls.mount_setattr(mount_fd, set_=attributes | ATTRIBUTES["ro"])
        _attach(root, mount_fd, self.target, directory=False)


def new_filesystem(fstype: str, options: "Sequence[str]", attributes: int) -> int:
    """A detached mount of a new file system; an option is "name" or "name=value"."""
    fs_fd = syscalls.fsopen(fstype)
    try:
        # What df(1) and mountinfo show as the device; many programs look for "proc" there.
        syscalls.fsconfig_string(fs_fd, "source", fstype)
        for option in options:
            key, separator, value = option.partition("=")
            if separator:
                syscalls.fsconfig_string(fs_fd, key, value)
            else:
                syscalls.fsconfig_flag(fs_fd, key)
        syscalls.fsconfig_create(fs_fd)
        return syscalls.fsmount(fs_fd, attributes)
    except KernelError as e:
        raise KernelError(e.call, e.errno, f"{fstype}: {e.target}") from e
    finally:
        os.close(fs_fd)


def _attach(root: Root, mount_fd: int, target: str, *, directory: bool) -> None:
    try:
        target_fd = root.make(target, directory=directory)
        try:
            syscalls.move_mount(mount_fd, target_fd)
        except KernelError as e:
            raise KernelError(e.call, e.errno, target) from e
        finally:
            os.close(target_fd)
    finally:
        os.close(mount_fd)


def overlay(
    lower: "Sequence[str]", target: str, *, upper: str, work: str, base: str, links: str
) -> None:
    """Mount an overlay of `lower` (topmost first) and `upper` on the directory `target`.

    Without `upper` it is read-only, and needs two layers at least.
    The layers' paths are relative to `base`, which keeps them below the 255 bytes of an
    fsconfig(2) value.  That call takes them one by one, so their number is bounded by the
    kernel's 500 alone; where it can't (Linux < 6.7), they go through mount(2) and its 4095 bytes,
    as links with short names in the directory `links`.  A layer may be there twice (of two steps
    that change nothing): the kernel takes it once, and its topmost place shows the same files.
    Source: Documentation/filesystems/overlayfs.rst.  Raises KernelError.
    """
    lower = list(dict.fromkeys(lower))
    old_fd = os.open(".", os.O_PATH | os.O_CLOEXEC)  # it may have no name any more
    os.chdir(base)
    try:
        fs_fd = syscalls.fsopen("overlay")
        try:
            syscalls.fsconfig_string(fs_fd, "source", "overlay")
            syscalls.fsconfig_flag(fs_fd, "userxattr")
            for layer in lower:
                syscalls.fsconfig_string(fs_fd, "lowerdir+", layer)
            if upper:
                syscalls.fsconfig_string(fs_fd, "upperdir", upper)
                syscalls.fsconfig_string(fs_fd, "workdir", work)
            syscalls.fsconfig_create(fs_fd)
            mount_fd = syscalls.fsmount(fs_fd, 0)
        except KernelError as e:
            if e.errno != errno.EINVAL:
                raise KernelError(e.call, e.errno, f"overlay: {e.target}") from e
            overlay_by_links(lower, target, upper=upper, work=work, base=base, links=links)
            return
        finally:
            os.close(fs_fd)
        target_fd = os.open(target, os.O_PATH | os.O_CLOEXEC)
        syscalls.move_mount(mount_fd, target_fd)
        os.close(target_fd)
        os.close(mount_fd)
    finally:
        os.fchdir(old_fd)
        os.close(old_fd)


def overlay_by_links(
    lower: "Sequence[str]", target: str, *, upper: str, work: str, base: str, links: str
) -> None:
    """overlay() for kernels without "lowerdir+": a tmpfs on `links` holds a link per layer."""
    syscalls.mount("tmpfs", links, "tmpfs", 0, "size=1m,mode=700")
    os.chdir(links)
    for number, layer in enumerate([*lower, upper, work]):
        os.symlink(f"{base}/{layer}", str(number))
    names = ":".join(str(number) for number in range(len(lower)))
    count = len(lower)
    data = f"userxattr,lowerdir={names}"
    if upper:
        data += f",upperdir={count},workdir={count + 1}"
    if len(data) > 4095:
        raise KernelError("mount", errno.ENAMETOOLONG, "overlay", remedy="squash the image")
    syscalls.mount("overlay", target, "overlay", 0, data)
    os.chdir(base)
    syscalls.umount2(links, syscalls.MNT_DETACH)
