"""Every field of a tar header and every PAX record, spoilt: a member that makes sense, or one error
of one short line.  The archives in tests/data/archives have what was thought of by hand."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.archive_corpus import BLOCK, END, directory, file, pad

from rootless.errors import BadDocument
from rootless.layer import tarstream
from rootless.layer.tarstream import Member, TarReader

# POSIX.1-2017 pax(1), "ustar Interchange Format"; name: offset, size.
FIELDS = {
    "name": (0, 100), "mode": (100, 8), "uid": (108, 8), "gid": (116, 8), "size": (124, 12),
    "mtime": (136, 12), "checksum": (148, 8), "type": (156, 1), "link": (157, 100),
    "magic": (257, 6), "version": (263, 2), "user": (265, 32), "group": (297, 32),
    "major": (329, 8), "minor": (337, 8), "prefix": (345, 155), "rest": (500, 12),
}  # fmt: skip
KINDS = [b"0", b"\0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"S", b"L", b"K", b"x", b"g", b"V"]
KEYS = [
    b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime", b"atime", b"uname", b"gname",
    b"charset", b"hdrcharset", b"comment", b"SCHILY.xattr.user.a", b"SCHILY.xattr.",
    b"GNU.sparse.major", b"GNU.sparse.minor", b"GNU.sparse.name", b"GNU.sparse.realsize",
    b"GNU.sparse.size", b"GNU.sparse.map", b"GNU.sparse.numblocks", b"GNU.sparse.offset",
    b"GNU.sparse.numbytes",
]  # fmt: skip
# Missing, of another kind, huge, negative, and what steers a terminal.
VALUES = [
    b"", b"0", b"1", b"-1", b"x", b"7" * 25, b"9" * 20, b"9" * 5000, b"1.5", b"-1.5", b"1e9",
    b"0x7f", b"\xff", b"..", b"/", b"a\0b", b"\x1b[31m\n", b"a" * 300_000, b"../" * 2000,
    b"0,0", b"0,-1", b"4,1,2,9", b"\xd9\xa3",  # a digit, but no ASCII one
]  # fmt: skip


def spoilt(block: bytes, field: str, value: bytes) -> bytes:
    """The header with another value in a field, its checksum put right."""
    at, size = FIELDS[field]
    block = block[:at] + value[:size].ljust(size, b"\0") + block[at + size :]
    if field == "checksum":
        return block
    return block[:148] + b"%06o\0 " % (sum(block[:148] + block[156:]) + 8 * 32) + block[156:]


def extended(records: list[tuple[bytes, bytes]], kind: bytes = b"x") -> bytes:
    """A PAX header of these records, whatever is in them."""
    lines = b""
    for key, value in records:
        size = len(key) + len(value) + 3
        while len(b"%d" % size) + len(key) + len(value) + 3 != size:
            size = len(b"%d" % size) + len(key) + len(value) + 3
        lines += b"%d %s=%s\n" % (size, key, value)
    start = spoilt(spoilt(directory(b"pax"), "type", kind), "size", b"%011o" % len(lines))
    return start + pad(lines)


def read(data: bytes) -> None:
    """All members, which make sense, or an error that does."""
    try:
        check_all(data)
    except BadDocument:
        pass


def check_all(data: bytes) -> None:
    chunks = iter([data[at : at + 1000] for at in range(0, len(data), 1000)])
    reader = TarReader(lambda: next(chunks, b""))
    try:
        for member in reader.members():
            check(member)
            # As much as there is: a size is only what the archive says.
            for _ in itertools.islice(reader.data(), 100):
                pass
    except BadDocument as e:
        line = e.one_line()
        assert line.isprintable(), line
        assert len(line) < 1000, line[:400]  # 200 bytes of a name, escaped
        raise


def check(member: Member) -> None:
    assert 0 <= member.mode <= 0o7777
    assert 0 <= member.uid < 1 << 32
    assert 0 <= member.gid < 1 << 32
    assert 0 <= member.size <= tarstream._SIZE_MAX
    assert member.length >= 0
    assert member.kind in tarstream._KINDS
    assert b"\0" not in member.name + member.link
    for offset, size in member.sparse or ():
        assert 0 <= offset <= offset + size <= member.length


@pytest.mark.parametrize("field", FIELDS)
def test_a_header_with_one_spoilt_field(field: str) -> None:
    binary = [b"\x80" + b"\xff" * 11, b"\xff" * 12, b"\xff" + bytes(11), b"\x80" + bytes(11)]
    for kind in KINDS:
        block = spoilt(file(b"a"), "type", kind)[:BLOCK]
        for value in (*VALUES, *KINDS, *binary, b" " * 12, b"8" * 12, b"777777777777"):
            read(spoilt(block, field, value) + pad(b"data") + file(b"b") + END)


@pytest.mark.parametrize("key", KEYS)
def test_a_pax_record_with_a_spoilt_value(key: bytes) -> None:
    for kind in KINDS:
        block = spoilt(file(b"a"), "type", kind)[:BLOCK] + pad(b"data")
        for value in VALUES:
            read(extended([(key, value)]) + block + END)


@pytest.mark.parametrize("last", [(b"size", b"9" * 20), (b"uid", b"9" * 20), (b"mtime", b"x")])
def test_a_name_as_long_as_it_may_be_is_cut_in_errors(last: tuple[bytes, bytes]) -> None:
    with pytest.raises(BadDocument):
        check_all(extended([(b"path", b"a\x1b" * 150_000), last]) + file(b"a") + END)


records = st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES)), max_size=4)
fields = st.lists(
    st.tuples(st.sampled_from(list(FIELDS)), st.sampled_from(VALUES + KINDS)), max_size=4
)


@given(records, fields, st.sampled_from([b"x", b"g"]), st.booleans())
def test_fields_that_contradict_each_other(
    pax: list[tuple[bytes, bytes]], header: list[tuple[str, bytes]], kind: bytes, data: bool
) -> None:
    block = file(b"a")[:BLOCK]
    for field, value in header:
        block = spoilt(block, field, value)
    read(extended(pax, kind) + block + (pad(b"data") if data else b"") + file(b"b") + END)
