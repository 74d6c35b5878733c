"""Programs of the distribution that the host lacks, fetched without root (`rl setup`).

apt-get fetches the package as the caller and checks it: the archive's signature over its lists,
the lists' digests over the package.  dpkg-deb unpacks it:

    <helpers>/<package>/root/        the unpacked package, with libraries that the host lacks
    <helpers>/<package>/setup.json   {"package", "version", "packages": [...], "programs": [...]}
    <helpers>/bin/<program>          what linux.process.find_program() finds, last of all places

Nothing is configured by them and none is run as root; an administrator's package goes before.
"""

import glob
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from rootless.errors import HostError, UsageError
from rootless.linux import process
from rootless.runtime import bootstrap_apt
from rootless.store import atomic
from rootless.store.locks import Locked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootless.context import Context

# Program -> Debian's package.
PACKAGES = {
    "slirp4netns": "slirp4netns",
    "pasta": "passt",
    "fuse-overlayfs": "fuse-overlayfs",
    "squashfuse_ll": "squashfuse",
    "catatonit": "catatonit",
}
# What no user can have without an administrator.
_SET_UID = ("newuidmap", "newgidmap", "uidmap")


def chosen(names: "list[str]") -> list[str]:
    """The programs that `names` mean: programs, or packages.  Raises UsageError, HostError."""
    found = []
    for name in names:
        program = next((p for p, package in PACKAGES.items() if name in (p, package)), "")
        if name in _SET_UID:
            raise HostError(
                f"{name} cannot be fetched: it works only where it is set-user-ID root, and that "
                "is an administrator's to do",
                remedy="ask the admin for: apt-get install uidmap; without it there is one ID",
                code="RL-SETUP-NEEDS-ROOT",
            )
        if not program:
            raise UsageError(
                f"rl setup knows no {name}", remedy=f"it fetches {', '.join(PACKAGES)}"
            )
        found.append(program)
    return list(dict.fromkeys(found))


def fetched(ctx: "Context") -> "dict[str, dict[str, Any]]":
    """setup.json by package, of what is there."""
    found = {}
    for path in sorted(glob.glob(f"{glob.escape(_directory(ctx))}/*/setup.json")):
        found[os.path.basename(os.path.dirname(path))] = atomic.read_json(path)
    return found


def fetch(ctx: "Context", program: str) -> "dict[str, Any]":
    """Fetch the package of `program` and put it into place, instead of an older one; its
    setup.json.

    Raises HostError: RL-SETUP-FETCH, RL-SETUP-LIBRARY, RL-SETUP-NOEXEC, RL-BOOTSTRAP-NO-APT.
    """
    directory, package = _directory(ctx), PACKAGES[program]
    try:
        os.makedirs(f"{directory}/bin", 0o700, exist_ok=True)
        with Locked(f"{directory}/lock", what="rl setup"):
            new = f"{directory}/{package}.new"
            shutil.rmtree(new, ignore_errors=True)  # what a killed setup has left
            try:
                os.makedirs(f"{new}/root", 0o700)
                made = _unpack(ctx, package, program, new)
                _replace(directory, package, made)
            finally:
                shutil.rmtree(new, ignore_errors=True)
    except OSError as e:
        raise atomic.store_error(e, f"put {package} into {directory}") from e
    return made


def remove(ctx: "Context", programs: "list[str]") -> list[str]:
    """Remove what was fetched of these programs; the packages that were there."""
    directory = _directory(ctx)
    there = fetched(ctx)
    gone = [package for package in there if package in {PACKAGES[one] for one in programs}]
    if not gone:
        return []
    with Locked(f"{directory}/lock", what="rl setup"):
        for package in gone:
            for program in there[package]["programs"]:
                _unlink(f"{directory}/bin/{program}")
            shutil.rmtree(f"{directory}/{package}")
    return gone


def _directory(ctx: "Context") -> str:
    directory = process.helpers_directory(ctx.environ)
    if not directory:
        raise HostError(
            "there is no place for programs: HOME is not set",
            remedy="set HOME, or RL_HELPERS to a directory of yours",
            code="RL-SETUP-NOEXEC",
        )
    return directory


