"""Members to tar bytes: ustar, with PAX records for what doesn't fit.  Deterministic.  Pure."""

from rootless.layer.tarstream import BLOCK, DIRECTORY, Member

END = bytes(2 * BLOCK)
_OCTAL_7 = 0o7777777
_OCTAL_11 = 0o77777777777


def padding(size: int) -> bytes:
    """What follows `size` bytes of data up to the next block."""
    return bytes(-size % BLOCK)


def header(member: Member, *, precise: bool = False) -> bytes:
    """The header of `member`, with a PAX header before it where ustar is too small.

    Times are whole seconds, as in Docker's layers, unless `precise`: fractions cost each file two
    blocks.  A sparse member's data begins with sparse_map(); its `size` is set here.
    """
    name = member.name
    if member.kind == DIRECTORY and not name.endswith(b"/"):
        name += b"/"
    records: list[tuple[bytes, bytes]] = []
    if member.sparse is not None:
        # GNU tar manual, "PAX Format, Version 1.0".
        records += [
            (b"GNU.sparse.major", b"1"),
            (b"GNU.sparse.minor", b"0"),
            (b"GNU.sparse.name", name),
            (b"GNU.sparse.realsize", b"%d" % member.length),
        ]
        member.size = len(sparse_map(member)) + sum(size for _, size in member.sparse)
        name = b"GNUSparseFile.0/" + name.rpartition(b"/")[2][:80]
    if len(name) > 100 or not name.isascii():
        records.append((b"path", name))
    if len(member.link) > 100 or not member.link.isascii():
        records.append((b"linkpath", member.link))
    for key, value, limit in (
        (b"uid", member.uid, _OCTAL_7),
        (b"gid", member.gid, _OCTAL_7),
        (b"size", member.size, _OCTAL_11),
        (b"mtime", member.mtime_ns // 1_000_000_000, _OCTAL_11),
    ):
        if precise and key == b"mtime" and member.mtime_ns % 1_000_000_000:
            records.append((key, _decimal(member.mtime_ns)))
        elif not 0 <= value <= limit:
            records.append((key, b"%d" % value))
    for xattr, content in sorted((member.xattrs or {}).items()):
        records.append((b"SCHILY.xattr." + xattr, content))
    block = _ustar(member, name)
    if not records:
        return block
    data = b"".join(_record(key, value) for key, value in records)
    extended = Member(b"PaxHeaders/" + name.rstrip(b"/").rpartition(b"/")[2][:80], b"x")
    extended.size = len(data)
    return _ustar(extended, extended.name) + data + padding(len(data)) + block


def sparse_map(member: Member) -> bytes:
    """What the data of a sparse member begins with: where its pieces are, to whole blocks."""
    pieces = list(member.sparse or ())
    if not pieces or sum(pieces[-1]) < member.length:
        pieces.append((member.length, 0))
    lines = [b"%d\n" % len(pieces)]
    lines += [b"%d\n%d\n" % piece for piece in pieces]
    text = b"".join(lines)
    return text + padding(len(text))


def _decimal(ns: int) -> bytes:
    """Nanoseconds as PAX writes a time: seconds with a fraction."""
    seconds, rest = divmod(abs(ns), 1_000_000_000)
    return b"%s%d.%09d" % (b"-" if ns < 0 else b"", seconds, rest)


def _record(key: bytes, value: bytes) -> bytes:
    """A record begins with its own length, which counts its digits too."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + len(str(len(rest)))
    if len(str(length)) + len(rest) != length:
        length += 1
    return b"%d" % length + rest


def _ustar(member: Member, name: bytes) -> bytes:
    major, minor = member.device
    block = b"".join(
        (
            name[:100].ljust(100, b"\0"),
            b"%07o\0" % (member.mode & 0o7777),
            b"%07o\0" % _within(member.uid, _OCTAL_7),
            b"%07o\0" % _within(member.gid, _OCTAL_7),
            b"%011o\0" % _within(member.size, _OCTAL_11),
            b"%011o\0" % _within(member.mtime_ns // 1_000_000_000, _OCTAL_11),
            b"        ",
            member.kind,
            member.link[:100].ljust(100, b"\0"),
            b"ustar\x0000",
            bytes(64),
            b"%07o\0" % _within(major, _OCTAL_7),
            b"%07o\0" % _within(minor, _OCTAL_7),
            bytes(167),
        )
    )
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _within(value: int, limit: int) -> int:
    return value if 0 <= value <= limit else 0
