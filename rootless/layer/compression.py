"""Compression of layers: found by magic number, read as a stream, with errors that make sense."""

import io
import zlib

from rootless.errors import BadDocument
from rootless.layer import bounds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol, cast

    class Readable(Protocol):
        """What a stream has to have here; a short read is no end, b"" is."""

        def read(self, size: int, /) -> bytes: ...

else:
    # Workers are started for each layer: what only some need is imported there, typing nowhere.
    Readable = object

    def cast(_kind, value):
        return value


_gzip: "Any" = zlib
try:
    # 2.9 times zlib's inflate and 9 times its deflate at level 1, measured in STYLE.md A.
    from isal import isal_zlib

    _gzip = isal_zlib
except ImportError:
    pass  # no wheel for this machine
_DAMAGED: tuple[type[Exception], ...] = (zlib.error, _gzip.error)
_DAMAGED_NAMES = ("ZstdError", "LZMAError")  # imported only when there is such data to read

GZIP = "gzip"
ZSTD = "zstd"
XZ = "xz"
BZIP2 = "bzip2"
PLAIN = "tar"

_MAGIC = (
    (b"\x1f\x8b", GZIP),
    (b"\x28\xb5\x2f\xfd", ZSTD),
    (b"\xfd7zXZ\x00", XZ),
    (b"BZh", BZIP2),
)
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_FORMAT = 31  # zlib's window bits, and 16: a gzip header and checksum
# RFC 8878 3.1.2: a frame of somebody else's data, 0x184D2A5?; it may come first.
_SKIPPABLE = b"\x2a\x4d\x18"
_PEEK = 512
_BUFFER = 1 << 18


class Prefixed(io.RawIOBase):
    """A stream with bytes put back in front of it."""

    def __init__(self, prefix: bytes, source: Readable) -> None:
        self._prefix = prefix
        self._source = source
        self.count = len(prefix)  # bytes taken from the source

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return self.readall()
        if self._prefix:
            data, self._prefix = self._prefix[:size], self._prefix[size:]
            return data
        data = self._source.read(size)
        self.count += len(data)
        return data

    def readinto(self, buffer: object, /) -> int:
        view = memoryview(cast("bytearray", buffer)).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)


