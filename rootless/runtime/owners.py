"""Where one ID is mapped: who files should belong to, noted while a container runs.

The filter helpers/seccomp/one-id.json stops the chown family.  Its calls are answered by the
recorder, a process of ours in the container's user and mount namespace: it resolves the path as
the process that asks would, and writes the owner down beside the file, in the extended attribute
of layer/whiteout.py.  Symbolic links and pipes take none: those are listed by their inode in the
container's upper directory (layer/link_owners.py).  A file of a volume is the host's: nothing is
noted there.

docs/decisions/046-one-id.md.  Source: seccomp_unotify(2), chown(2).
"""

import errno
import os
import select
import stat
import struct

from rootless.errors import KernelError
from rootless.layer import link_owners
from rootless.layer.whiteout import OWNER_XATTR
from rootless.linux import namespaces, notify, syscalls
from rootless.store import mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from rootless.context import Context
    from rootless.store.containers import Container

_RETURN = 0x06  # BPF_RET | BPF_K
_MARK = struct.pack("=HBBI", _RETURN, 0, 0, 0x00050000 | 4094)
_DONE = struct.pack("=HBBI", _RETURN, 0, 0, 0x00050000)
_NOTIFY = struct.pack("=HBBI", _RETURN, 0, 0, 0x7FC00000)

_AT_SYMLINK_NOFOLLOW = 0x100
_AT_EMPTY_PATH = 0x1000
_AT_FDCWD = 0xFFFFFF9C
_KEEP = 0xFFFFFFFF
_NO_XATTR = (errno.EOPNOTSUPP, errno.ENOSPC, errno.EDQUOT, errno.ENODATA)

# AUDIT_ARCH_* -> number -> name, with "16" for those of 16-bit IDs.
_CALLS = {
    0xC000003E: {92: "chown", 93: "fchown", 94: "lchown", 260: "fchownat"},
    0xC00000B7: {54: "fchownat", 55: "fchown"},
    0x40000003: {
        16: "lchown16", 95: "fchown16", 182: "chown16",
        198: "lchown", 207: "fchown", 212: "chown", 298: "fchownat",
    },
    0x40000028: {
        16: "lchown16", 95: "fchown16", 182: "chown16",
        198: "lchown", 207: "fchown", 212: "chown", 325: "fchownat",
    },
}  # fmt: skip
_X32 = 0x40000000  # bit in the number of a call


def pretending(program: bytes) -> bytes:
    """The filter with "done" for changes of owners."""
    return program.replace(_MARK, _DONE)


def noting(program: bytes) -> bytes:
    """The filter that asks a listener about changes of owners."""
    return program.replace(_MARK, _NOTIFY)


class Recorder:
    """The recorder as its parent knows it."""

    __slots__ = ("pid",)

    def __init__(
        self, listener_fd: int, pidfd: int, upper: str, links: str, *, outlives_us: bool = False
    ) -> None:
        """Start it for the container whose init is `pidfd`; it ends with the container, or with
        the last process that can ask.

        `upper` is the container's upper directory; `links` the file of layer/link_owners.py.
        With `outlives_us` it stays when this process ends: `rl exec` leaves daemons behind.
        Closes `listener_fd`.
        """
        self.pid = os.fork()
        if self.pid == 0:
            _serve(listener_fd, pidfd, upper, links, outlives_us=outlives_us)
        os.close(listener_fd)

    def finish(self) -> None:
        """Wait for its end; the container has ended."""
        os.waitpid(self.pid, 0)


def has_call(listener_fd: int) -> bool:
    """Whether a call waits; what makes the listener ready otherwise is that nobody can ask."""
    look = select.poll()
    look.register(listener_fd, select.POLLIN)
    return any(events & select.POLLIN for _, events in look.poll(0))


def settle(ctx: "Context", container: "Container") -> None:
    """Write down where they are read what the recorder has listed of the container so far."""
    path = container.link_owners_path
    if not os.path.exists(path):
        return
    upper = f"{container.directory}/upper"

    def work() -> None:
        link_owners.settle(os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), path)

    namespaces.run_in_user_namespace(mapping.default_map(ctx), ctx.environ, work)


