"""Compile a seccomp profile in Docker's JSON format to BPF, with libseccomp through ctypes.  Cold.

The format and its meaning are moby's profiles/seccomp and runc's libcontainer/seccomp: rules with
`includes` and `excludes` (capabilities, architectures, kernel), one errno for the rest.

Before libseccomp's program stand a few instructions of ours, as runc does: a system call with a
number above those that libseccomp knows answers ENOSYS, not the profile's EPERM, so that a libc
newer than the profile falls back to an older call; those of NEWER that the profile names are
allowed.  docs/decisions/030-seccomp.md.
"""

import ctypes
import json
import os
import struct

from rootless.errors import BadDocument, HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

# AUDIT_ARCH_* of each SCMP_ARCH_*: include/uapi/linux/audit.h, seccomp.h.in.
ARCHITECTURES = {
    "SCMP_ARCH_X86": 0x40000003,
    "SCMP_ARCH_X86_64": 0xC000003E,
    "SCMP_ARCH_X32": 0x4000003E,
    "SCMP_ARCH_ARM": 0x40000028,
    "SCMP_ARCH_AARCH64": 0xC00000B7,
    "SCMP_ARCH_RISCV64": 0xC00000F3,
    "SCMP_ARCH_PPC64LE": 0xC0000015,
    "SCMP_ARCH_S390": 0x00000016,
    "SCMP_ARCH_S390X": 0x80000016,
    "SCMP_ARCH_LOONGARCH64": 0xC0000102,
}
# uname(2)'s machine -> (SCMP_ARCH_*, the name that Docker's `arches` have)
MACHINES = {
    "x86_64": ("SCMP_ARCH_X86_64", "amd64"),
    "aarch64": ("SCMP_ARCH_AARCH64", "arm64"),
    "riscv64": ("SCMP_ARCH_RISCV64", "riscv64"),
    "ppc64le": ("SCMP_ARCH_PPC64LE", "ppc64le"),
    "s390x": ("SCMP_ARCH_S390X", "s390x"),
    "loongarch64": ("SCMP_ARCH_LOONGARCH64", "loong64"),
    "armv7l": ("SCMP_ARCH_ARM", "arm"),
    "armv6l": ("SCMP_ARCH_ARM", "arm"),
    "i686": ("SCMP_ARCH_X86", "x86"),
}
# Numbers of system calls that an older libseccomp does not know, the same on every architecture
# since 424: scripts/syscall.tbl of Linux 6.17.
NEWER = {
    "futex_waitv": 449,
    "set_mempolicy_home_node": 450,
    "cachestat": 451,
    "fchmodat2": 452,
    "map_shadow_stack": 453,
    "futex_wake": 454,
    "futex_wait": 455,
    "futex_requeue": 456,
    "statmount": 457,
    "listmount": 458,
    "lsm_get_self_attr": 459,
    "lsm_set_self_attr": 460,
    "lsm_list_modules": 461,
    "mseal": 462,
    "setxattrat": 463,
    "getxattrat": 464,
    "listxattrat": 465,
    "removexattrat": 466,
    "open_tree_attr": 467,
    "file_getattr": 468,
    "file_setattr": 469,
}
ACTIONS = {
    "SCMP_ACT_ALLOW": 0x7FFF0000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
}
COMPARISONS = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}
_ERRNO_MAX = 4095
_ENOSYS = 38
_EPERM = 1
_EEXIST = 17
_NR_SCMP_ERROR = -1
_FLTATR_CTL_NNP = 3
_FLTATR_CTL_OPTIMIZE = 8
_BINARY_TREE = 2
_FIRST_COMMON = 424  # from here on, numbers are the same on every architecture
_NUMBERS_END = 0x1000  # ARM's private calls and x32's are far above


class _Comparison(ctypes.Structure):
    """struct scmp_arg_cmp."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def library() -> ctypes.CDLL:
    """libseccomp, its functions typed.  Raises HostError when the host has none."""
    try:
        lib = ctypes.CDLL("libseccomp.so.2")
    except OSError as e:
        raise HostError(
            "cannot compile a seccomp profile: libseccomp.so.2 is missing",
            remedy="ask the admin for: apt-get install libseccomp2; "
            "or use the default capabilities and profile, which need no compiling",
            code="RL-HOST-LIBSECCOMP",
        ) from e
    context, number = ctypes.c_void_p, ctypes.c_uint32
    lib.seccomp_init.restype = context
    lib.seccomp_init.argtypes = (number,)
    lib.seccomp_release.argtypes = (context,)
    lib.seccomp_release.restype = None
    lib.seccomp_arch_native.restype = number
    lib.seccomp_arch_add.argtypes = (context, number)
    lib.seccomp_arch_remove.argtypes = (context, number)
    lib.seccomp_attr_set.argtypes = (context, ctypes.c_int, number)
    lib.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    lib.seccomp_syscall_resolve_name_arch.argtypes = (number, ctypes.c_char_p)
    lib.seccomp_syscall_resolve_num_arch.argtypes = (number, ctypes.c_int)
    lib.seccomp_syscall_resolve_num_arch.restype = ctypes.c_void_p
    lib.seccomp_rule_add_array.argtypes = (
        context, number, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p,
    )  # fmt: skip
    lib.seccomp_export_bpf.argtypes = (context, ctypes.c_int)
    return lib


def version() -> str:
    """libseccomp's version, as "2.5.4": its tables decide what a filter looks like."""
    lib = library()
    lib.seccomp_version.restype = ctypes.POINTER(ctypes.c_uint * 3)
    return ".".join(str(number) for number in lib.seccomp_version().contents)


