"""The tar format as a stream of members: ustar, PAX, GNU long names, GNU and PAX sparse files.

Written here and not taken from tarfile because of time: tarfile's stream mode needs 90 us per
member on the machine of docs/decisions/020-layers.md, this 2 to 4; an image has thousands.
Sources: pax(1) in POSIX.1-2017, tar(5), GNU tar's manual ("Basic Tar Format", "Sparse Formats").
Names are bytes: an image may hold any.
"""

import os
import struct
import zlib
from functools import lru_cache

from rootless.errors import BadDocument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK = 512
_ADLER = 65521  # RFC 1950 8.2
_ZEROS = bytes(BLOCK)
# Go's archive/tar (Docker) has the same limit for long names and PAX headers.
_SPECIAL_MAX = 1 << 20
_SPARSE_MAX = 1 << 16  # segments
_SPARSE_LENGTH_MAX = 1 << 44  # bytes, an ext4 file of 4 KiB blocks; holes cost an archive nothing
_SIZE_MAX = (1 << 63) - 1  # bytes, what a file offset can be

REGULAR = b"0"
HARD_LINK = b"1"
SYMLINK = b"2"
CHARACTER = b"3"
BLOCK_DEVICE = b"4"
DIRECTORY = b"5"
FIFO = b"6"
_EXTENDED = frozenset((b"x", b"g", b"L", b"K"))
_DEVICES = frozenset((CHARACTER, BLOCK_DEVICE))
_KINDS = frozenset((REGULAR, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO))
_FILES = frozenset((REGULAR, b"\0", b"7"))  # 7: a contiguous file, one like others here
_XATTR = b"SCHILY.xattr."
# Name; mode, uid and gid; size; mtime; checksum; kind; link; magic; prefix of the name.
_HEADER = struct.Struct("100s24s12s12s8sc100s6s82x155s12x")
_SMALL = 1 << 14  # bytes that are sooner copied than shown by a memoryview


class Member:
    """One entry.  `size` counts the bytes in the archive, `length` those of the file (sparse)."""

    __slots__ = ("device", "gid", "kind", "length", "link", "mode", "mtime_ns", "name", "size",
                 "sparse", "uid", "xattrs")  # fmt: skip

    def __init__(self, name: bytes = b"", kind: bytes = REGULAR) -> None:
        self.name = name
        self.kind = kind
        self.link = b""
        self.mode = 0o644
        self.uid = 0
        self.gid = 0
        self.size = 0
        self.length = 0
        self.mtime_ns = 0
        self.device = (0, 0)
        self.sparse: list[tuple[int, int]] | None = None
        self.xattrs: dict[bytes, bytes] | None = None


