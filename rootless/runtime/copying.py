"""`rl cp`: where a copy comes from and goes to, by the rules of `docker cp`.  Runs in the child.

docs: docker container cp, "Description": what the copy is called depends on whether the source is
a directory, whether it ends with "/.", and whether the destination is there.
"""

import errno
import os
import posixpath
import stat
from collections.abc import Callable

from rootless.errors import KernelError, RlError
from rootless.layer.archive import Writer
from rootless.layer.compression import Decompressed, Readable
from rootless.layer.extract import Extractor, write_data
from rootless.layer.tarstream import TarReader
from rootless.layer.tarwriter import END
from rootless.linux import mount
from rootless.linux.copytree import Copy
from rootless.records import dataclass
from rootless.runtime import container_root

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20


class CopyError(RlError):
    """Something cannot be copied, or not to where it should go."""

    code = "RL-COPY"
    exit_status = 1


@dataclass(slots=True)
class Place:
    """One end of a copy: a path of the host, or one below the root of a container."""

    text: str  # as given, for messages
    path: str
    root: mount.Root | None = None  # None: the host's

    def open(self, path: str, flags: int) -> int:
        """A descriptor of `path` here.  Raises OSError."""
        if self.root is None:
            return os.open(path or ".", flags | os.O_CLOEXEC)
        try:
            return self.root.open(path, flags | os.O_CLOEXEC)
        except KernelError as e:
            raise OSError(e.errno, os.strerror(e.errno), path) from e

    def split(self, path: str) -> tuple[int, str]:
        """A descriptor of the directory that `path` is in, and its name there."""
        above, name = posixpath.split(path.rstrip("/"))
        return self.open(above or ("/" if path.startswith("/") else "."), os.O_PATH), name


@dataclass(slots=True)
class Source:
    """What is copied: a directory `fd`, or the entry `name` of the directory `fd`, or a file."""

    fd: int
    name: str
    kind: str  # "directory", "entry" or "file"
    contents: bool  # SRC/. : what is in the directory, not the directory


