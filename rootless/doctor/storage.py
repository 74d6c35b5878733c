"""The store's directory, and the root file system drivers tried in it."""

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable

from rootless.context import Context
from rootless.doctor.verdict import UNAVAILABLE, UNTESTED, Ladder, Rung
from rootless.errors import HostError, KernelError, RlError, StoreError
from rootless.linux import hostfacts, mount, namespaces, process, syscalls
from rootless.linux.hostread import mount_of
from rootless.linux.idmap import IdMap

SPACE_LEAST = 1 << 30  # bytes; an image of a distribution with a language runtime
FICLONE = 0x40049409  # ioctl_ficlone(2)
FUSE_WAIT_S = 10.0  # of a slow machine
DIRECTORIES = ("lower", "upper", "work", "merged", "links")


class Scratch:
    """A directory on the file system of `path`, gone at the end of the `with` block.

    In the deepest directory above `path` that exists, so that a first look makes no store.
    """

    def __init__(self, path: str) -> None:
        self._parent = path
        while not os.path.isdir(self._parent):
            self._parent = os.path.dirname(self._parent)

    def __enter__(self) -> str:
        try:
            self.path = tempfile.mkdtemp(prefix=".rl-doctor-", dir=self._parent)
        except OSError as e:
            raise StoreError(
                f"{self._parent} cannot be written: {e.strerror}",
                remedy=f"use a directory of your own: RL_STORE=/var/tmp/rl-{os.getuid()}",
                code="RL-STORE-UNWRITABLE",
            ) from e
        return self.path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


# The store's directory.


def probe_store(ctx: Context) -> list[Ladder]:
    """Where the store is, and where it could be."""
    places = [ctx.paths.store]
    fallback = f"/var/tmp/rl-{ctx.uid}"
    if fallback not in places:
        places.append(fallback)
    rungs = []
    for place in places:
        try:
            rungs.append(Rung(place, why=_try_store(place)))
        except RlError as e:
            rungs.append(Rung.failed(place, e))
    return [Ladder("store", "Store directory", rungs, required=True)]


def _try_store(place: str) -> str:
    """What the file system of `place` is.  Raises StoreError when it cannot hold a store."""
    unfit = hostfacts.explain_store(place)
    if unfit is not None:
        raise unfit
    with Scratch(place) as directory:
        _try_files(place, directory)
        free = shutil.disk_usage(directory).free
    found = mount_of(os.path.realpath(place))
    text = f"{found.fstype if found else 'unknown file system'}, {free / (1 << 30):.1f} GiB free"
    return text + (": too little for many images" if free < SPACE_LEAST else "")


def _try_files(place: str, directory: str) -> None:
    """What the store does with files: run them, lock them, link them, give them attributes."""
    script = f"{directory}/script"
    with open(script, "w") as file:
        file.write("#!/bin/sh\nexit 0\n")
    os.chmod(script, 0o755)
    attempts: tuple[tuple[str, Callable[[], object]], ...] = (
        ("programs cannot be run there", lambda: _run(script)),
        ("files cannot be locked (flock)", lambda: _lock(script)),
        ("files cannot have hard links", lambda: os.link(script, f"{directory}/hard")),
        ("files cannot have symbolic links", lambda: os.symlink("x", f"{directory}/soft")),
        (
            "files cannot have extended attributes (user.*)",
            lambda: os.setxattr(script, "user.rl", b"1"),
        ),
    )
    for words, attempt in attempts:
        try:
            attempt()
        except OSError as e:
            raise StoreError(
                f"the store {place} is on a file system where {words}: {e.strerror}",
                remedy=f"use a local directory: RL_STORE=/var/tmp/rl-{os.getuid()}",
                code="RL-STORE-FILESYSTEM",
            ) from e


def _run(path: str) -> None:
    process.Spawned([path], {}).finish()


def _lock(path: str) -> None:
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


# Root file systems.


def probe_overlay(ctx: Context, maps: IdMap | None) -> list[Ladder]:
    """Mount an overlay as root of a user namespace, and use it as a container does."""
    name = "overlay"
    if maps is None:
        return _one(Rung(name, UNTESTED, "needs user namespaces"))
    try:
        with Scratch(ctx.paths.store) as directory:

            def attempt() -> None:
                _layers(directory)
                mount.overlay(
                    ["lower"], f"{directory}/merged", upper="upper", work="work",
                    base=directory, links=f"{directory}/links",
                )  # fmt: skip
                _use(directory, maps)

            try:
                _in_namespace(ctx, maps, directory, attempt)
            except KernelError as e:
                raise hostfacts.explain_overlay_failure(e.errno, directory) from e
    except RlError as e:
        return _one(Rung.failed(name, e))
    return _one(Rung(name, why="the kernel's overlayfs in the user namespace, at full speed"))