class TarReader:
    """Members of an archive that comes in chunks; `next_chunk` returns b"" at the end.

    After members() has yielded a regular file, data() gives its bytes; what is left of it is
    skipped.  Raises BadDocument for what is no tar archive.
    """

    def __init__(self, next_chunk: "Callable[[], bytes]") -> None:
        self._next_chunk = next_chunk
        self._chunk = b""
        self._at = 0
        self._left = 0  # bytes of the current member not yet read
        self._padding = 0

    def members(self) -> "Iterator[Member]":
        """Every member in order.  Ends after the end-of-archive mark, or where the data ends."""
        pax: list[tuple[bytes, bytes]] = []
        long_name = long_link = None
        while True:
            self._skip_data()
            header = self._take(BLOCK, at_end=True)
            if not header:
                if pax or long_name is not None or long_link is not None:
                    raise BadDocument("tar: the archive is cut off after an extended header")
                return
            if header == _ZEROS:
                return
            kind = header[156:157]
            if kind in _EXTENDED:
                data = self._special(header)
                if kind == b"x":
                    pax = _pax_records(data)
                elif kind == b"L":
                    long_name = data.rstrip(b"\0")
                elif kind == b"K":
                    long_link = data.rstrip(b"\0")
                continue  # "g": Docker ignores global headers too
            member = _parse(header)
            if kind == b"S":
                self._old_sparse(member, header)
            if pax or long_name is not None or long_link is not None:
                if long_name is not None:
                    member.name = long_name
                if long_link is not None:
                    member.link = long_link
                self._apply_pax(member, pax)
                if b"\0" in member.name or b"\0" in member.link:
                    raise BadDocument("tar: a name with a NUL byte")
                pax, long_name, long_link = [], None, None
            if member.sparse is not None:
                _check_sparse(member)
            _finish(member)
            if member.kind == REGULAR and member.sparse is None:
                self._left = member.size
                self._padding = -member.size % BLOCK
            yield member

    def data(self) -> "Iterator[bytes | memoryview]":
        """The current member's bytes in the archive, in pieces."""
        while piece := self.piece():
            yield piece

    def drain(self) -> None:
        """Read what follows the end-of-archive mark: it counts in the digest."""
        self._chunk, self._at = b"", 0
        while self._next_chunk():
            pass

    def piece(self) -> "bytes | memoryview":
        """The next of the current member's bytes; b"" behind the last."""
        if not self._left:
            return b""
        if self._at == len(self._chunk):
            self._fill()
        start = self._at
        self._at = end = min(len(self._chunk), start + self._left)
        self._left -= end - start
        if end - start <= _SMALL:
            return self._chunk[start:end]
        return memoryview(self._chunk)[start:end]

    def _fill(self) -> None:
        self._chunk, self._at = self._next_chunk(), 0
        if not self._chunk:
            raise BadDocument("tar: the archive is cut off")

    def _skip_data(self) -> None:
        left = self._left + self._padding
        if not left:
            return
        self._left = self._padding = 0
        while left > len(self._chunk) - self._at:
            left -= len(self._chunk) - self._at
            self._at = len(self._chunk)
            self._fill()
        self._at += left

    def _take(self, size: int, *, at_end: bool = False) -> bytes:
        """Exactly `size` bytes; b"" at the end of the data if `at_end` allows it there."""
        start = self._at
        end = start + size
        if end <= len(self._chunk):
            self._at = end
            return self._chunk[start:end]
        parts = [self._chunk[start:]]
        missing = size - len(parts[0])
        while missing:
            self._chunk = self._next_chunk()
            if not self._chunk:
                self._at = 0
                if at_end and missing == size:
                    return b""
                raise BadDocument("tar: the archive is cut off")
            parts.append(self._chunk[:missing])
            self._at = len(parts[-1])
            missing -= self._at
        return b"".join(parts)

    def _special(self, header: bytes) -> bytes:
        size = _parse(header).size
        if size > _SPECIAL_MAX:
            raise BadDocument(f"tar: an extended header of {size} bytes")
        return self._take(size + -size % BLOCK)[:size]

    def _old_sparse(self, member: Member, header: bytes) -> None:
        """GNU's old format: the map is in the header and in the blocks that follow it."""
        segments: list[tuple[int, int]] = []
        entries, more = header[386:482], header[482]
        member.length = _number(header[483:495])
        while True:
            for at in range(0, len(entries), 24):
                if entries[at : at + 24].strip(b"\0 "):
                    segments.append(
                        (_number(entries[at : at + 12]), _number(entries[at + 12 : at + 24]))
                    )
            if not more:
                break
            if len(segments) > _SPARSE_MAX:
                raise BadDocument("tar: a sparse file of too many pieces")
            block = self._take(BLOCK)
            entries, more = block[:504], block[504]
        member.sparse = segments
        self._left, self._padding = member.size, -member.size % BLOCK

    def _apply_pax(self, member: Member, records: list[tuple[bytes, bytes]]) -> None:
        sparse: list[tuple[bytes, bytes]] = []
        for key, value in records:
            if key == b"path":
                member.name = value
            elif key == b"linkpath":
                member.link = value
            elif key == b"size":
                member.size = member.length = _decimal(value)
            elif key == b"uid":
                member.uid = _decimal(value)
            elif key == b"gid":
                member.gid = _decimal(value)
            elif key == b"mtime":
                member.mtime_ns = _nanoseconds(value)
            elif key.startswith(_XATTR):
                if member.xattrs is None:
                    member.xattrs = {}
                member.xattrs[key[len(_XATTR) :]] = value
            elif key.startswith(b"GNU.sparse."):
                sparse.append((key[11:], value))
        if sparse and member.kind in _FILES:
            self._pax_sparse(member, sparse)

    def _pax_sparse(self, member: Member, records: list[tuple[bytes, bytes]]) -> None:
        """PAX sparse formats 0.0 (repeated offsets), 0.1 (a map), 1.0 (the map in the data)."""
        fields = dict(records)
        member.name = fields.get(b"name", member.name)
        self._left, self._padding = member.size, -member.size % BLOCK
        if fields.get(b"major") == b"1":
            member.length = _decimal(fields.get(b"realsize", b""))
            numbers = self._sparse_numbers()
        else:
            member.length = _decimal(fields.get(b"size", b""))
            if b"map" in fields:
                numbers = [_decimal(part) for part in fields[b"map"].split(b",") if part]
            else:
                numbers = [_decimal(v) for k, v in records if k in (b"offset", b"numbytes")]
        if len(numbers) % 2 or len(numbers) > 2 * _SPARSE_MAX:
            raise BadDocument("tar: a sparse file's map makes no sense")
        member.sparse = list(zip(numbers[::2], numbers[1::2], strict=True))
        member.size = self._left

    def _sparse_numbers(self) -> list[int]:
        """The map at the beginning of the data: a count and the numbers, each on a line."""
        numbers: list[int] = []
        rest = b""
        while not numbers or len(numbers) <= 2 * numbers[0]:
            if self._left < BLOCK or len(rest) > BLOCK:
                raise BadDocument("tar: a sparse file's map makes no sense")
            *lines, rest = (rest + self._take(BLOCK)).split(b"\n")
            self._left -= BLOCK
            numbers += [_decimal(line) for line in lines if line.strip(b"\0")]
            if numbers and numbers[0] > _SPARSE_MAX:
                raise BadDocument("tar: a sparse file of too many pieces")
        return numbers[1 : 2 * numbers[0] + 1]


