"""The files of an archive of images: of a directory, of a tar archive on disk, or of a stream.

A tar archive that is a plain file is read where it is.  Another one (from a pipe, compressed) has
its table of contents at the end: it is read once, each file into a temporary directory of the
store and hashed on the way.
"""

import hashlib
import os
import posixpath
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from rootless.errors import BadDocument
from rootless.layer import compression
from rootless.log import printable
from rootless.oci import digest as digests
from rootless.oci.documents import DOCUMENT_MAX
from rootless.records import dataclass
from rootless.store import atomic

_CHUNK = 1 << 20
_PEEK = 512
MEMBERS_MAX = 100_000  # files in an archive; a hundred images of a hundred layers have 20,000


class Section:
    """`size` bytes of an open file as a stream, independent of its offset and of other threads."""

    def __init__(self, fd: int, start: int, size: int) -> None:
        self._fd = fd
        self._at = start
        self._end = start + size

    def read(self, size: int = _CHUNK, /) -> bytes:
        """Up to `size` bytes; b"" at the end, also of a file that has become shorter."""
        data = os.pread(self._fd, max(min(size, self._end - self._at), 0), self._at)
        self._at += len(data)
        return data


@dataclass(slots=True)
class File:
    """`size` bytes at `start` of the open file `fd`, or, if that is -1, of the file `path`."""

    size: int
    path: str = ""
    fd: int = -1
    start: int = 0
    digest: str = ""  # of a temporary file: hashed while it was written; it may be moved

    @contextmanager
    def open(self) -> Iterator[Section]:
        """Its bytes as a stream.  Raises OSError."""
        if self.fd >= 0:
            yield Section(self.fd, self.start, self.size)
            return
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield Section(fd, self.start, self.size)
        finally:
            os.close(fd)


class Files:
    """The files of an archive by name."""

    def __init__(self, what: str) -> None:
        self.what = what

    def find(self, name: str) -> File | None:
        raise NotImplementedError

    def file(self, name: str) -> File:
        found = self.find(name)
        if found is None:
            raise BadDocument(
                f"{self.what}: {printable(name[:200])} is missing",
                remedy="the archive is not whole: save it again",
            )
        return found

    def document(self, name: str) -> bytes:
        """The bytes of a small file."""
        found = self.file(name)
        if found.size > DOCUMENT_MAX:
            raise BadDocument(
                f"{self.what}: {printable(name[:200])} has {found.size} bytes, too many for a "
                "document"
            )
        with found.open() as file:
            return file.read(DOCUMENT_MAX)

    def blob(self, digest: str) -> bytes:
        """A small blob of an OCI layout, verified."""
        data = self.document(place_of(digest))
        digests.verify(data, digest, f"{self.what}: {place_of(digest)}")
        return data


class Directory(Files):
    """An OCI layout as a directory."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(what)
        self._path = path

    def find(self, name: str) -> File | None:
        path = f"{self._path}/{name}"
        return File(os.stat(path).st_size, path) if os.path.isfile(path) else None


class Archive(Files):
    """A tar archive; `directory` is for what cannot be read where it is."""

    def __init__(self, source: "compression.Readable", directory: str, what: str) -> None:
        super().__init__(what)
        self._directory = directory
        self._files: dict[str, File] = {}
        self._links: dict[str, str] = {}
        self._fd = _plain_file(source)
        stream, mode = source, "r:"
        if self._fd < 0:
            stream, mode = compression.Decompressed(source, what=what), "r|"
        options: Any = {"fileobj": cast("BinaryIO", stream), "mode": mode, "bufsize": _CHUNK}
        try:
            with tarfile.open(**options) as archive:
                for count, member in enumerate(archive):
                    if count >= MEMBERS_MAX:
                        raise BadDocument(f"{what} has more than {MEMBERS_MAX} files")
                    if member.size < 0:  # tarfile would go back to where it was
                        raise tarfile.ReadError("a member with a negative size")
                    self._take(archive, member)
        except (tarfile.TarError, OverflowError) as e:
            raise BadDocument(f"{what} is no whole tar archive: {e}") from e

    def _take(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name = posixpath.normpath(member.name)
        if member.issym():
            # Docker before 25 has linked a layer that several images have.
            target = posixpath.join(posixpath.dirname(name), member.linkname)
            self._links[name] = posixpath.normpath(target)
        elif member.islnk():
            self._links[name] = posixpath.normpath(member.linkname)
        elif member.isreg() and self._fd >= 0 and not member.issparse():
            self._files[name] = File(member.size, fd=self._fd, start=member.offset_data)
        elif member.isreg():
            self._files[name] = self._copy(archive, member)

    def _copy(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> File:
        content = archive.extractfile(member)
        assert content is not None
        path = f"{self._directory}/{len(self._files)}.member"
        checked = hashlib.sha256()
        try:
            with open(path, "xb", buffering=0) as file:
                while chunk := content.read(_CHUNK):
                    checked.update(chunk)
                    file.write(chunk)
        except OSError as e:
            raise atomic.store_error(e, f"write {path}") from e
        return File(member.size, path, digest=f"sha256:{checked.hexdigest()}")

    def find(self, name: str) -> File | None:
        name = posixpath.normpath(name)
        for _ in range(8):
            if name not in self._links:
                break
            name = self._links[name]
        return self._files.get(name)


def place_of(digest: str) -> str:
    """Where a blob is in an OCI layout."""
    return f"blobs/{digest.replace(':', '/')}"


def _plain_file(source: "compression.Readable") -> int:
    """The descriptor of `source` if that is a tar archive in a file, and no compressed one."""
    try:
        fd = int(cast("BinaryIO", source).fileno())
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return -1
        start = os.lseek(fd, 0, os.SEEK_CUR)
        return fd if compression.kind_of(os.pread(fd, _PEEK, start)) == compression.PLAIN else -1
    except (AttributeError, OSError):
        return -1
