"""Tar archives into a Target: ADD's automatic unpacking, and contexts that come as an archive.

Nothing leaves the destination: names are cleaned, links above a name are resolved within it, and
what a hard link names is looked up there too (Docker does the same by a chroot).  Unlike in a
layer, .wh. names mean nothing here.  Source: buildkit solver/llbsolver/file/unpack_unix.go.
"""

import os
import stat
from collections.abc import Callable
from typing import BinaryIO

from rootless.build.copying_target import Owner, Target, owner_of, read_xattrs
from rootless.errors import BadDocument, BuildError
from rootless.layer import tarstream
from rootless.layer.attributes import times_ns
from rootless.layer.compression import Decompressed, Readable
from rootless.layer.directories import clean
from rootless.layer.tarstream import Member, TarReader, shown
from rootless.layer.view import View

_CHUNK = 1 << 18
_RESERVED = (b"user.overlay.", b"user.fuseoverlayfs.", b"user.rl.", b"trusted.")


def is_archive(file: BinaryIO, what: str) -> bool:
    """Whether the file is a tar archive, compressed or not, with at least one member.

    It is at its beginning, and is there again afterwards.
    """
    try:
        first = next(iter(_reader(file, what).members()), None)
        file.seek(0)
    except (BadDocument, OSError):
        return False
    return first is not None


def _reader(source: Readable, what: str) -> TarReader:
    stream = Decompressed(source, what=what)
    return TarReader(lambda: stream.read(_CHUNK))


def unpack(
    source: Readable,
    what: str,
    target: Target,
    destination: str,
    owner: Owner | None = None,
) -> None:
    """Every member of the archive below the directory `destination` of `target`.

    `owner` is that of all; None leaves each its own.  Raises BuildError, naming `what`.
    """
    unpacker = _Unpacker(target, destination, owner)
    try:
        reader = _reader(source, what)
        for member in reader.members():
            unpacker.member(member, reader)
    except BadDocument as e:
        text = e.what if what in e.what else f"{what}: {e.what}"
        raise BuildError(text, remedy=e.remedy, code="RL-BUILD-ARCHIVE") from e


class _Unpacker:
    def __init__(self, target: Target, destination: str, owner: Owner | None) -> None:
        self._target = target
        self._destination = destination
        self._owner = owner

    def member(self, member: Member, reader: TarReader) -> None:
        name = os.fsdecode(clean(member.name))
        owner = self._owner or (member.uid, member.gid)
        time, _ = times_ns(member.mtime_ns)
        if not name:
            if member.kind == tarstream.DIRECTORY and self._destination:
                real = self._target.ready(self._destination)
                self._target.directory_attributes(real, member.mode, owner, time)
            return
        path = self._place(name, owner)
        xattrs = _xattrs(member)
        if member.kind == tarstream.DIRECTORY:
            self._directory(path, member, owner, time)
            return
        if member.kind == tarstream.HARD_LINK:
            self._hard_link(path, member)
            return
        if member.kind in (tarstream.CHARACTER, tarstream.BLOCK_DEVICE):
            return  # no mknod without privilege; Docker rootless skips it too
        self._make_way(path)
        if member.kind == tarstream.REGULAR:
            content = reader.data() if member.sparse is None else b""
            real = self._target.file(path, content, member.mode, owner, time, xattrs)
            if member.sparse is not None:
                self._fill(real, member, reader, time)
        elif member.kind == tarstream.SYMLINK:
            if not member.link:
                raise BadDocument(f"tar: {shown(member.name)} is a symlink to nothing")
            self._target.symlink(path, member.link, owner, time)
        else:
            self._target.fifo(path, member.mode, owner, time)

    def _place(self, name: str, owner: Owner) -> str:
        """Where `name` goes: links above its last part are followed, inside the destination."""
        parent, _, last = name.rpartition("/")
        above = self._resolve(parent)
        try:
            self._target.make_all(above, self._owner or (0, 0))
        except BuildError as e:
            raise BadDocument(f"tar: {shown(os.fsencode(name))} is in a file, no directory") from e
        return f"{above}/{last}" if above else last

    def _resolve(self, path: str) -> str:
        base = self._destination
        if not base:
            return self._target.view.resolve(path)[1]
        node = self._target.look_up(base)
        assert node is not None
        inside = View(node.places).resolve(path)[1]
        return f"{base}/{inside}" if inside else base

    def _make_way(self, path: str) -> None:
        self._target.clear(path, trees=True)

    def _directory(self, path: str, member: Member, owner: Owner, time: int) -> None:
        node = self._target.look_up(path)
        if node is not None and not node.is_directory:
            # As Docker: a link to a directory is replaced, too.  Opaque, so that nothing from below
            # comes back, be it a file or a directory that a file of this archive had replaced.
            self._target.clear(path)
            self._target.opaque_directory(path)
        real, _ = self._target.directory(path)
        self._target.directory_attributes(real, member.mode, owner, time, _xattrs(member))

    def _hard_link(self, path: str, member: Member) -> None:
        name = os.fsdecode(clean(member.link))
        parent, _, last = name.rpartition("/")
        above = self._resolve(parent)
        linked = f"{above}/{last}" if above else last
        node = self._target.look_up(linked) if name else None
        if node is None or node.is_directory:
            raise BadDocument(
                f"tar: {shown(member.name)} is a hard link to {shown(member.link)}, no file"
            )
        if linked == path:
            return
        real = node.places[0]
        if real != self._target.place(linked):
            real = self._copy_up(linked, real, node.status)
        self._make_way(path)
        self._target.hard_link(real, path)

    def _copy_up(self, path: str, real: str, status: os.stat_result) -> str:
        """A file of a layer below into this one, as a second name for it needs."""
        if not stat.S_ISREG(status.st_mode):
            raise BadDocument(f"tar: a hard link to {shown(os.fsencode(path))}, no file")
        fd = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            owner = owner_of(fd, status)
            mode = stat.S_IMODE(status.st_mode)
            return self._target.file(path, fd, mode, owner, status.st_mtime_ns, read_xattrs(fd))
        finally:
            os.close(fd)

    def _fill(self, real: str, member: Member, reader: TarReader, time: int) -> None:
        """The pieces of a sparse file."""
        fd = os.open(real, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _write_pieces(member, reader, lambda data, at: os.pwrite(fd, data, at))
            os.ftruncate(fd, member.length)
            os.utime(fd, ns=(time, time))
        finally:
            os.close(fd)


def _write_pieces(
    member: Member, reader: TarReader, write: "Callable[[bytes | memoryview, int], int]"
) -> None:
    pieces = reader.data()
    piece: bytes | memoryview = b""
    for offset, size in member.sparse or ():
        while size:
            if not piece:
                piece = next(pieces)
            written = write(piece[:size], offset)
            piece = memoryview(piece)[written:]
            offset += written
            size -= written


def _xattrs(member: Member) -> dict[str, bytes]:
    return {
        os.fsdecode(name): value
        for name, value in (member.xattrs or {}).items()
        if not name.startswith(_RESERVED)
    }
