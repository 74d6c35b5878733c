"""Loading a compiled seccomp filter: one system call, no library.

The program is an array of struct sock_filter in the byte order of this machine, as libseccomp's
seccomp_export_bpf writes it.  Source: seccomp(2), include/uapi/linux/{seccomp,filter}.h.
"""

import errno
import os

from rootless.errors import KernelError
from rootless.linux import clib

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_SECCOMP_SET_MODE_FILTER = 1
_FILTER_FLAG_NEW_LISTENER = 8  # Linux 5.0
_FILTER_FLAG_SPEC_ALLOW = 4  # no speculation penalty (Linux 4.17), as runc and crun set it
_INSTRUCTION_SIZE = 8
_INSTRUCTIONS_MAX = 4096  # BPF_MAXINSNS

# seccomp(2) has no libc wrapper, and its number is older than the unified table.
_NUMBERS = {
    "x86_64": 317,
    "aarch64": 277,
    "riscv64": 277,
    "loongarch64": 277,
    "ppc64le": 358,
    "s390x": 348,
    "armv7l": 383,
    "armv6l": 383,
    "i686": 354,
}

_libc = clib.CDLL(None, use_errno=True)
_libc.prctl.argtypes = (clib.c_int,) + (clib.c_ulong,) * 4
_libc.syscall.restype = clib.c_long


class _Program(clib.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", clib.c_ushort), ("filter", clib.c_void_p))


def set_no_new_privs() -> None:
    """prctl(2), PR_SET_NO_NEW_PRIVS: nothing executed from here on can gain privileges."""
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1:
        raise KernelError("prctl", clib.get_errno(), "PR_SET_NO_NEW_PRIVS")


def check(program: bytes) -> str:
    """Why `program` cannot be a filter, "" if it can."""
    count, rest = divmod(len(program), _INSTRUCTION_SIZE)
    if rest or not count:
        return f"{len(program)} bytes are not a whole number of BPF instructions"
    if count > _INSTRUCTIONS_MAX:
        return f"{count} BPF instructions are more than the kernel's {_INSTRUCTIONS_MAX}"
    return ""


def load(program: bytes) -> None:
    """Put the calling thread, and what it executes, under the filter.  There is no way back.

    Needs CAP_SYS_ADMIN in our user namespace or no_new_privs (`set_no_new_privs`).
    """
    problem = check(program)
    if problem:
        raise KernelError("seccomp", errno.EINVAL, problem)
    buffer = (clib.c_char * len(program)).from_buffer_copy(program)
    header = _Program(len(program) // _INSTRUCTION_SIZE, clib.addressof(buffer))
    number = _NUMBERS.get(os.uname().machine)
    if number is not None:
        for flags in (_FILTER_FLAG_SPEC_ALLOW, 0):
            result = _libc.syscall(
                clib.c_long(number),
                clib.c_uint(_SECCOMP_SET_MODE_FILTER),
                clib.c_uint(flags),
                clib.byref(header),
            )
            if result == 0:
                return
            if clib.get_errno() != errno.EINVAL:
                break
        raise KernelError("seccomp", clib.get_errno(), "SECCOMP_SET_MODE_FILTER")
    address = clib.addressof(header)
    if _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, address, 0, 0) == -1:
        raise KernelError("prctl", clib.get_errno(), "PR_SET_SECCOMP")


def load_with_listener(program: bytes) -> int:
    """load(), and the close-on-exec descriptor that SECCOMP_RET_USER_NOTIF tells: linux.notify.

    Raises KernelError: EBUSY where a filter above has a listener, EINVAL on a kernel without.
    """
    buffer = (clib.c_char * len(program)).from_buffer_copy(program)
    header = _Program(len(program) // _INSTRUCTION_SIZE, clib.addressof(buffer))
    number = _NUMBERS.get(os.uname().machine)
    if number is None:
        raise KernelError("seccomp", errno.ENOSYS, os.uname().machine)
    result = int(
        _libc.syscall(
            clib.c_long(number),
            clib.c_uint(_SECCOMP_SET_MODE_FILTER),
            clib.c_uint(_FILTER_FLAG_NEW_LISTENER | _FILTER_FLAG_SPEC_ALLOW),
            clib.byref(header),
        )
    )
    if result == -1:
        raise KernelError("seccomp", clib.get_errno(), "SECCOMP_FILTER_FLAG_NEW_LISTENER")
    return result
