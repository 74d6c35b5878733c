"""Which seccomp filter a container gets: a file with a compiled BPF program.  Warm.

The default profile is shipped compiled (helpers/seccomp/<machine>.bpf), for Docker's default
capabilities.  Other capabilities and other profiles are compiled once, with libseccomp, and kept
in the store's cache under the digest of all that they depend on.
"""

import os

from rootless.errors import BadDocument
from rootless.runtime.options_security import effective_capabilities
from rootless.store import atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rootless.context import Context
    from rootless.runtime.options import RunOptions

PROFILE = "seccomp/default.json"
PROFILE_MAX = 1 << 20  # bytes; Docker's own has 13 KiB

# The capabilities that default.json speaks of.  A container with none of them but CAP_SYS_CHROOT
# needs the filter that is shipped.  One without that too: chroot(2) fails in the kernel then.
RELEVANT = frozenset(
    (
        "CAP_BPF",
        "CAP_DAC_READ_SEARCH",
        "CAP_PERFMON",
        "CAP_SYSLOG",
        "CAP_SYS_ADMIN",
        "CAP_SYS_BOOT",
        "CAP_SYS_CHROOT",
        "CAP_SYS_MODULE",
        "CAP_SYS_NICE",
        "CAP_SYS_PACCT",
        "CAP_SYS_PTRACE",
        "CAP_SYS_RAWIO",
        "CAP_SYS_TIME",
        "CAP_SYS_TTY_CONFIG",
    )
)
# Part of the cache's key: a filter made by other rules is another filter.
_COMPILER = "1"


def program_for(ctx: "Context", options: "RunOptions") -> str:
    """The path of the BPF program for a container of `options`, "" when it has none.

    Raises BadDocument for a profile that cannot be read or makes no sense,
    HostError when one must be compiled and libseccomp is missing.
    """
    profile = options.security["seccomp"]
    if profile == "unconfined":
        return ""
    names = effective_capabilities(options.cap_add, options.cap_drop, options.privileged)
    machine = os.uname().machine
    if profile:
        content, where = _read(profile), f"the seccomp profile {profile}"
    else:
        relevant = RELEVANT.intersection(names)
        shipped = ctx.helper(f"seccomp/{machine}.bpf")
        if relevant <= {"CAP_SYS_CHROOT"} and os.path.exists(shipped):
            return shipped
        names = sorted(relevant)
        content, where = _read(ctx.helper(PROFILE)), "the default seccomp profile"
    return _cached(ctx, content, names, machine, where)


def _cached(
    ctx: "Context", content: bytes, names: "Sequence[str]", machine: str, where: str
) -> str:
    """The compiled profile in the store's cache; made when it is not there."""
    import hashlib  # not on the way of a container with the default profile

    kernel = ".".join(os.uname().release.split(".")[:2])
    key = "\n".join((_COMPILER, machine, kernel, *sorted(names), "")).encode()
    path = f"{ctx.paths.cache}/seccomp-{hashlib.sha256(key + content).hexdigest()}.bpf"
    try:
        if os.stat(path).st_size:
            return path
    except FileNotFoundError:
        pass
    from rootless.linux import seccomp as kernel_seccomp
    from rootless.runtime import seccomp_compile

    program = seccomp_compile.compile_profile(
        seccomp_compile.parse(content, where), names, machine=machine, kernel=kernel, where=where
    )
    problem = kernel_seccomp.check(program)
    if problem:
        raise BadDocument(
            f"cannot use {where}: {problem}",
            remedy="name fewer system calls, or fewer conditions",
            code="RL-SECCOMP-PROFILE",
        )
    os.makedirs(ctx.paths.cache, mode=0o700, exist_ok=True)
    atomic.write_bytes(path, program)
    return path


def _read(path: str) -> bytes:
    """A profile's bytes."""
    try:
        with open(path, "rb") as file:
            content = file.read(PROFILE_MAX + 1)
    except OSError as e:
        raise BadDocument(
            f"cannot read the seccomp profile {path}: {e.strerror}",
            remedy="give a file, or --security-opt seccomp=unconfined",
            code="RL-SECCOMP-PROFILE",
        ) from e
    if len(content) > PROFILE_MAX:
        raise BadDocument(
            f"cannot use the seccomp profile {path}: it is larger than 1 MiB",
            remedy="give a profile in Docker's JSON format",
            code="RL-SECCOMP-PROFILE",
        )
    return content
