"""seccomp_unotify(2): system calls of a filtered process, answered by another one.

A filter that returns SECCOMP_RET_USER_NOTIF is loaded with a listener (linux.seccomp); whoever
holds the listener's descriptor receives each such call and says how it ends.  What a call points
to may change, and its process may end, at any time: look, then is_valid(), then believe it.
Source: seccomp_unotify(2), include/uapi/linux/seccomp.h.
"""

import errno
import fcntl
import os
import struct

_RECV = 0xC0502100  # _IOWR('!', 0, struct seccomp_notif)
_SEND = 0xC0182101  # _IOWR('!', 1, struct seccomp_notif_resp)
_ID_VALID = 0x40082102  # _IOW('!', 2, __u64)

_NOTIFICATION = struct.Struct("=QIIiIQ6Q")  # id, pid, flags; nr, arch, instruction pointer, args
_RESPONSE = struct.Struct("=QqiI")  # id, value, error, flags


class Call:
    """One system call that waits for its answer.  `pid` is as the receiver's PID namespace sees
    it; `arch` is an AUDIT_ARCH_*."""

    __slots__ = ("arch", "args", "id", "number", "pid")

    def __init__(self, data: bytes) -> None:
        self.id, self.pid, _, self.number, self.arch, _, *self.args = _NOTIFICATION.unpack(data)


def receive(listener_fd: int) -> Call | None:
    """The next call; None when the one that was there has been interrupted."""
    buffer = bytearray(_NOTIFICATION.size)
    try:
        fcntl.ioctl(listener_fd, _RECV, buffer)
    except OSError as e:
        if e.errno in (errno.ENOENT, errno.EINTR):
            return None
        raise
    return Call(bytes(buffer))


def is_valid(listener_fd: int, call: Call) -> bool:
    """Whether the process of `call` still waits: what was opened by its PID is its own then."""
    try:
        fcntl.ioctl(listener_fd, _ID_VALID, struct.pack("=Q", call.id))
    except OSError:
        return False
    return True


def answer(listener_fd: int, call: Call, error: int) -> None:
    """End the call: with 0 when `error` is 0, else as failed with that errno."""
    try:
        fcntl.ioctl(listener_fd, _SEND, _RESPONSE.pack(call.id, 0, -error, 0))
    except OSError as e:
        if e.errno != errno.ENOENT:  # it was interrupted, and may come again
            raise


def read_path(proc_fd: int, call: Call, address: int) -> bytes:
    """The string at `address` of the process, a path; `proc_fd` is the /proc that knows its PID.

    Raises OSError: EFAULT, ENAMETOOLONG.
    """
    found = b""
    fd = os.open(f"{call.pid}/mem", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc_fd)
    try:
        while len(found) < 4096:
            place = address + len(found)
            try:
                # A page at most: the one after it may not be there.
                data = os.pread(fd, 4096 - place % 4096, place)
            except (OSError, OverflowError):
                data = b""
            if not data:
                raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
            text, end, _ = data.partition(b"\0")
            found += text
            if end:
                return found
    finally:
        os.close(fd)
    raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
