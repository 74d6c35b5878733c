"""Base images made on this machine, without a registry and without root: `rl bootstrap KIND`."""

import os
import subprocess
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rootless.errors import HostError, UsageError
from rootless.layer import image
from rootless.layer.tarstream import DIRECTORY, REGULAR, SYMLINK, Member
from rootless.layer.tarwriter import END, header, padding
from rootless.oci import platform as platforms
from rootless.store.atomic import TemporaryDirectory

if TYPE_CHECKING:
    from rootless.context import Context

Progress = Callable[[str], None]

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BUSYBOXES = ("/bin/busybox", "/usr/bin/busybox", "/usr/local/bin/busybox")
_PT_INTERP = 3

_PASSWD = b"""root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:4:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
"""
_GROUP = b"""root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
mail:x:8:
www-data:x:33:
utmp:x:43:
staff:x:50:
users:x:100:
nogroup:x:65534:
"""
_SHADOW = b"root:*:::::::\n"
_NSSWITCH = b"passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"


def busybox(ctx: "Context", name: str, progress: Progress) -> "dict[str, object]":
    """Make the image `name` (canonical) from the host's static busybox, else from Debian's package.

    Returns its record.  Raises HostError when there is no busybox to be had.
    """
    program = next((path for path in _BUSYBOXES if is_static(path)), None)
    if program is not None:
        progress(f"taking {program}")
        return _busybox_image(ctx, program, name)
    progress("no static busybox on this machine: fetching Debian's package busybox-static")
    with TemporaryDirectory(ctx.paths, ctx) as directory:
        return _busybox_image(ctx, _download_busybox(ctx, directory), name)


def is_static(path: str) -> bool:
    """Whether `path` is a 64-bit or 32-bit ELF program that needs no dynamic linker; elf(5)."""
    try:
        with open(path, "rb") as file:
            start = file.read(64)
            if start[:4] != b"\x7fELF":
                return False
            wide, order = start[4] == 2, "little" if start[5] == 1 else "big"
            offset, entry_size, count = (
                (start[32:40], start[54:56], start[56:58])
                if wide
                else (start[28:32], start[42:44], start[44:46])
            )
            step = int.from_bytes(entry_size, order)  # type: ignore[arg-type]
            file.seek(int.from_bytes(offset, order))  # type: ignore[arg-type]
            table = file.read(step * int.from_bytes(count, order))  # type: ignore[arg-type]
    except OSError:
        return False
    kinds = {
        int.from_bytes(table[at : at + 4], order)  # type: ignore[arg-type]
        for at in range(0, len(table), max(step, 4))
    }
    return bool(table) and _PT_INTERP not in kinds


def _download_busybox(ctx: "Context", directory: str) -> str:
    """Path of busybox out of Debian's package, fetched with the host's apt as the caller."""
    from rootless.runtime import bootstrap_apt

    package = bootstrap_apt.download(ctx, "busybox-static", directory)
    unpacked = f"{directory}/package"
    result = subprocess.run(
        ["dpkg-deb", "-x", package, unpacked], stdin=subprocess.DEVNULL, capture_output=True
    )
    for place in ("bin/busybox", "usr/bin/busybox"):
        if result.returncode == 0 and is_static(f"{unpacked}/{place}"):
            return f"{unpacked}/{place}"
    raise HostError(
        "the package busybox-static has no static busybox in it",
        remedy="install a statically linked busybox as /bin/busybox",
        code="RL-BOOTSTRAP-BUSYBOX",
    )


def _applets(program: str) -> list[str]:
    """The paths of busybox's links, as it says itself."""
    for option in ("--list-full", "--list"):
        try:
            result = subprocess.run(
                [program, option],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=30,
            )
        except (OSError, subprocess.TimeoutExpired) as e:
            raise HostError(
                f"{program} cannot be run: {e}",
                remedy="install busybox-static",
                code="RL-BOOTSTRAP-BUSYBOX",
            ) from e
        names = [line.strip("/ ") for line in result.stdout.splitlines() if line.strip("/ ")]
        if result.returncode == 0 and names:
            return [name if "/" in name else f"bin/{name}" for name in names]
    raise HostError(
        f"{program} doesn't say which applets it has",
        remedy="install busybox-static",
        code="RL-BOOTSTRAP-BUSYBOX",
    )


