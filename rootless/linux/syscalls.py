"""The Linux calls that Python's os module lacks: one function, one call, no policy.

Each function is named after its manual page, keeps its argument order and raises KernelError.
Constants: include/uapi/linux/{sched,mount,openat2,prctl,fcntl}.h.  Numbers of calls added since
Linux 5.1 are the same on every architecture but alpha; the few older ones are listed by machine.
"""

import os

from rootless.errors import KernelError
from rootless.linux import clib

# clone(2), unshare(2), setns(2)
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_PARENT = 0x00008000

# mount(2), umount2(2)
MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MNT_DETACH = 2

# The new mount API
OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
MOVE_MOUNT_F_EMPTY_PATH = 0x04
MOVE_MOUNT_T_EMPTY_PATH = 0x40
FSOPEN_CLOEXEC = 1
FSMOUNT_CLOEXEC = 1
FSCONFIG_SET_FLAG = 0
FSCONFIG_SET_STRING = 1
FSCONFIG_CMD_CREATE = 6
MOUNT_ATTR_RDONLY = 0x01
MOUNT_ATTR_NOSUID = 0x02
MOUNT_ATTR_NODEV = 0x04
MOUNT_ATTR_NOEXEC = 0x08
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR_NODIRATIME = 0x80

# openat2(2)
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

_EAGAIN = 11  # of errno, which is not needed otherwise
_OPENAT2_TURNS = 1000

FD_MAX = 0xFFFFFFFF  # close_range(2)

# prctl(2)
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39
PR_CAPBSET_READ = 23
CAP_SYS_ADMIN = 21

_NR_OPEN_TREE = 428
_NR_MOVE_MOUNT = 429
_NR_FSOPEN = 430
_NR_FSCONFIG = 431
_NR_FSMOUNT = 432
_NR_PIDFD_SEND_SIGNAL = 424
_NR_CLOSE_RANGE = 436
_NR_OPENAT2 = 437
_NR_MOUNT_SETATTR = 442
# asm-generic's numbers (aarch64, riscv64) unless the machine has a table of its own.
_NR_CLONE, _NR_PIVOT_ROOT = {"x86_64": (56, 155), "i686": (120, 217), "s390x": (120, 217)}.get(
    os.uname().machine, (220, 41)
)

_libc = clib.CDLL(None, use_errno=True)
_libc.unshare.argtypes = (clib.c_int,)
_libc.setns.argtypes = (clib.c_int, clib.c_int)
_libc.mount.argtypes = (clib.c_char_p,) * 3 + (clib.c_ulong, clib.c_char_p)
_libc.umount2.argtypes = (clib.c_char_p, clib.c_int)
_libc.prctl.argtypes = (clib.c_int,) + (clib.c_ulong,) * 4
_libc.setdomainname.argtypes = (clib.c_char_p, clib.c_size_t)
_libc.sethostname.argtypes = (clib.c_char_p, clib.c_size_t)
_libc.syscall.restype = clib.c_long


class _OpenHow(clib.Structure):
    _fields_ = (
        ("flags", clib.c_uint64),
        ("mode", clib.c_uint64),
        ("resolve", clib.c_uint64),
    )


class _MountAttr(clib.Structure):
    _fields_ = (
        ("attr_set", clib.c_uint64),
        ("attr_clr", clib.c_uint64),
        ("propagation", clib.c_uint64),
        ("userns_fd", clib.c_uint64),
    )


def _check(result: int, call: str, target: str = "") -> int:
    if result == -1:
        raise KernelError(call, clib.get_errno(), target)
    return result


def _bytes(path: str | None) -> bytes | None:
    return None if path is None else os.fsencode(path)  # keeps names that are not UTF-8


def _long(value: int) -> clib.c_long:
    return clib.c_long(value)


def unshare(flags: int) -> None:
    """unshare(2): leave the namespaces named by the CLONE_NEW* bits."""
    _check(_libc.unshare(flags), "unshare", f"{flags:#x}")


