"""Resource limits: names, numbers, prlimit(2), and the defaults of a container."""

from rootless.errors import KernelError
from rootless.linux import clib

UNLIMITED = -1  # how rl writes RLIM_INFINITY
INFINITY = 2**64 - 1

# Generic numbers, as on x86, arm and riscv (include/uapi/asm-generic/resource.h).
NUMBERS = {
    "cpu": 0,
    "fsize": 1,
    "data": 2,
    "stack": 3,
    "core": 4,
    "rss": 5,
    "nproc": 6,
    "nofile": 7,
    "memlock": 8,
    "as": 9,
    "locks": 10,
    "sigpending": 11,
    "msgqueue": 12,
    "nice": 13,
    "rtprio": 14,
    "rttime": 15,
}

# Programs that make tables of nofile entries suffer from the kernel's 2^30: podman's number.
DEFAULT_MAX = 1048576

_libc = clib.CDLL(None, use_errno=True)
_libc.prlimit.argtypes = (clib.c_int, clib.c_int, clib.c_void_p, clib.c_void_p)


def number_of(name: str) -> int:
    """The number of "nofile" or "RLIMIT_NOFILE"."""
    return NUMBERS[name.removeprefix("RLIMIT_").lower()]


def get(name: str, pid: int = 0) -> tuple[int, int]:
    """(soft, hard) of the limit `name` ("nofile"); UNLIMITED for no limit."""
    pair = (clib.c_uint64 * 2)()
    if _libc.prlimit(pid, number_of(name), None, clib.byref(pair)) == -1:
        raise KernelError("prlimit", clib.get_errno(), name)
    soft, hard = (UNLIMITED if value == INFINITY else value for value in list(pair))
    return soft, hard


def set_limit(name: str, soft: int, hard: int, pid: int = 0) -> None:
    """prlimit(2); UNLIMITED (or INFINITY) for no limit."""
    pair = (clib.c_uint64 * 2)(soft & INFINITY, hard & INFINITY)
    if _libc.prlimit(pid, number_of(name), clib.byref(pair), None) == -1:
        raise KernelError("prlimit", clib.get_errno(), f"{name} {soft}:{hard}")


def host_limits() -> dict[str, tuple[int, int]]:
    """Every limit of this process: what a container inherits, and its ceiling."""
    return {name: get(name) for name in NUMBERS}


def within(value: int, ceiling: int) -> bool:
    """Whether the limit `value` is at most `ceiling`, with UNLIMITED as the largest."""
    if ceiling == UNLIMITED:
        return True
    return value != UNLIMITED and value <= ceiling


def lowered(name: str, soft: int, hard: int) -> tuple[int, int]:
    """(soft, hard), no higher than the hard limit of this process: nobody can raise that."""
    ceiling = get(name)[1] & INFINITY
    return min(soft & INFINITY, ceiling), min(hard & INFINITY, ceiling)


def defaults(host: "dict[str, tuple[int, int]]") -> dict[str, tuple[int, int]]:
    """The default ulimits of a container: nofile and nproc as high as the host lets us.

    A shell's soft limit of 1024 files is for people at a terminal, not for servers.  The other
    limits are inherited, so that a container stays inside those of whoever started it.
    """
    chosen: dict[str, tuple[int, int]] = {}
    for name in ("nofile", "nproc"):
        if name in host:
            hard = host[name][1]
            value = DEFAULT_MAX if hard == UNLIMITED else min(hard, DEFAULT_MAX)
            chosen[name] = (value, value)
    return chosen
