"""systemd.unit(5)'s specifiers where no systemd evaluates them."""

import os
import platform
import pwd
import socket
from collections.abc import Callable, Mapping

from rootless.errors import QuadletError

_OS_RELEASE = {"A": "IMAGE_VERSION", "B": "BUILD_ID", "M": "IMAGE_ID", "o": "ID",
               "w": "VERSION_ID", "W": "VARIANT_ID"}  # fmt: skip
_ARCHITECTURES = {"x86_64": "x86-64", "aarch64": "arm64", "armv7l": "arm", "i686": "x86",
                  "ppc64le": "ppc64-le", "riscv64": "riscv64", "s390x": "s390x"}  # fmt: skip


def of_unit(service: str, source: str, environ: Mapping[str, str]) -> Callable[[str], str]:
    """What the specifiers are in the unit `service` ("web@1.service") made of the file `source`.

    The function raises QuadletError for one that only systemd knows.
    """
    name, _, suffix = service.rpartition(".")
    prefix, at, instance = name.partition("@")
    final = prefix.rpartition("-")[2]
    home = environ.get("HOME", "/")
    known: dict[str, Callable[[], str]] = {
        "n": lambda: f"{name}.{suffix}",
        "N": lambda: name,
        "p": lambda: prefix,
        "P": lambda: unescape(prefix),
        "i": lambda: instance,
        "I": lambda: unescape(instance),
        "j": lambda: final,
        "J": lambda: unescape(final),
        "f": lambda: "/" + unescape(instance if at else prefix).lstrip("/"),
        "h": lambda: home,
        "u": lambda: pwd.getpwuid(os.getuid()).pw_name,
        "U": lambda: str(os.getuid()),
        "g": _group,
        "G": lambda: str(os.getgid()),
        "s": lambda: pwd.getpwuid(os.getuid()).pw_shell,
        "H": socket.gethostname,
        "l": lambda: socket.gethostname().partition(".")[0],
        "q": socket.gethostname,
        "v": lambda: platform.release(),
        "a": lambda: _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "b": lambda: _file("/proc/sys/kernel/random/boot_id").replace("-", ""),
        "m": lambda: _file("/etc/machine-id"),
        "t": lambda: environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}",
        "T": lambda: environ.get("TMPDIR") or "/tmp",
        "V": lambda: environ.get("TMPDIR") or "/var/tmp",
        "C": lambda: environ.get("XDG_CACHE_HOME") or f"{home}/.cache",
        "E": lambda: environ.get("XDG_CONFIG_HOME") or f"{home}/.config",
        "S": lambda: environ.get("XDG_STATE_HOME") or f"{home}/.local/state",
        "L": lambda: (environ.get("XDG_STATE_HOME") or f"{home}/.local/state") + "/log",
        "D": lambda: environ.get("XDG_DATA_HOME") or f"{home}/.local/share",
        "y": lambda: source,
        "Y": lambda: os.path.dirname(source),
    }

    def value(letter: str) -> str:
        if letter in _OS_RELEASE:
            return _os_release(_OS_RELEASE[letter])
        if letter not in known:
            raise QuadletError(
                f"{os.path.basename(source)}: the specifier %{letter} has no meaning without "
                "systemd",
                remedy="write what it stands for, or %% for a percent sign",
                code="RL-QUADLET-NO-SYSTEMD",
            )
        return known[letter]()

    return value


def unescape(text: str) -> str:
    r"""systemd-escape(1) backwards: "-" is "/", "\xHH" a byte."""
    out, position = b"", 0
    data = text.encode("utf-8", "surrogateescape")
    while position < len(data):
        digits = data[position + 2 : position + 4]
        if data[position : position + 2] == b"\\x" and len(digits) == 2:
            try:
                out += bytes([int(digits, 16)])
                position += 4
                continue
            except ValueError:
                pass
        out += b"/" if data[position : position + 1] == b"-" else data[position : position + 1]
        position += 1
    return out.decode("utf-8", "surrogateescape")


def _group() -> str:
    import grp

    return grp.getgrgid(os.getgid()).gr_name


def _file(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def _os_release(field: str) -> str:
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        for line in _file(path).splitlines():
            key, _, value = line.partition("=")
            if key == field:
                return value.strip("\"'")
    return ""