def _parse(header: bytes) -> Member:
    """The fields of one header block."""
    name, ids, size, mtime, check, kind, link, magic, prefix = _HEADER.unpack(header)
    # The low half of Adler-32 is the sum and 1, modulo 65521: a tenth of the time of sum().
    if (zlib.adler32(header) % 65536 - _checksum(check)) % _ADLER:
        _check_signed(header)
    member = Member(name.partition(b"\0")[0], kind)
    if prefix[0] and magic == b"ustar\0":
        member.name = prefix.partition(b"\0")[0] + b"/" + member.name
    member.mode, member.uid, member.gid = _ids(ids)
    member.size = member.length = _number(size)
    member.mtime_ns = _seconds(mtime) * 1_000_000_000
    if link[0]:
        member.link = link.partition(b"\0")[0]
    if kind in _DEVICES:
        member.device = (_number(header[329:337]), _number(header[337:345]))
    if member.size < 0:
        raise BadDocument("tar: a member with a negative size")
    return member


# What the members of an archive have in common is worked out once.


@lru_cache(1024)
def _ids(field: bytes) -> tuple[int, int, int]:
    """Mode, user and group."""
    return _number(field[:8]) & 0o7777, _number(field[8:16]), _number(field[16:])


@lru_cache(1024)
def _seconds(field: bytes) -> int:
    return _number(field)


@lru_cache(4096)
def _checksum(field: bytes) -> int:
    """What the low half of the header's Adler-32 has to be: its checksum counts spaces here."""
    try:
        wanted = int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        raise BadDocument("tar: a header without a checksum") from None
    return wanted + 1 + sum(field) - len(field) * 32


