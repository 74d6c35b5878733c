"""Landlock: a process gives up files and ports, for itself and what it starts.  landlock(7).

Needs no privileges but no_new_privs or CAP_SYS_ADMIN in the user namespace.  Sources: landlock(7),
include/uapi/linux/landlock.h, Documentation/userspace-api/landlock.rst.
"""

import os
import stat
import sys

from rootless.errors import ContainerError, KernelError
from rootless.linux import clib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_GET_VERSION = 1
_PATH_BENEATH, _NET_PORT = 1, 2

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_BIND_TCP, _CONNECT_TCP = 1, 2
_ABSTRACT_UNIX_SOCKETS = 1

# The rights on files that each version of the ABI knows, and when ports and sockets came.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_FILE_RIGHTS_LATER = (1 << 16) - 1
_ABI_PORTS, _ABI_SOCKETS = 4, 6

# What a program without files to call its own uses still.
_ALWAYS = (
    "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/pts",
)  # fmt: skip

_libc = clib.CDLL(None, use_errno=True)
_libc.syscall.restype = clib.c_long


def abi() -> int:
    """The version of the kernel's Landlock, 0 without it."""
    return max(_call(_CREATE_RULESET, None, 0, _GET_VERSION), 0)


def restrict(rules: "Iterable[Mapping[str, str | int]]") -> None:
    """From here on, this process reaches what `rules` name and no more.

    A rule is {"access": "ro" or "rw", "path": PATH} or {"access": "connect" or "bind", "port": N}.
    Where there is a rule of a kind, all else of that kind is refused: files, connections to TCP
    ports, listening on TCP ports.  Abstract UNIX sockets from outside are out of reach, where the
    kernel can (ABI 6).  Raises ContainerError RL-LANDLOCK, KernelError.
    """
    rules = list(rules)
    version = abi()
    if not version:
        raise ContainerError(
            "cannot keep --landlock: this kernel has no Landlock, or it is not among its lsm=",
            remedy="leave it out, or use -v …:ro, --read-only and --security-opt mask=",
            code="RL-LANDLOCK",
        )
    kinds = {rule["access"] for rule in rules}
    ports = _BIND_TCP * ("bind" in kinds) | _CONNECT_TCP * ("connect" in kinds)
    if ports and version < _ABI_PORTS:
        raise ContainerError(
            f"cannot keep --landlock bind= and connect=: this kernel's Landlock (ABI {version}) "
            "has no rules for ports; Linux 6.7 has",
            remedy="leave them out, or use --network none",
            code="RL-LANDLOCK",
        )
    files = _FILE_RIGHTS.get(version, _FILE_RIGHTS_LATER) if kinds & {"ro", "rw"} else 0
    scoped = _ABSTRACT_UNIX_SOCKETS * (version >= _ABI_SOCKETS)
    attribute = _words(files, ports, scoped)[: 24 if version >= _ABI_SOCKETS else 16]
    ruleset = _checked(_CREATE_RULESET, attribute, len(attribute), 0)
    try:
        for rule in rules:
            _add(ruleset, rule, files)
        if files:
            for path in _ALWAYS:
                if os.path.exists(path):
                    _add_path(ruleset, path, files)
        _checked(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _add(ruleset: int, rule: "Mapping[str, str | int]", files: int) -> None:
    access = rule["access"]
    if access in ("ro", "rw"):
        _add_path(ruleset, str(rule["path"]), files if access == "rw" else files & _READ)
    else:
        right = _BIND_TCP if access == "bind" else _CONNECT_TCP
        _checked(_ADD_RULE, ruleset, _NET_PORT, _words(right, int(rule["port"])), 0)


def _add_path(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as e:
        raise ContainerError(
            f"cannot keep --landlock for {path}: {os.strerror(e.errno or 0)} in the container",
            remedy="name a path that is there when the container starts",
            code="RL-LANDLOCK",
        ) from e
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _OF_FILES
        # struct landlock_path_beneath_attr is packed: 8 bytes and 4.
        attribute = _words(rights) + fd.to_bytes(4, sys.byteorder)
        _checked(_ADD_RULE, ruleset, _PATH_BENEATH, attribute, 0)
    finally:
        os.close(fd)


def _words(*values: int) -> bytes:
    return b"".join(value.to_bytes(8, sys.byteorder) for value in values)


def _checked(number: int, *arguments: int | bytes) -> int:
    result = _call(number, *arguments)
    if result == -1:
        name = {444: "landlock_create_ruleset", 445: "landlock_add_rule"}.get(number)
        raise KernelError(name or "landlock_restrict_self", clib.get_errno())
    return result


def _call(number: int, *arguments: int | bytes | None) -> int:
    given: list[object] = []
    for one in arguments:
        given.append(clib.c_char_p(one) if isinstance(one, bytes | None) else clib.c_long(one))
    return int(_libc.syscall(clib.c_long(number), *given))