def find_source(place: Place, *, follow: bool) -> Source:
    """Look the source up.  Its last symbolic link is followed only if asked.  Raises CopyError."""
    path = place.path
    contents = path == "." or path.endswith("/.")
    path = path.rstrip("/") if path.rstrip("/") else "/"
    must_be_directory = contents or (place.path.endswith("/") and path != "/")
    through = follow or must_be_directory or posixpath.basename(path) in ("", ".", "..")
    try:
        fd = place.open(path, os.O_PATH | (0 if through else os.O_NOFOLLOW))
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            inner = os.open(".", _DIRECTORY, dir_fd=fd)
            os.close(fd)
            return Source(inner, _name_of(place, path), "directory", contents)
        os.close(fd)
        if must_be_directory:
            raise CopyError(f"cannot copy {place.text}: it is no directory")
        if not through:
            fd, name = place.split(path)
            return Source(fd, name, "entry", False)
        fd = place.open(path, os.O_RDONLY | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise CopyError(f"cannot copy {place.text}: its link leads to no file or directory")
        return Source(fd, posixpath.basename(path), "file", False)
    except OSError as e:
        raise failure(f"cannot copy {place.text}", e) from e


def _name_of(place: Place, path: str) -> str:
    """What a copy of this directory is called."""
    name = posixpath.basename(posixpath.normpath(path))
    if name in ("", ".", "..") and place.root is None:
        name = os.path.basename(os.path.realpath(path))
    return name if name not in (".", "..") else ""


def find_target(place: Place, source: Source) -> tuple[int, str]:
    """Where the copy goes: a directory and the name there, "" for into the directory itself.

    Raises CopyError.
    """
    what = "the directory" if source.kind == "directory" else "the file"
    try:
        fd = place.open(place.path, os.O_PATH)
    except OSError as e:
        if e.errno != errno.ENOENT:
            raise failure(f"cannot copy to {place.text}", e) from e
    else:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            # By descriptor: what has the name a moment later does not matter.
            inner = os.open(".", _DIRECTORY, dir_fd=fd)
            os.close(fd)
            return inner, "" if source.contents else source.name
        os.close(fd)
        if source.kind == "directory":
            raise CopyError(
                f"cannot copy {what} to {place.text}: there is a file",
                remedy="name a directory, or a path that is not there",
            )
    path = _through_links(place)
    if source.kind != "directory" and path.endswith("/"):
        raise CopyError(
            f"cannot copy {what} to {place.text}: there is no such directory",
            remedy="make it first, or leave the slash at the end out",
        )
    try:
        fd, name = place.split(path)
    except OSError as e:
        raise failure(f"cannot copy to {place.text}", e) from e
    return fd, name


def _through_links(place: Place) -> str:
    """The destination's path without symbolic links, but for what is missing of it.

    Name by name: links may be longer, one after the other, than a path may be.
    """
    done: list[str] = []
    top = "/" if place.root is not None or place.path.startswith("/") else ""
    names, links, slash = place.path.split("/"), 0, place.path.endswith("/")
    while names:
        name = names.pop(0)
        if name in ("", "."):
            continue
        if name == "..":
            if done and done[-1] != "..":
                done.pop()
            elif not top:
                done.append(name)
            continue
        text = _link_text(place, top + "/".join([*done, name]))
        if not text:
            done.append(name)
            continue
        links += 1
        if links > mount.LINKS_MAX:
            raise CopyError(f"cannot copy to {place.text}: its symbolic links go in circles")
        slash = slash or (not names and text.endswith("/"))
        names = text.split("/") + names
        if text.startswith("/"):
            top, done = "/", []
    return top + "/".join(done) + "/" * (slash and bool(done))


def _link_text(place: Place, path: str) -> str:
    """What a symbolic link says; "" for what is none, or not there."""
    try:
        fd, name = place.split(path)
    except OSError:
        return ""
    try:
        return os.readlink(name, dir_fd=fd)
    except OSError:
        return ""
    finally:
        os.close(fd)


def copy(source_place: Place, target_place: Place, copier: Copy, *, follow: bool) -> None:
    """Copy from place to place with `copier`.  Raises CopyError; what was copied by then stays."""
    source = find_source(source_place, follow=follow)
    fd, name = find_target(target_place, source)
    os.umask(0)
    try:
        if source.kind == "directory":
            _copy_directory(source, fd, name, copier)
        elif source.kind == "entry":
            copier.entry(source.fd, source.name, fd, name)
        else:
            copier.file(source.fd, fd, name)
    except (OSError, KernelError) as e:
        where = posixpath.join(target_place.text, copier.current if not name else "")
        where = where.rstrip("/") or "/"
        raise failure(f"cannot copy {source_place.text} to {where}", e) from e


def _copy_directory(source: Source, fd: int, name: str, copier: Copy) -> None:
    if not name:
        status = os.fstat(fd)
        copier.directory(source.fd, fd)
        os.fchmod(fd, stat.S_IMODE(status.st_mode))
        os.fchown(fd, status.st_uid, status.st_gid)
        return
    try:
        os.mkdir(name, 0o700, dir_fd=fd)
    except FileExistsError:
        pass
    inner = os.open(name, _DIRECTORY, dir_fd=fd)
    copier.directory(source.fd, inner)


def write_archive(place: Place, write: Callable[[bytes], object], *, follow: bool) -> None:
    """The source as a tar archive, named as its last component.  Raises CopyError."""
    source = find_source(place, follow=follow)
    writer = Writer(write, layer=False)
    try:
        if source.kind == "directory":
            name = b"." if source.contents or not source.name else os.fsencode(source.name)
            writer.tree(source.fd, name)
        elif source.kind == "entry":
            name = os.fsencode(source.name)
            writer.node(source.fd, name, name, os.lstat(source.name, dir_fd=source.fd))
        else:
            writer.file(source.fd, os.fsencode(source.name))
        write(END)
    except BrokenPipeError:
        raise
    except OSError as e:
        raise failure(f"cannot copy {place.text}", e) from e


def read_archive(place: Place, stream: Readable) -> int:
    """Put the files of a tar archive into the directory `place` of a container; how many.

    Raises CopyError, BadDocument; what was copied by then stays.
    """
    assert place.root is not None
    try:
        fd = place.open(place.path, os.O_PATH | os.O_DIRECTORY)
    except OSError as e:
        raise failure(f"cannot copy to {place.text}", e) from e
    os.close(fd)
    top = container_root.readable(place.root)
    below = os.fsencode(place.path.strip("/"))
    extractor = Extractor(top, squash=False, write_data=write_data, layer=False, below=below)
    data = Decompressed(stream, "", "standard input")
    extractor.extract_all(TarReader(lambda: data.read(_CHUNK)))
    return extractor.entries


def failure(what: str, e: OSError | KernelError) -> CopyError:
    """The CopyError for what the kernel refused."""
    code = e.errno or 0
    remedy = {
        errno.ENOENT: "check the path",
        errno.EROFS: "it is mounted read-only",
        errno.ENOSPC: "free some space first",
        errno.EDQUOT: "your quota is used up: free some space first",
    }.get(code)
    return CopyError(f"{what}: {os.strerror(code)}", remedy=remedy)