def parse(content: bytes, where: str) -> "dict[str, Any]":
    """The profile of a file's content.  Raises BadDocument."""
    try:
        profile = json.loads(content)
    except ValueError as e:
        raise _bad(where, f"not JSON: {e}") from e
    if not isinstance(profile, dict) or "defaultAction" not in profile:
        raise _bad(where, "no defaultAction")
    return profile


def compile_profile(
    profile: "dict[str, Any]",
    capabilities: "Sequence[str]",
    *,
    machine: str,
    kernel: str = "",
    where: str = "the seccomp profile",
) -> bytes:
    """The BPF program of `profile` for a container with `capabilities` on `machine`.

    `kernel` is uname's release; without one every `minKernel` is met.  Raises BadDocument, and
    HostError without libseccomp.
    """
    if machine not in MACHINES:
        raise HostError(
            f"cannot compile a seccomp profile for {machine}: rl does not know it",
            remedy="use --security-opt seccomp=unconfined",
            code="RL-SECCOMP-ARCH",
        )
    lib = library()
    default = _action(profile, "defaultAction", "defaultErrnoRet", where)
    rules = [
        rule
        for rule in profile.get("syscalls") or ()
        if _applies(rule, set(capabilities), MACHINES[machine][1], kernel, where)
    ]
    architectures = _architectures(profile, MACHINES[machine][0], where)
    context = lib.seccomp_init(default)
    if not context:
        raise _bad(where, f"libseccomp refuses the default action {default:#x}")
    try:
        _prepare(lib, context, architectures)
        newer: dict[int, int] = {}
        last = _last_known(lib, architectures[0])
        for rule in rules:
            _add(lib, context, rule, default, last, newer, where)
        program = _export(lib, context)
    finally:
        lib.seccomp_release(context)
    plain_errno = default & 0xFFFF0000 == ACTIONS["SCMP_ACT_ERRNO"]
    return prologue(last, newer) + program if plain_errno else program


def prologue(last: int, newer: "dict[int, int]") -> bytes:
    """Instructions for the numbers above `last`: the action of `newer`, else ENOSYS."""
    load, jump_equal, jump_greater_equal, give_back = 0x20, 0x15, 0x35, 0x06
    tests = sorted((number, action) for number, action in newer.items() if number > last)
    # Each test is followed by its own return: jumps over a fixed distance.
    length = 2 * len(tests) + 1
    code = [
        (load, 0, 0, 0),  # seccomp_data.nr
        (jump_greater_equal, 0, length + 1, last + 1),
        (jump_greater_equal, length, 0, _NUMBERS_END),
    ]
    for number, action in tests:
        code += [(jump_equal, 0, 1, number), (give_back, 0, 0, action)]
    code.append((give_back, 0, 0, ACTIONS["SCMP_ACT_ERRNO"] | _ENOSYS))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _applies(
    rule: "dict[str, Any]", capabilities: set[str], arch: str, kernel: str, where: str
) -> bool:
    """Whether the rule's includes and excludes let it in."""
    if not isinstance(rule, dict):
        raise _bad(where, f"a rule is not an object: {rule!r}")
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    if includes.get("arches") and arch not in includes["arches"]:
        return False
    if not set(includes.get("caps") or ()) <= capabilities:
        return False
    if kernel and includes.get("minKernel") and not _at_least(kernel, includes["minKernel"]):
        return False
    if arch in (excludes.get("arches") or ()):
        return False
    if set(excludes.get("caps") or ()) & capabilities:
        return False
    minimum = excludes.get("minKernel")
    return not (minimum and (not kernel or _at_least(kernel, minimum)))


def _at_least(kernel: str, minimum: str) -> bool:
    def pair(text: str) -> tuple[int, int]:
        major, _, rest = text.partition(".")
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        return int(major), int(digits or "0")

    return pair(kernel) >= pair(minimum)


def _architectures(profile: "dict[str, Any]", native: str, where: str) -> list[int]:
    """The machine's architecture, and those of its programs: AUDIT_ARCH numbers."""
    names = [native]
    for entry in profile.get("archMap") or ():
        if entry.get("architecture") == native:
            names += entry.get("subArchitectures") or ()
    # The older form is a flat list, of which those matter that this machine can run.
    family = {"SCMP_ARCH_X86_64": "X86 X32", "SCMP_ARCH_AARCH64": "ARM", "SCMP_ARCH_S390X": "S390"}
    own = {f"SCMP_ARCH_{name}" for name in family.get(native, "").split()}
    names += [name for name in profile.get("architectures") or () if name in own]
    unknown = [name for name in names if name not in ARCHITECTURES]
    if unknown:
        raise _bad(where, f"unknown architecture {unknown[0]}")
    return [ARCHITECTURES[name] for name in dict.fromkeys(names)]