def setns(fd: int, flags: int) -> None:
    """setns(2).  With a pidfd, `flags` names all namespaces to join at once (Linux 5.8)."""
    _check(_libc.setns(fd, flags), "setns", f"{flags:#x}")


def clone(flags: int) -> int:
    """clone(2) as a fork into new namespaces: 0 in the child, its PID in the parent.

    The caller has one thread.  PyDLL keeps the interpreter lock, and the interpreter is told of
    the fork as os.fork() does; a child in CLONE_NEWPID is PID 1 there without a second fork.
    """
    sigchld = 17
    api = clib.PyDLL(None, use_errno=True)
    syscall = api.syscall
    syscall.restype = clib.c_long
    api.PyOS_BeforeFork()
    pid: int = syscall(
        _long(_NR_CLONE), _long(flags | sigchld), _long(0), _long(0), _long(0), _long(0)
    )
    if pid == 0:
        api.PyOS_AfterFork_Child()
        return 0
    errno = clib.get_errno()
    api.PyOS_AfterFork_Parent()
    if pid == -1:
        raise KernelError("clone", errno, f"{flags:#x}")
    return pid


def mount(
    source: str | None, target: str, fstype: str | None, flags: int = 0, data: str | None = None
) -> None:
    """mount(2).  The kernel cuts `data` at 4095 bytes without a word; callers check."""
    result = _libc.mount(_bytes(source), _bytes(target), _bytes(fstype), flags, _bytes(data))
    _check(result, "mount", target)


def umount2(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    _check(_libc.umount2(_bytes(target), flags), "umount2", target)


def syncfs(fd: int) -> None:
    """syncfs(2): write what is unwritten of the file system of `fd`."""
    _check(_libc.syncfs(fd), "syncfs")


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2)."""
    result = _libc.syscall(_long(_NR_PIVOT_ROOT), _bytes(new_root), _bytes(put_old))
    _check(result, "pivot_root", new_root)


def open_tree(dir_fd: int, path: str, flags: int) -> int:
    """open_tree(2), Linux 5.2: with OPEN_TREE_CLONE a detached copy of a mount."""
    result = _libc.syscall(
        _long(_NR_OPEN_TREE), _long(dir_fd), _bytes(path), _long(flags | OPEN_TREE_CLOEXEC)
    )
    return _check(result, "open_tree", path)


def move_mount(from_fd: int, to_fd: int) -> None:
    """move_mount(2), Linux 5.2: attach the mount `from_fd` on the place `to_fd` (both by fd)."""
    flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
    result = _libc.syscall(
        _long(_NR_MOVE_MOUNT), _long(from_fd), b"", _long(to_fd), b"", _long(flags)
    )
    _check(result, "move_mount")


def fsopen(fstype: str) -> int:
    """fsopen(2), Linux 5.2."""
    result = _libc.syscall(_long(_NR_FSOPEN), _bytes(fstype), _long(FSOPEN_CLOEXEC))
    return _check(result, "fsopen", fstype)


def fsconfig_string(fs_fd: int, key: str, value: str) -> None:
    """fsconfig(2), FSCONFIG_SET_STRING.  The kernel takes at most 255 bytes of value."""
    result = _libc.syscall(
        _long(_NR_FSCONFIG), _long(fs_fd), _long(FSCONFIG_SET_STRING), _bytes(key), _bytes(value),
        _long(0),
    )  # fmt: skip
    _check(result, "fsconfig", f"{key}={value}")


def fsconfig_flag(fs_fd: int, key: str) -> None:
    """fsconfig(2), FSCONFIG_SET_FLAG."""
    result = _libc.syscall(
        _long(_NR_FSCONFIG), _long(fs_fd), _long(FSCONFIG_SET_FLAG), _bytes(key), None, _long(0)
    )
    _check(result, "fsconfig", key)


def fsconfig_create(fs_fd: int) -> None:
    """fsconfig(2), FSCONFIG_CMD_CREATE: make the superblock."""
    result = _libc.syscall(
        _long(_NR_FSCONFIG), _long(fs_fd), _long(FSCONFIG_CMD_CREATE), None, None, _long(0)
    )
    _check(result, "fsconfig", "create")


def fsmount(fs_fd: int, attributes: int) -> int:
    """fsmount(2), Linux 5.2: a detached mount, as a descriptor."""
    result = _libc.syscall(
        _long(_NR_FSMOUNT), _long(fs_fd), _long(FSMOUNT_CLOEXEC), _long(attributes)
    )
    return _check(result, "fsmount")


def mount_setattr(
    fd: int, *, set_: int = 0, clear: int = 0, propagation: int = 0, recursive: bool = False
) -> None:
    """mount_setattr(2), Linux 5.12, on the mount that `fd` is."""
    attributes = _MountAttr(set_, clear, propagation, 0)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    result = _libc.syscall(
        _long(_NR_MOUNT_SETATTR), _long(fd), b"", _long(flags),
        clib.byref(attributes), _long(clib.sizeof(attributes)),
    )  # fmt: skip
    _check(result, "mount_setattr")


def openat2(dir_fd: int, path: "str | bytes", flags: int, mode: int = 0, resolve: int = 0) -> int:
    """openat2(2), Linux 5.6.  The descriptor is close-on-exec.

    Where a rename or mount, anywhere, comes between two steps of a path with "..", the kernel
    cannot be sure that it stays below (EAGAIN), and is asked again.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    for _ in range(_OPENAT2_TURNS):
        result = _libc.syscall(
            _long(_NR_OPENAT2), _long(dir_fd), os.fsencode(path),
            clib.byref(how), _long(clib.sizeof(how)),
        )  # fmt: skip
        if result != -1 or clib.get_errno() != _EAGAIN:
            break
    return _check(result, "openat2", os.fsdecode(path))