def _check_signed(header: bytes) -> None:
    """Tars of the eighties summed signed bytes."""
    field = header[148:156]
    signed = sum(b - 256 if b > 127 else b for b in header[:148] + header[156:]) + 256
    if signed != _checksum(field) - 1 - sum(field) + 256:
        raise BadDocument("tar: a header with a wrong checksum")


def _finish(member: Member) -> None:
    """What the format leaves open, decided as Go's archive/tar does."""
    if member.kind in _FILES or member.kind == b"S":
        # v7 knew no directories: a slash at the end made one.
        is_directory = member.name.endswith(b"/") and member.sparse is None
        member.kind = DIRECTORY if is_directory else REGULAR
        if is_directory:
            member.size = member.length = 0
        if member.size > _SIZE_MAX:
            raise BadDocument(f"tar: {shown(member.name)} is said to have {member.size} bytes")
    elif member.kind not in _KINDS:
        raise BadDocument(f"tar: a member of the unknown type {member.kind!r}")
    else:
        member.size = member.length = 0
    if (member.uid | member.gid) >> 32:  # negative, too
        raise BadDocument(f"tar: {shown(member.name)} has an owner that is no user or group ID")


def _check_sparse(member: Member) -> None:
    if member.length > _SPARSE_LENGTH_MAX:
        raise BadDocument("tar: a sparse file's map makes no sense")
    at = 0
    total = 0
    for offset, size in member.sparse or ():
        if offset < at or size < 0:
            raise BadDocument("tar: a sparse file's map makes no sense")
        at = offset + size
        total += size
    if at > member.length or total != member.size:
        raise BadDocument("tar: a sparse file's map makes no sense")


def _number(field: bytes) -> int:
    """An octal number, or GNU's base 256: the first byte is 0x80 or, negative, 0xff."""
    if not field[-1]:
        try:
            return int(field[:-1], 8)  # nearly all are of digits and a NUL
        except ValueError:
            pass
    if field[0] & 0x80:
        value = int.from_bytes(field, "big")
        if field[0] & 0x40:
            return value - (1 << (8 * len(field)))
        return value - (1 << (8 * len(field) - 1))
    try:
        return int(field.partition(b"\0")[0].strip(b" ") or b"0", 8)
    except ValueError:
        raise BadDocument(f"tar: {field!r} is not an octal number") from None


def _decimal(value: bytes) -> int:
    if not value.isdigit() or len(value) > 20:
        raise BadDocument(f"tar: {value[:40]!r} is not a number")
    return int(value)


def _nanoseconds(value: bytes) -> int:
    """Seconds with a fraction, maybe negative, as PAX writes times."""
    whole, _, fraction = value.partition(b".")
    negative = whole.startswith(b"-")
    if not (fraction or b"0").isdigit():
        raise BadDocument(f"tar: {value[:40]!r} is not a time")
    seconds = _decimal(whole[1:] if negative else whole)
    result = seconds * 1_000_000_000 + int(fraction[:9].ljust(9, b"0"))
    return -result if negative else result


def _pax_records(data: bytes) -> list[tuple[bytes, bytes]]:
    """The records "LENGTH KEY=VALUE\\n" of a PAX header; an empty value takes the key away."""
    records: list[tuple[bytes, bytes]] = []
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        if space < 0:
            if data[at:].strip(b"\0"):
                raise BadDocument("tar: a PAX header that makes no sense")
            break
        end = at + _decimal(data[at:space])
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        well_formed = space < end <= len(data) and data[end - 1] == 10 and equals and key
        if not well_formed or b"\0" in key:
            raise BadDocument("tar: a PAX header that makes no sense")
        if value or key.startswith(_XATTR):
            records.append((key, value))
        at = end
    return records


def shown(name: bytes) -> str:
    """A name from an archive for a message: on one line, and not for ever."""
    text = repr(os.fsdecode(name[:200]))
    return text if len(name) <= 200 else text + "…"
