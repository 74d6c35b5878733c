"""Reading what the host says about itself: /proc, /sys, mounts.  Pure file reads below a `root`.

Tests give a made-up tree as `root`.  A program of the real host is found as containers find it.
"""

import os

from rootless.errors import HostError
from rootless.linux import process

PROGRAM_DIRECTORIES = ("/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin")


class HostProblem(HostError):
    """A HostError that knows what to ask the administrator for."""

    def __init__(self, what: str, *, code: str, remedy: str, admin: str = "") -> None:
        super().__init__(what, remedy=remedy, code=code)
        self.admin = admin


# Reading.


def below(root: str, path: str) -> str:
    """`path` seen below `root`."""
    return path if root == "/" else root.rstrip("/") + path


def read(path: str, root: str = "/") -> str:
    """The text of a small file without its last newline; "" when it cannot be read."""
    try:
        with open(below(root, path), encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""


def number(path: str, root: str = "/") -> int | None:
    """The first number in a file such as a sysctl; None when there is none."""
    words = read(path, root).split()
    try:
        return int(words[0]) if words else None
    except ValueError:
        return None


def status_field(name: str, root: str = "/") -> str:
    """A field of /proc/self/status, "" when missing."""
    for line in read("/proc/self/status", root).splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return value.strip()
    return ""


def find_program(name: str, root: str = "/") -> str:
    """Path of a program, "" when it is not installed; sbin is looked at, in PATH or not."""
    if root == "/":
        return process.find_program(name, os.environ) or ""
    if "/" in name:
        return name if os.access(below(root, name), os.X_OK) else ""
    for directory in PROGRAM_DIRECTORIES:
        if os.access(below(root, f"{directory}/{name}"), os.X_OK):
            return f"{directory}/{name}"
    return ""


def user_name() -> str:
    """The caller's login name, or the UID where the host knows none."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


class Mount:
    """One line of /proc/self/mountinfo (proc_pid_mountinfo(5))."""

    __slots__ = ("fstype", "options", "point", "root", "source", "super_options")

    def __init__(self, line: str) -> None:
        head, _, tail = line.partition(" - ")
        fields = head.split(" ")
        rest = tail.split(" ")
        self.root = unescape(fields[3])
        self.point = unescape(fields[4])
        self.options = frozenset(fields[5].split(","))
        self.fstype = rest[0]
        self.source = unescape(rest[1]) if len(rest) > 1 else ""
        self.super_options = frozenset(rest[2].split(",")) if len(rest) > 2 else frozenset()


def unescape(text: str) -> str:
    """Undo the octal escapes of mountinfo: space, tab, newline, backslash."""
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escape, character)
    return text


def mounts(root: str = "/") -> list[Mount]:
    """The mounts of this process's namespace, oldest first; [] without /proc."""
    lines = read("/proc/self/mountinfo", root).splitlines()
    return [Mount(line) for line in lines if " - " in line and len(line.split(" ")) >= 9]


def mount_of(path: str, root: str = "/") -> Mount | None:
    """The mount that holds the absolute `path`, existing or not."""
    best: Mount | None = None
    for mount in mounts(root):
        point = mount.point.rstrip("/")
        holds = path == point or path.startswith(point + "/")
        # A later mount on the same point covers the earlier one.
        if holds and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def in_chroot(root: str = "/") -> bool:
    """Whether this process surely runs in a chroot(2): then no mount is listed on "/"."""
    table = mounts(root)
    return bool(table) and not any(mount.point == "/" for mount in table)


def nested(root: str = "/") -> bool:
    """Whether this process is already in a user namespace other than the machine's first."""
    return read("/proc/self/uid_map", root).split() not in ([], ["0", "0", "4294967295"])


def sysctl_request(name: str, value: str) -> str:
    """The admin's lines that set a sysctl now and at each boot."""
    # One file each: the lines can be pasted again, one by one, in any order.
    path = f"/etc/sysctl.d/99-rl-{name.rpartition('.')[2]}.conf"
    return f"echo '{name} = {value}' | sudo tee {path}\nsudo sysctl -p {path}"