def _serve(
    listener_fd: int, pidfd: int, upper: str, links: str, *, outlives_us: bool
) -> "NoReturn":
    status = 1
    try:
        os.setsid()  # Ctrl-C is the program's
        if not outlives_us:
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
        upper_fd = os.open(upper, os.O_PATH | os.O_DIRECTORY)
        links_fd = os.open(links, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        proc_fd = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
        namespaces.join_owner_of_mounts(_pid_of(pidfd))
        syscalls.setns(pidfd, syscalls.CLONE_NEWNS)
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        _keep_only(listener_fd, pidfd, upper_fd, links_fd, proc_fd)
        _Recording(listener_fd, proc_fd, upper_fd, links_fd).run(pidfd)
        status = 0
    finally:
        os._exit(status)


def _pid_of(pidfd: int) -> int:
    """The PID that a pidfd is of: pidfd_open(2)."""
    with open(f"/proc/self/fdinfo/{pidfd}") as file:
        return int(file.read().partition("Pid:")[2].split()[0])


def _keep_only(*wanted: int) -> None:
    """Close all other descriptors: output ends when its last writer closes it."""
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    first = 3
    for fd in sorted(wanted):
        os.closerange(first, fd)
        first = fd + 1
    os.closerange(first, 65536)


class _Recording:
    def __init__(self, listener_fd: int, proc_fd: int, upper_fd: int, links_fd: int) -> None:
        self._listener_fd = listener_fd
        self._proc_fd = proc_fd
        self._upper_fd = upper_fd
        self._links_fd = links_fd
        self._root_mount = self._mount_of(os.open("/", os.O_PATH | os.O_DIRECTORY))

    def run(self, pidfd: int) -> None:
        """Answer until the last process under the filter has gone, or the container's init."""
        waiting = select.poll()
        waiting.register(self._listener_fd, select.POLLIN)
        waiting.register(pidfd, select.POLLIN)
        while True:
            ready = dict(waiting.poll())
            if ready.get(self._listener_fd, 0) & select.POLLIN:
                call = notify.receive(self._listener_fd)
                if call is not None:
                    notify.answer(self._listener_fd, call, self._answer(call))
            elif ready:
                return

    def _answer(self, call: notify.Call) -> int:
        try:
            fd, uid, gid = self._target(call)
        except OSError as e:
            return e.errno or errno.EIO
        try:
            if notify.is_valid(self._listener_fd, call):
                self._note(fd, uid, gid)
        except OSError as e:
            return e.errno if e.errno == errno.EROFS else 0
        except KernelError:
            pass  # it cannot be noted; pretend, as for the other IDs
        finally:
            os.close(fd)
        return 0

    def _target(self, call: notify.Call) -> tuple[int, int, int]:
        """What a call is about, opened with O_PATH; and the owner."""
        name = _CALLS.get(call.arch, {}).get(call.number & ~_X32, "")
        short = name.endswith("16")
        name = name.removesuffix("16")
        first, second, third, fourth, fifth = (value & _KEEP for value in call.args[:5])
        if name == "fchown":
            return self._open_fd(call, first), _id(second, short), _id(third, short)
        if name == "fchownat":
            path = notify.read_path(self._proc_fd, call, call.args[1])
            if not path and fifth & _AT_EMPTY_PATH:
                fd = self._open_fd(call, first)
            else:
                fd = self._open_path(call, first, path, fifth & _AT_SYMLINK_NOFOLLOW)
            return fd, third, fourth
        path = notify.read_path(self._proc_fd, call, call.args[0])
        fd = self._open_path(call, _AT_FDCWD, path, name == "lchown")
        return fd, _id(second, short), _id(third, short)

    def _open_fd(self, call: notify.Call, number: int) -> int:
        """The object behind a descriptor of the process."""
        place = "cwd" if number == _AT_FDCWD else f"fd/{number}"
        try:
            return os.open(f"{call.pid}/{place}", os.O_PATH | os.O_CLOEXEC, dir_fd=self._proc_fd)
        except FileNotFoundError:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from None

    def _open_path(
        self, call: notify.Call, directory: int, path: bytes, no_follow: "bool | int"
    ) -> int:
        """What the path means to the process: seen from its root and its directory."""
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        root = os.open(f"{call.pid}/root", flags, dir_fd=self._proc_fd)
        try:
            os.fchdir(root)
            os.chroot(".")
        finally:
            os.close(root)
        if not path.startswith(b"/"):
            start = self._open_fd(call, directory)
            try:
                os.fchdir(start)
            finally:
                os.close(start)
        return os.open(path, os.O_PATH | os.O_CLOEXEC | (os.O_NOFOLLOW if no_follow else 0))

    def _note(self, fd: int, uid: int, gid: int) -> None:
        if self._mount_of(fd) != self._root_mount:
            return
        os.fchdir(self._proc_fd)
        by_fd = f"self/fd/{fd}"
        mode = os.fstat(fd).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            self._note_link(by_fd, uid, gid)
            return
        if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
            # chown(2) takes these bits away, also when the owner stays the same.
            os.chown(by_fd, 0, 0)
        try:
            old = [int(word) for word in os.getxattr(by_fd, OWNER_XATTR).split(b":")]
        except (OSError, ValueError):
            old = []
        owner = _merged(old, uid, gid)
        try:
            if owner != [0, 0]:
                os.setxattr(by_fd, OWNER_XATTR, b"%d:%d" % tuple(owner))
            elif old:
                os.removexattr(by_fd, OWNER_XATTR)
        except OSError as e:
            if e.errno not in _NO_XATTR:
                raise

    def _note_link(self, by_fd: str, uid: int, gid: int) -> None:
        """A symbolic link or a pipe: in the list, by its inode in the upper directory."""
        os.chown(by_fd, 0, 0)  # copies it up
        directory, _, name = os.readlink(by_fd).rpartition("/")
        above = syscalls.openat2(
            self._upper_fd,
            directory.lstrip("/") or ".",
            os.O_PATH | os.O_DIRECTORY,
            resolve=syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS,
        )
        try:
            inode = os.lstat(name, dir_fd=above).st_ino
        finally:
            os.close(above)
        old = []
        if _KEEP in (uid, gid):
            old = link_owners.read(self._links_fd).get(inode, [])
        link_owners.add(self._links_fd, inode, *_merged(old, uid, gid))

    def _mount_of(self, fd: int) -> bytes:
        """The ID of the mount that the descriptor is on: proc_pid_fdinfo(5)."""
        found = os.open(f"self/fdinfo/{fd}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc_fd)
        try:
            return os.read(found, 512).partition(b"mnt_id:")[2].split(None, 1)[0]
        finally:
            os.close(found)


def _merged(old: "list[int]", uid: int, gid: int) -> "list[int]":
    """The owner after a change; -1 keeps what was."""
    before = old if len(old) == 2 else [0, 0]
    return [before[0] if uid == _KEEP else uid, before[1] if gid == _KEEP else gid]


def _id(value: int, short: bool) -> int:
    """An ID as the call gives it; of 16 bits, whose -1 is another."""
    if not short:
        return value
    value &= 0xFFFF
    return _KEEP if value == 0xFFFF else value
