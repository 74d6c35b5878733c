"""Capabilities: their numbers, and dropping them for good.  Only ctypes; no policy but the names.

Source: include/uapi/linux/capability.h, capabilities(7).
"""

import errno

from rootless.errors import KernelError
from rootless.linux import clib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# In the order of their numbers: NAMES[21] is CAP_SYS_ADMIN.
NAMES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)

# What Docker gives a container, in the order that `docker inspect` and capsh show.
DEFAULT = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
)

_VERSION_3 = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: two 32-bit words per set
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_PR_CAP_AMBIENT_CLEAR_ALL = 4

_libc = clib.CDLL(None, use_errno=True)
_libc.prctl.argtypes = (clib.c_int,) + (clib.c_ulong,) * 4
_libc.capset.argtypes = (clib.c_void_p, clib.c_void_p)
_libc.capget.argtypes = (clib.c_void_p, clib.c_void_p)


def mask(names: "Sequence[str]") -> int:
    """The bits of the capabilities `names` ("CAP_CHOWN", ...)."""
    bits = 0
    for name in names:
        bits |= 1 << NAMES.index(name)
    return bits


def names_of(bits: int) -> list[str]:
    """The names of the bits that this module knows, by number."""
    return [name for number, name in enumerate(NAMES) if bits >> number & 1]


def limit_bounding(names: "Sequence[str]") -> None:
    """Take every capability that is not among `names` out of the bounding set.

    Needs CAP_SETPCAP, so it comes before `apply` (prctl(2), PR_CAPBSET_DROP).
    """
    keep = mask(names)
    for number in range(64):
        if keep >> number & 1:
            continue
        if _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) == -1:
            code = clib.get_errno()
            if code == errno.EINVAL:
                return  # past the last one that this kernel knows
            raise KernelError("prctl", code, f"PR_CAPBSET_DROP {number}")


def set_sets(*, effective: int, permitted: int, inheritable: int) -> None:
    """capset(2) on the calling thread.  Capabilities unknown to the kernel are ignored by it."""
    header = (clib.c_uint32 * 2)(_VERSION_3, 0)
    word = 0xFFFFFFFF
    sets = (effective, permitted, inheritable)
    data = (clib.c_uint32 * 6)(*(s & word for s in sets), *(s >> 32 for s in sets))
    if _libc.capset(clib.byref(header), clib.byref(data)) == -1:
        raise KernelError("capset", clib.get_errno(), f"{permitted:#x}")


def get_sets() -> tuple[int, int, int]:
    """(effective, permitted, inheritable) of the calling thread: capget(2)."""
    header = (clib.c_uint32 * 2)(_VERSION_3, 0)
    data = (clib.c_uint32 * 6)()
    if _libc.capget(clib.byref(header), clib.byref(data)) == -1:
        raise KernelError("capget", clib.get_errno())
    words = list(data)
    return (
        words[0] | words[3] << 32,
        words[1] | words[4] << 32,
        words[2] | words[5] << 32,
    )


def bounding() -> int:
    """The bounding set of the calling thread."""
    bits = 0
    for number in range(64):
        state = _libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0)
        if state < 0:
            break
        bits |= state << number
    return bits


def clear_ambient() -> None:
    """Empty the ambient set, so that execve(2) of a user other than root gains nothing."""
    if _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == -1:
        raise KernelError("prctl", clib.get_errno(), "PR_CAP_AMBIENT_CLEAR_ALL")


def set_ambient(keep: int) -> None:
    """Make exactly `keep` ambient.  Each must be permitted and inheritable already."""
    clear_ambient()
    for number in range(64):
        if keep >> number & 1 and (
            _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number, 0, 0) == -1
        ):
            raise KernelError("prctl", clib.get_errno(), f"PR_CAP_AMBIENT_RAISE {number}")


def apply(capabilities: "Mapping[str, Sequence[str]]", uid: int = 0) -> None:
    """Set the sets of an OCI `process.capabilities`, after the change to user `uid`.

    The bounding set must have been cut before (`limit_bounding`), while CAP_SETPCAP was effective.
    A set that is not named is emptied.  A user other than root keeps what is ambient: execve(2)
    takes the rest in any case, and until then nothing more should pass a permission check.
    """
    wanted = {key: mask(names) for key, names in capabilities.items()}
    ambient = wanted.get("ambient", 0)
    permitted = wanted.get("permitted", 0) if uid == 0 else ambient
    # What is not ours cannot be asked for: an exec into a container by a weaker caller.
    permitted &= get_sets()[1]
    set_sets(
        effective=wanted.get("effective", 0) & permitted,
        permitted=permitted,
        inheritable=(wanted.get("inheritable", 0) | ambient) & permitted,
    )
    set_ambient(ambient & permitted)


def parse(text: str) -> str:
    """The full name of a capability written as on a command line, "" if there is none.

    "net_admin", "CAP_NET_ADMIN" and "ALL" are understood, in either case.
    """
    name = text.strip().upper()
    if name == "ALL":
        return name
    if not name.startswith("CAP_"):
        name = f"CAP_{name}"
    return name if name in NAMES else ""
