"""Control groups v2: what there is, what we may write, and a group of our own.

Files only, no policy and no D-Bus (runtime/limits.py).  Warm: imports os, errno and the errors.
Source: Documentation/admin-guide/cgroup-v2.rst, cgroups(7).  `root` is for tests: a made-up tree.
"""

import errno
import os
import time

from rootless.errors import KernelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# Where processes go that sit in a group whose controllers are to be handed out to its children:
# a group has either processes or children with controllers, never both.
LEAF = "rl-leaf"


def read(path: str) -> str:
    """The text of an interface file, "" when it is not there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError as e:
        raise KernelError("open", e.errno or errno.EIO, path) from e
    try:
        os.write(fd, text.encode())
    except OSError as e:
        raise KernelError("write", e.errno or errno.EIO, path) from e
    finally:
        os.close(fd)


class Hierarchy:
    """Where the unified hierarchy is mounted, and where this process is in it."""

    __slots__ = ("legacy", "mount", "nsdelegate", "own")

    def __init__(
        self, mount: str, own: str, legacy: frozenset[str], *, nsdelegate: bool = False
    ) -> None:
        self.mount = mount  # "" when no cgroup2 is mounted
        self.own = own  # absolute path of our own group's directory, "" when it is out of sight
        self.nsdelegate = nsdelegate  # a namespace's root cannot be changed from inside
        self.legacy = legacy  # controllers bound to v1: the unified hierarchy can't have them


def hierarchy(root: str = "/") -> Hierarchy:
    """Read /proc/self/mountinfo and /proc/self/cgroup."""
    base = root.rstrip("/")
    mount = mount_root = ""
    nsdelegate = False
    legacy: set[str] = set()
    for line in read(f"{base}/proc/self/mountinfo").splitlines():
        head, _, tail = line.partition(" - ")
        fields, rest = head.split(" "), tail.split(" ")
        if len(fields) < 5 or len(rest) < 3:
            continue
        if rest[0] == "cgroup2" and not mount:
            mount_root, mount = fields[3], base + fields[4].replace("\\040", " ")
            nsdelegate = "nsdelegate" in rest[2].split(",")
        elif rest[0] == "cgroup":
            legacy.update(rest[2].split(","))
    if "blkio" in legacy:  # its name in v1
        legacy.add("io")
    own = ""
    for line in read(f"{base}/proc/self/cgroup").splitlines():
        if line.startswith("0::"):
            own = line[3:]
    directory = ""
    if mount and own:
        relative: str | None = own
        if mount_root != "/":  # a subtree is mounted, as in a container without a namespace
            inside = own == mount_root or own.startswith(mount_root + "/")
            relative = own[len(mount_root) :] if inside else None
        if relative is not None and "/.." not in relative:
            directory = f"{mount}{relative}".rstrip("/")
    return Hierarchy(mount, directory, frozenset(legacy), nsdelegate=nsdelegate)


def controllers(directory: str) -> frozenset[str]:
    """The controllers that a group can hand out to its children."""
    return frozenset(read(f"{directory}/cgroup.controllers").split())


def absent(where: Hierarchy, needed: "Iterable[str]") -> list[str]:
    """Those of `needed` that the kernel does not have at all.

    Only the root of the whole hierarchy tells: it has no cgroup.events.
    """
    there = controllers(where.mount)
    if not there or os.path.exists(f"{where.mount}/cgroup.events"):
        return []
    return sorted(set(needed) - there)


def handed_out(directory: str) -> frozenset[str]:
    """The controllers that a group's children have."""
    return frozenset(read(f"{directory}/cgroup.subtree_control").split())


def processes(directory: str) -> list[int]:
    """PIDs in the group itself, as seen from our PID namespace."""
    return [int(word) for word in read(f"{directory}/cgroup.procs").split() if word.isdecimal()]


def is_ours(directory: str) -> bool:
    """Whether the group is delegated to us: cgroup-v2.rst, "Model of Delegation"."""
    return os.access(directory, os.W_OK | os.X_OK) and all(
        os.access(f"{directory}/{name}", os.W_OK)
        for name in ("cgroup.procs", "cgroup.subtree_control")
    )


def delegated(where: Hierarchy) -> list[str]:
    """Our own group and those above it that are ours, from our own upwards; [] for none."""
    found: list[str] = []
    directory = where.own
    while directory and directory.startswith(where.mount) and is_ours(directory):
        found.append(directory)
        if directory == where.mount:
            break
        directory = os.path.dirname(directory)
    return found


def place_for(where: Hierarchy, needed: "Iterable[str]") -> str | None:
    """The group below which a child with the `needed` controllers can be made; None for none.

    The nearest one that hands them out already comes first, so that nothing is moved; then the
    nearest that could.
    """
    needed = frozenset(needed)
    ours = delegated(where)
    for directory in ours:
        if needed <= handed_out(directory):
            return directory
    for directory in ours:
        if needed <= controllers(directory):
            return directory
    return None


def hand_out(directory: str, needed: "Iterable[str]") -> None:
    """Give the children of `directory`, a group of ours, the `needed` controllers.

    Its processes move to a child first: only a group without processes can (cgroup-v2.rst, "No
    Internal Process Constraint").  They are in the same place of the tree as seen from above.
    """
    missing = sorted(frozenset(needed) - handed_out(directory))
    if not missing:
        return
    control = f"{directory}/cgroup.subtree_control"
    words = " ".join(f"+{name}" for name in missing)
    try:
        _write(control, words)
    except KernelError as e:
        if e.errno != errno.EBUSY:
            raise
        leaf = f"{directory}/{LEAF}"
        os.makedirs(leaf, exist_ok=True)
        for _ in range(16):  # a process forked meanwhile is caught by the next round
            left = processes(directory)
            for pid in left:
                _move(leaf, pid)
            if not left:
                break
        _write(control, words)


def _move(directory: str, pid: int) -> None:
    try:
        _write(f"{directory}/cgroup.procs", str(pid))
    except KernelError as e:
        if e.errno != errno.ESRCH:  # it has ended
            raise


class Group:
    """A group that we made, for one container."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def set(self, name: str, value: str) -> None:
        """Write an interface file such as memory.max."""
        _write(f"{self.path}/{name}", value)

    def enter(self, pid: int) -> None:
        """Move a process into the group; before it makes its cgroup namespace."""
        _write(f"{self.path}/cgroup.procs", str(pid))

    def events(self, name: str) -> dict[str, int]:
        """A file of "key value" lines such as memory.events; {} when there is none."""
        lines = (line.split() for line in read(f"{self.path}/{name}").splitlines())
        return {f[0]: int(f[1]) for f in lines if len(f) == 2 and f[1].lstrip("-").isdecimal()}

    def kill(self) -> None:
        """SIGKILL everything in the group and below (cgroup.kill needs Linux 5.14)."""
        try:
            _write(f"{self.path}/cgroup.kill", "1")
        except KernelError:
            for directory, _, _ in os.walk(self.path):
                for pid in processes(directory):
                    try:
                        os.kill(pid, 9)
                    except ProcessLookupError:
                        pass

    def remove(self, wait_s: float = 2.0) -> bool:
        """Remove the group and the groups below it; False when processes stay in it."""
        deadline = time.monotonic() + wait_s
        while True:
            if remove_tree(self.path):
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)


def remove_tree(path: str) -> bool:
    """rmdir(2) the group and all below it, deepest first; False when one is in use."""
    for directory, _, _ in os.walk(path, topdown=False):
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            pass
        except OSError:
            return False
    return True