def pidfd_send_signal(pidfd: int, signal: int) -> None:
    """pidfd_send_signal(2), Linux 5.1."""
    result = _libc.syscall(
        _long(_NR_PIDFD_SEND_SIGNAL), _long(pidfd), _long(signal), None, _long(0)
    )
    _check(result, "pidfd_send_signal", str(signal))


def close_range(first: int, last: int, flags: int = 0) -> None:
    """close_range(2): close the descriptors from `first` to `last`."""
    result = _libc.syscall(_long(_NR_CLOSE_RANGE), _long(first), _long(last), _long(flags))
    _check(result, "close_range", str(first))


def close_all_but(fd: int) -> None:
    """Close every descriptor of this process except `fd`."""
    if fd:
        close_range(0, fd - 1)
    close_range(fd + 1, FD_MAX)


def close_on_exec_from(first: int) -> None:
    """close_range(2) with CLOSE_RANGE_CLOEXEC (Linux 5.11): nothing from `first` on survives
    an exec."""
    close_range(first, FD_MAX, 4)


def prctl(option: int, value: int = 0) -> int:
    """prctl(2) with one argument."""
    return _check(_libc.prctl(option, value, 0, 0, 0), "prctl", str(option))


def set_name(name: str) -> None:
    """prctl(2), PR_SET_NAME: the name of this thread, at most 15 bytes of it."""
    buffer = (clib.c_char * 16).from_buffer_copy(name.encode()[:15].ljust(16, b"\0"))
    prctl(PR_SET_NAME, clib.addressof(buffer))


def write_memory(address: int, data: bytes) -> None:
    """memcpy(3) to this process' memory at `address`."""
    (clib.c_char * len(data)).from_address(address).raw = data


def sethostname(name: str) -> None:
    """sethostname(2), at most 64 bytes."""
    data = os.fsencode(name)
    _check(_libc.sethostname(data, len(data)), "sethostname", name)


def setdomainname(name: str) -> None:
    """setdomainname(2), at most 64 bytes."""
    data = os.fsencode(name)
    _check(_libc.setdomainname(data, len(data)), "setdomainname", name)