def _prepare(lib: ctypes.CDLL, context: int, architectures: list[int]) -> None:
    for architecture in architectures:
        lib.seccomp_arch_add(context, architecture)
    native = lib.seccomp_arch_native()
    if native not in architectures:
        lib.seccomp_arch_remove(context, native)
    lib.seccomp_attr_set(context, _FLTATR_CTL_NNP, 0)
    # libseccomp < 2.5 has no such attribute, and makes a slower filter.
    lib.seccomp_attr_set(context, _FLTATR_CTL_OPTIMIZE, _BINARY_TREE)


def _last_known(lib: ctypes.CDLL, architecture: int) -> int:
    """The highest number of the common table that this libseccomp has a name for."""
    known = _FIRST_COMMON - 1
    for number in range(_FIRST_COMMON, _FIRST_COMMON + 512):
        name = lib.seccomp_syscall_resolve_num_arch(architecture, number)
        if name:
            known = number  # the name is malloc'ed: some 30 small strings, once
    return known


def _action(
    rule: "dict[str, Any]", key: str, errno_key: str, where: str, default_errno: int = _EPERM
) -> int:
    """An action's number, with its errno."""
    name = rule.get(key)
    if name == "SCMP_ACT_NOTIFY":
        raise _bad(where, "SCMP_ACT_NOTIFY needs an agent that answers, and rl has none")
    if name not in ACTIONS:
        raise _bad(where, f"unknown action {name}")
    if name not in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        return ACTIONS[name]
    number = rule.get(errno_key)
    number = default_errno if number is None else number
    if not isinstance(number, int) or not 0 <= number <= _ERRNO_MAX:
        raise _bad(where, f"{errno_key} is no errno: {number!r}")
    return ACTIONS[name] | number


def _add(
    lib: ctypes.CDLL,
    context: int,
    rule: "dict[str, Any]",
    default: int,
    last: int,
    newer: "dict[int, int]",
    where: str,
) -> None:
    """Add one rule to the filter, and its system calls above `last` to `newer`."""
    action = _action(rule, "action", "errnoRet", where)
    names = rule.get("names") or ([rule["name"]] if rule.get("name") else [])
    if not names:
        raise _bad(where, "a rule without names")
    if action == default:
        return  # libseccomp refuses what changes nothing
    groups = _comparisons(rule.get("args") or (), where)
    for name in names:
        number = lib.seccomp_syscall_resolve_name(str(name).encode())
        if number == _NR_SCMP_ERROR or number > last:
            # Unknown here, or by a table that stops in the middle: ours, if without arguments.
            if name in NEWER and NEWER[name] > last and groups == [[]]:
                newer[NEWER[name]] = action
            if number == _NR_SCMP_ERROR:
                continue
        for group in groups:
            array = (_Comparison * len(group))(*group) if group else None
            result = lib.seccomp_rule_add_array(context, action, number, len(group), array)
            if result not in (0, -_EEXIST):
                raise _bad(where, f"rule for {name}: {os.strerror(-result)}")


def _comparisons(args: "Sequence[Any]", where: str) -> list[list[_Comparison]]:
    """The conditions of a rule, as groups of which one must hold.

    Several conditions on one argument mean "or", each its own rule: runc's reading.
    """
    found = []
    for arg in args:
        if not isinstance(arg, dict) or arg.get("op") not in COMPARISONS:
            raise _bad(where, f"unknown comparison: {arg!r}")
        index, value = arg.get("index"), arg.get("value", 0)
        if not isinstance(index, int) or not 0 <= index <= 5 or not isinstance(value, int):
            raise _bad(where, f"not an argument's comparison: {arg!r}")
        second = arg.get("valueTwo") or 0
        found.append(_Comparison(index, COMPARISONS[arg["op"]], value, second))
    indexes = [comparison.arg for comparison in found]
    if len(set(indexes)) < len(indexes):
        return [[comparison] for comparison in found]
    return [found]


def _export(lib: ctypes.CDLL, context: int) -> bytes:
    fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    try:
        result = lib.seccomp_export_bpf(context, fd)
        if result:
            raise HostError(
                f"cannot compile a seccomp profile: libseccomp: {os.strerror(-result)}",
                remedy="simplify the profile, or use --security-opt seccomp=unconfined",
                code="RL-SECCOMP-PROFILE",
            )
        size = os.lseek(fd, 0, os.SEEK_END)
        return os.pread(fd, size, 0)
    finally:
        os.close(fd)


def _bad(where: str, why: str) -> BadDocument:
    return BadDocument(
        f"cannot use {where}: {why}",
        remedy="the format is that of Docker's seccomp profiles: docs/decisions/030-seccomp.md",
        code="RL-SECCOMP-PROFILE",
    )