def _unpack(ctx: "Context", package: str, program: str, new: str) -> "dict[str, Any]":
    """Fill `new`, which is not in place yet."""
    archive = _download(ctx, package, new)
    packages = [package]
    _extract(archive, f"{new}/root")
    path = f"{new}/root/usr/bin/{program}"
    if not os.access(path, os.X_OK):
        raise HostError(
            f"{new} cannot hold programs: its file system is mounted noexec, or the package has "
            f"no /usr/bin/{program}",
            remedy="set RL_HELPERS to a directory on another file system",
            code="RL-SETUP-NOEXEC",
        )
    libraries = ""
    if missing_libraries(path):
        for name in _needed(archive):
            _extract(_download(ctx, name, new), f"{new}/root")
            packages.append(name)
        libraries = ":".join(sorted({os.path.dirname(one) for one in _shared_objects(new)}))
        lacking = missing_libraries(path, libraries)
        if lacking:
            raise HostError(
                f"{program} of this distribution needs {', '.join(lacking)}, which its packages "
                "do not bring",
                remedy=f"ask the admin for: apt-get install {package}",
                code="RL-SETUP-LIBRARY",
            )
    made = {
        "package": package,
        "version": _field(archive, "Version"),
        "packages": packages,
        "programs": [name for name, one in PACKAGES.items() if one == package],
        "libraries": [one.removeprefix(f"{new}/root/") for one in libraries.split(":") if one],
    }
    for deb in glob.glob(f"{glob.escape(new)}/*.deb"):
        os.unlink(deb)
    shutil.rmtree(f"{new}/apt", ignore_errors=True)
    atomic.write_json(f"{new}/setup.json", made)
    return made


def _replace(directory: str, package: str, made: "dict[str, Any]") -> None:
    """Put the new tree into place, and its programs where they are found."""
    old = f"{directory}/{package}.old"
    shutil.rmtree(old, ignore_errors=True)
    if os.path.exists(f"{directory}/{package}"):
        os.rename(f"{directory}/{package}", old)
    os.rename(f"{directory}/{package}.new", f"{directory}/{package}")
    shutil.rmtree(old, ignore_errors=True)
    for program in made["programs"]:
        place = f"{directory}/bin/{program}"
        if made["libraries"]:
            text = wrapper(f"{directory}/{package}/root", program, made["libraries"])
            atomic.write_bytes(place, text.encode("utf-8", "surrogateescape"), 0o700)
        else:
            atomic.replace_symlink(f"../{package}/root/usr/bin/{program}", place)


def wrapper(root: str, program: str, libraries: "list[str]") -> str:
    """A script that starts `program` of the unpacked package with its own `libraries`."""
    quoted = "'" + root.replace("'", "'\\''") + "'"
    paths = ":".join(f"$root/{one}" for one in libraries)
    return (
        f'#!/bin/sh\nroot={quoted}\nLD_LIBRARY_PATH="{paths}"\nexport LD_LIBRARY_PATH\n'
        f'exec "$root/usr/bin/{program}" "$@"\n'
    )


def missing_libraries(path: str, libraries: str = "") -> list[str]:
    """The shared libraries that a program lacks here: what ldd(1) says is not found."""
    environ = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    if libraries:
        environ["LD_LIBRARY_PATH"] = libraries
    done = subprocess.run(
        ["ldd", path], capture_output=True, text=True, errors="replace", check=False, env=environ
    )
    return [line.split()[0] for line in done.stdout.splitlines() if line.endswith("=> not found")]


def _needed(archive: str) -> "Iterator[str]":
    """The libraries' packages that a package depends on, directly, and that are not installed."""
    for name in dependencies(_field(archive, "Depends")):
        status = subprocess.run(
            ["dpkg-query", "-W", "-f", "${db:Status-Status}", name],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        if status != "installed":
            yield name


def dependencies(text: str) -> list[str]:
    """The packages of libraries in a Depends field, the first of each alternative."""
    names = [one.split("|")[0].split("(")[0].split(":")[0].strip() for one in text.split(",")]
    return [name for name in names if name.startswith("lib") and name != "libc6"]


def _shared_objects(new: str) -> list[str]:
    escaped = glob.escape(f"{new}/root")
    return [
        one
        for pattern in ("usr/lib/*/*.so*", "lib/*/*.so*", "usr/lib/*.so*")
        for one in glob.glob(f"{escaped}/{pattern}")
    ]


def _download(ctx: "Context", package: str, directory: str) -> str:
    try:
        return bootstrap_apt.download(ctx, package, directory)
    except HostError as e:
        if e.code == "RL-BOOTSTRAP-NO-APT":
            raise
        raise HostError(
            f"cannot fetch the package {package}: {e.what.rstrip('.')}",
            remedy=f"look at apt's sources and proxy, or ask the admin for: apt-get install "
            f"{package}",
            code="RL-SETUP-FETCH",
        ) from e


def _extract(archive: str, directory: str) -> None:
    done = subprocess.run(
        ["dpkg-deb", "-x", archive, directory],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        words = done.stderr.strip().splitlines() or ["it was killed"]
        raise HostError(
            f"dpkg-deb could not unpack {os.path.basename(archive)}: {words[-1]}",
            remedy="look for space in that directory",
            code="RL-SETUP-FETCH",
        )


def _field(archive: str, name: str) -> str:
    done = subprocess.run(
        ["dpkg-deb", "-f", archive, name], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