def _busybox_image(ctx: "Context", program: str, name: str) -> "dict[str, object]":
    config: dict[str, object] = {"Env": [f"PATH={SEARCH_PATH}"], "Cmd": ["sh"]}
    return image.create(
        ctx,
        _Bytes(_busybox_tar(program)),
        name=name,
        config=config,
        platform=platforms.host(),
        comment="rl bootstrap busybox",
    )


def _busybox_tar(program: str) -> bytes:
    """A root file system around busybox: its links, accounts, and the usual directories."""
    tree = _Tree()
    for path, mode in (
        ("bin", 0o755), ("dev", 0o755), ("etc", 0o755), ("home", 0o755), ("proc", 0o555),
        ("root", 0o700), ("run", 0o755), ("sbin", 0o755), ("sys", 0o555), ("tmp", 0o1777),
        ("usr", 0o755), ("usr/bin", 0o755), ("usr/sbin", 0o755), ("var", 0o755),
        ("var/spool", 0o755), ("var/spool/mail", 0o755), ("var/tmp", 0o1777),
        ("var/www", 0o755),
    ):  # fmt: skip
        tree.directory(path, mode)
    tree.symlink("var/run", "../run")
    with open(program, "rb") as file:
        tree.file("bin/busybox", file.read(), 0o755)
    for path in _applets(program):
        if path not in ("bin/busybox", "linuxrc"):
            depth = path.count("/") - (1 if path.startswith("bin/") else 0)
            tree.symlink(path, "../" * depth + ("bin/busybox" if depth else "busybox"))
    if not tree.has("usr/bin/env"):
        tree.symlink("usr/bin/env", "../../bin/busybox")  # scripts name it so
    tree.file("etc/passwd", _PASSWD, 0o644)
    tree.file("etc/group", _GROUP, 0o644)
    tree.file("etc/shadow", _SHADOW, 0o600)
    tree.file("etc/nsswitch.conf", _NSSWITCH, 0o644)
    return tree.tar()


class _Tree:
    """Members of an archive in the making."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._names: set[str] = set()
        self._now_ns = int(time.time()) * 1_000_000_000

    def has(self, path: str) -> bool:
        return path in self._names

    def directory(self, path: str, mode: int) -> None:
        self._add(path, DIRECTORY, mode)

    def symlink(self, path: str, target: str) -> None:
        self._add(path, SYMLINK, 0o777, link=target)

    def file(self, path: str, data: bytes, mode: int) -> None:
        self._add(path, REGULAR, mode, data=data)

    def tar(self) -> bytes:
        return b"".join([*self._parts, END])

    def _add(self, path: str, kind: bytes, mode: int, *, link: str = "", data: bytes = b"") -> None:
        if path in self._names:
            return
        self._names.add(path)
        member = Member(os.fsencode(path), kind)
        member.link = os.fsencode(link)
        member.mode = mode
        member.size = len(data)
        member.mtime_ns = self._now_ns
        self._parts += [header(member), data, padding(len(data))]


class _Bytes:
    """Bytes as a stream."""

    def __init__(self, data: bytes) -> None:
        self._left = memoryview(data)

    def read(self, size: int, /) -> bytes:
        data, self._left = bytes(self._left[:size]), self._left[size:]
        return data


def parse_kind(kind: str) -> tuple[str, str]:
    """The distribution and suite of KIND: busybox, debian, debian:trixie, ubuntu:noble."""
    distribution, _, suite = kind.partition(":")
    if distribution not in ("busybox", "debian", "ubuntu") or (distribution == "busybox" and suite):
        raise UsageError(
            f"{kind} is nothing that rl can bootstrap",
            remedy="use busybox, debian, debian:SUITE or ubuntu:SUITE",
        )
    if not all(c.isascii() and (c.isalnum() or c in "-.") for c in suite):
        raise UsageError(f"{suite!r} is not the name of a suite", remedy="as in: debian:bookworm")
    return distribution, suite