def probe_fuse_overlayfs(ctx: Context, maps: IdMap | None) -> list[Ladder]:
    """Mount fuse-overlayfs in a user namespace."""
    name = "fuse-overlayfs"
    program = process.find_program(name, ctx.environ)
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC))
    except OSError as e:
        return _one(Rung.failed(name, hostfacts.explain_fuse_failure(e.errno or errno.EIO)))
    if program is None:
        return _one(Rung.failed(name, hostfacts.explain_fuse_failure(errno.ENOENT)))
    if maps is None:
        return _one(Rung(name, UNTESTED, "needs user namespaces"))
    try:
        with Scratch(ctx.paths.store) as directory:

            def attempt() -> None:
                _layers(directory)
                _start_fuse(program, directory, ctx)
                _use(directory, maps)

            _in_namespace(ctx, maps, directory, attempt)
    except RlError as e:
        return _one(Rung.failed(name, e))
    return _one(Rung(name, why="one more process per container, and slower than the kernel"))


def _start_fuse(program: str, directory: str, ctx: Context) -> None:
    layers = ",".join(
        f"{key}={directory}/{value}"
        for key, value in (("lowerdir", "lower"), ("upperdir", "upper"), ("workdir", "work"))
    )
    merged = f"{directory}/merged"
    # It goes to the background when it has mounted; its output would hold our pipe open.
    pid = os.posix_spawn(program, [program, "-o", layers, merged], dict(ctx.environ))
    deadline = time.monotonic() + FUSE_WAIT_S
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if time.monotonic() > deadline:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            raise HostError("fuse-overlayfs did not start in time", code="RL-HOST-FUSE")
        time.sleep(0.005)
    if not os.path.ismount(merged):
        raise HostError(
            "fuse-overlayfs could not mount",
            remedy="try it by hand: fuse-overlayfs -d -o lowerdir=…,upperdir=…,workdir=… DIR",
            code="RL-HOST-FUSE",
        )


def probe_copy(ctx: Context) -> list[Ladder]:
    """The last rung: a copy per container, cheap where files can share their blocks."""
    try:
        with (
            Scratch(ctx.paths.store) as directory,
            open(f"{directory}/a", "wb") as source,
            open(f"{directory}/b", "wb") as target,
        ):
            source.write(b"x" * 4096)
            source.flush()
            try:
                fcntl.ioctl(target.fileno(), FICLONE, source.fileno())
                cost = "files share their blocks (reflinks): little space, some time"
            except OSError:
                cost = "no reflinks here: each container costs the image's size and its time"
    except RlError as e:
        return _one(Rung.failed("copy", e))
    return _one(Rung("copy", why=cost))


def _one(rung: Rung) -> list[Ladder]:
    return [Ladder("root-filesystem", "Root file system", [rung], required=True)]


def _in_namespace(ctx: Context, maps: IdMap, directory: str, attempt: Callable[[], None]) -> None:
    """Run `attempt()` with a mount namespace, and clean up there: root inside owns the files."""

    def inside() -> None:
        try:
            attempt()
        finally:
            try:
                syscalls.umount2(f"{directory}/merged", syscalls.MNT_DETACH)
            except KernelError:
                pass
            for name in DIRECTORIES:
                shutil.rmtree(f"{directory}/{name}", ignore_errors=True)

    namespaces.run_in_user_namespace(maps, ctx.environ, inside, mounts=True)


def _layers(directory: str) -> None:
    for name in DIRECTORIES:
        os.mkdir(f"{directory}/{name}")
    for name in ("kept", "removed"):
        with open(f"{directory}/lower/{name}", "w") as file:
            file.write("lower\n")


def _use(directory: str, maps: IdMap) -> None:
    """Change, remove and give away files, as programs in a container do."""
    merged = f"{directory}/merged"
    with open(f"{merged}/kept", "a") as file:
        file.write("upper\n")
    os.unlink(f"{merged}/removed")
    if not maps.single:
        os.chown(f"{merged}/kept", 1, 1)
    os.rename(f"{merged}/kept", f"{merged}/moved")
    if os.listdir(merged) != ["moved"]:
        raise HostError("the mounted file system does not show what was written to it")


def merge(ladders: list[Ladder], pick: str) -> Ladder:
    """One ladder of the rungs that the three probes above found."""
    rungs = [rung for ladder in ladders for rung in ladder.rungs]
    known = [rung for rung in rungs if rung.name == pick]
    if pick and not known:
        rungs.append(Rung(pick, UNAVAILABLE, "the configuration names a driver that is unknown"))
    return Ladder("root-filesystem", "Root file system", rungs, required=True, pick=pick)
