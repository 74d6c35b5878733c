"""What processes hold of a mount: directories, descriptors, mappings, locks, sockets.

proc_pid_fd(5), proc_pid_fdinfo(5), proc_pid_maps(5), proc_pid_mountinfo(5).  The processes stand
still, and the caller may trace them (ptrace(2), PTRACE_MODE_READ).
"""

import os
import stat

from rootless.errors import KernelError
from rootless.linux import hostread, mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_DELETED = " (deleted)"


class Entry:
    """One line of /proc/PID/mountinfo."""

    __slots__ = ("device", "number", "parent", "point", "shared")

    def __init__(self, line: str) -> None:
        fields = line.partition(" - ")[0].split(" ")
        self.number, self.parent = int(fields[0]), int(fields[1])
        self.device = fields[2]  # MAJOR:MINOR
        self.point = hostread.unescape(fields[4])
        self.shared = any(field.startswith("shared:") for field in fields[6:])


def table(process: str, proc_fd: int) -> list[Entry]:
    """The mounts below the root of a process, a PID or "self"; `proc_fd` is a /proc.

    Raises OSError when it has ended.
    """
    fd = os.open(f"{process}/mountinfo", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc_fd)
    with open(fd, errors="surrogateescape") as file:
        return [Entry(line) for line in file.read().splitlines()]


def root_of(process: str, proc_fd: int) -> int:
    """The ID of the mount that the root of a process is on.  Raises OSError."""
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    fd = os.open(f"{process}/root", flags, dir_fd=proc_fd)
    try:
        return number_of(fd, proc_fd)
    finally:
        os.close(fd)


def number_of(fd: int, proc_fd: int) -> int:
    """The ID of the mount that a descriptor of ours is on; `proc_fd` is a /proc."""
    found = os.open(f"self/fdinfo/{fd}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc_fd)
    try:
        return int(_field(os.read(found, 4096).decode(), "mnt_id:") or -1)
    finally:
        os.close(found)


def obstacle(pids: "Iterable[int]", root: Entry, changed: "Callable[[str], bool]") -> str:
    """Why processes would notice that another mount takes the place of their root, `root`.

    "" when they would not: their root and working directory are its top, and of its files they
    hold nothing but what is open for reading alone, or mapped, and is not `changed` (a path).
    `pids` are of processes, no zombies.  Raises OSError, for what cannot be looked at too.
    """
    for pid in pids:
        found = _Look(pid, root, changed).obstacle()
        if found:
            with open(f"/proc/{pid}/comm", errors="replace") as file:
                return f"{file.read().strip()} (PID {pid}) {found}"
    return ""


class _Look:
    def __init__(self, pid: int, root: Entry, changed: "Callable[[str], bool]") -> None:
        self._place = f"/proc/{pid}"
        self._root = root
        self._changed = changed
        major, minor = (int(part) for part in root.device.split(":"))
        self._device = major << 20 | minor  # as the kernel prints it for inotify

    def obstacle(self) -> str:
        known: list[set[str]] = []
        for thread in os.listdir(f"{self._place}/task"):
            place = f"{self._place}/task/{thread}"
            found = self._directories(place)
            # Threads mostly share one table of descriptors, and then its numbers.
            numbers = set(os.listdir(f"{place}/fd"))
            if not found and numbers not in known:
                known.append(numbers)
                found = self._descriptors(place, numbers)
            if found:
                return found
        return self._mappings() or self._sockets()

    def _directories(self, place: str) -> str:
        for name, what in (("root", "root"), ("cwd", "working")):
            fd = os.open(f"{place}/{name}", os.O_PATH | os.O_CLOEXEC)
            try:
                top = os.readlink(f"/proc/self/fd/{fd}")
                if self._is_on_root(fd) and top != "/":
                    return f"has the {what} directory {top}"
                if name == "root" and not self._is_on_root(fd):
                    return "has a root directory of its own"
            finally:
                os.close(fd)
        return ""

    def _is_on_root(self, fd: int) -> bool:
        with open(f"/proc/self/fdinfo/{fd}") as file:
            return _field(file.read(), "mnt_id:") == str(self._root.number)

    def _descriptors(self, place: str, numbers: "Iterable[str]") -> str:
        for number in numbers:
            with open(f"{place}/fdinfo/{number}", errors="replace") as file:
                about = file.read()
            path = os.readlink(f"{place}/fd/{number}")
            if path == "anon_inode:[io_uring]" or path.startswith("anon_inode:[fanotify"):
                return f"has an {path[12:-1]}"
            if f"sdev:{self._device:x} " in about:
                return "watches files (inotify)"
            if _field(about, "mnt_id:") != str(self._root.number):
                continue
            flags = int(_field(about, "flags:"), 8)
            regular = stat.S_ISREG(os.stat(f"{place}/fd/{number}").st_mode)
            if flags & (os.O_ACCMODE | os.O_PATH) or not regular:
                return f"has {path} open"
            if "\nlock:" in about:
                return f"has a lock on {path}"
            if self._changed(path):
                return f"has {path} open"
        return ""

    def _mappings(self) -> str:
        """Shared ones; a private one has its pages, whatever becomes of the file."""
        with open(f"{self._place}/maps", errors="surrogateescape") as file:
            for line in file:
                fields = line.rstrip("\n").split(None, 5)
                if len(fields) == 6 and fields[1][3] == "s" and fields[5].startswith("/"):
                    path = fields[5].replace("\\012", "\n")
                    if not path.endswith(_DELETED) and self._changed(path):
                        return f"has {path} mapped"
        return ""

    def _sockets(self) -> str:
        """Sockets that are bound to a name: unix(7).  Who connects finds them by their inode."""
        with open(f"{self._place}/net/unix", errors="surrogateescape") as file:
            lines = [line.rstrip("\n").split(" ", 7) for line in file.readlines()[1:]]
        names = {line[7] for line in lines if len(line) > 7 and not line[7].startswith("@")}
        root = mount.Root(f"{self._place}/root") if names else None
        for name in names:
            assert root is not None
            if not name.startswith("/"):
                return f"may have the socket {name}"
            try:
                fd = root.open(name)
            except KernelError:
                continue  # another root's, or removed
            try:
                if self._is_on_root(fd):
                    return f"may have the socket {name}"
            finally:
                os.close(fd)
        if root is not None:
            os.close(root.fd)
        return ""


def _field(text: str, name: str) -> str:
    """The word after `name` at the beginning of a line; "" without one."""
    for line in text.splitlines():
        if line.startswith(name):
            return line[len(name) :].strip()
    return ""