class Decompressed:
    """The uncompressed bytes of a stream.  `kind` says how they were compressed.

    read() raises BadDocument, naming `what`, for data that is damaged, ends too early, or is more
    than `limits` (see bounds.of) let be unpacked.
    """

    def __init__(
        self,
        source: Readable,
        media_type: str = "",
        what: str = "the layer",
        limits: tuple[int, int] = bounds.DEFAULT,
    ) -> None:
        prefix = _read_up_to(source, _PEEK)
        self.kind = _agreed_kind(prefix, media_type, what)
        self._what = what
        self._limits = limits
        self._unpacked = 0
        self._packed = Prefixed(prefix, source)
        self._stream = _open(self.kind, self._packed)

    def read(self, size: int = _BUFFER, /) -> bytes:
        """Up to `size` bytes; b"" at the end."""
        data = self._decoded(size)
        self._unpacked += len(data)
        bounds.check(self._limits, self._unpacked, self._packed.count, self._what)
        return data

    def _decoded(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except EOFError as e:
            raise BadDocument(f"{self._what} is cut off: its {self.kind} data has no end") from e
        except _DAMAGED as e:
            raise BadDocument(f"{self._what} is damaged: {e}") from e
        except OSError as e:
            if e.errno is not None:
                raise  # reading failed, not decoding
            raise BadDocument(f"{self._what} is damaged: {e}") from e
        except Exception as e:
            if type(e).__name__ not in _DAMAGED_NAMES:
                raise
            raise BadDocument(f"{self._what} is damaged: {e}") from e


def peek(source: Readable, what: str) -> tuple[Prefixed, str]:
    """The whole stream again, and how it is compressed.  Raises BadDocument."""
    prefix = _read_up_to(source, _PEEK)
    return Prefixed(prefix, source), _agreed_kind(prefix, "", what)


def kind_of(prefix: bytes) -> str:
    """How data that begins with `prefix` is compressed; "" when it is not known."""
    for magic, kind in _MAGIC:
        if prefix.startswith(magic):
            return kind
    if prefix[1:4] == _SKIPPABLE and prefix[0] >> 4 == 5:
        return ZSTD
    # ustar and GNU have a magic; a tar that ends at once is zeros; v7 has nothing but its checksum.
    if prefix[257:262] == b"ustar" or (len(prefix) == _PEEK and not prefix.strip(b"\0")):
        return PLAIN
    return PLAIN if _has_header_checksum(prefix) else ""


def kind_of_media_type(media_type: str) -> str:
    """What an OCI or Docker layer's media type promises; "" when it says nothing."""
    base = media_type.partition(";")[0].strip()
    if base.endswith(("+gzip", ".gzip")):
        return GZIP
    if base.endswith(("+zstd", ".zstd")):
        return ZSTD
    return PLAIN if base.endswith(".tar") else ""


def open_gzip_writer(target: io.RawIOBase | io.BufferedIOBase, level: int = 1) -> io.BufferedIOBase:
    """A file that compresses what is written into `target`; the same bytes for the same input.

    Level 1: ISA-L packs 165 MB/s there, and no name or time goes into the header.
    """
    gzip_file: Any
    try:
        from isal.igzip import IGzipFile as gzip_file
    except ImportError:
        from gzip import GzipFile as gzip_file
    stream = gzip_file("", "wb", level, target, 0)
    return cast("io.BufferedIOBase", stream)


def _agreed_kind(prefix: bytes, media_type: str, what: str) -> str:
    """The magic number decides, as with Docker: many layers' media types are wrong."""
    if not prefix:
        raise BadDocument(f"{what} is empty")
    kind = kind_of(prefix)
    if kind:
        return kind
    promised = kind_of_media_type(media_type)
    if promised and promised != PLAIN:
        raise BadDocument(f"{what} is said to be {promised}, but it is not")
    raise BadDocument(f"{what} is neither a tar archive nor one in gzip, zstd, xz or bzip2")


def _has_header_checksum(prefix: bytes) -> bool:
    if len(prefix) < 512:
        return False
    field = prefix[148:156].strip(b" \0")
    try:
        return bool(field) and int(field, 8) == sum(prefix[:512]) - sum(prefix[148:156]) + 256
    except ValueError:
        return False


def _open(kind: str, source: Prefixed) -> Readable:
    stream: object
    if kind == GZIP:
        stream = _Gunzip(source)
    elif kind == ZSTD:
        stream = _open_zstd(source)
    elif kind == XZ:
        import lzma

        stream = lzma.LZMAFile(cast("Any", source))
    elif kind == BZIP2:
        import bz2

        stream = bz2.BZ2File(source)
    else:
        stream = source
    return cast("Readable", stream)


class _Gunzip:
    """The members of a gzip file, one after the other, as gzip(1) reads them.

    What follows the last member and is none is read and ignored: some tools pad with zeros, some
    leave rubbish there.  The diffID tells whether the content is right.
    """

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._decoder = _gzip.decompressobj(_GZIP_FORMAT)
        self._input = b""

    def read(self, size: int, /) -> bytes:
        while True:
            if self._decoder.eof and not self._next_member():
                return b""
            data = self._input or self._source.read(_BUFFER)
            found: bytes = self._decoder.decompress(data, size)
            self._input = self._decoder.unconsumed_tail
            if found:
                return found
            if not data and not self._decoder.eof:
                raise EOFError

    def _next_member(self) -> bool:
        """Begin the member that follows; False when there is none."""
        rest = self._decoder.unused_data.lstrip(b"\0")
        while len(rest) < len(_GZIP_MAGIC):
            more = self._source.read(_BUFFER)
            if not more:
                return False
            rest = (rest + more).lstrip(b"\0")
        if not rest.startswith(_GZIP_MAGIC):
            while self._source.read(_BUFFER):
                pass
            return False
        self._decoder, self._input = _gzip.decompressobj(_GZIP_FORMAT), rest
        return True


def _open_zstd(source: Prefixed) -> object:
    try:
        from compression import zstd  # type: ignore[import-not-found]  # Python 3.14
    except ImportError:
        try:
            from backports import zstd
        except ImportError as e:
            from rootless.errors import HostError

            raise HostError(
                "this Python cannot read zstd",
                remedy="install backports.zstd (pip install backports.zstd)",
                code="RL-HOST-NO-ZSTD",
            ) from e
    return zstd.ZstdFile(source)


def _read_up_to(source: Readable, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = source.read(size - len(data))
        if not more:
            break
        data += more
    return data
