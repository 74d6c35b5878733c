"""The tar reader and writer, against tarfile and GNU tar."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rootless.errors import BadDocument
from rootless.layer import tarstream, tarwriter
from rootless.layer.tarstream import Member, TarReader


def read(data: bytes, step: int = 1000) -> list[tuple[Member, bytes]]:
    """All members with their data; the archive comes in pieces of `step` bytes."""
    stream = io.BytesIO(data)
    reader = TarReader(lambda: stream.read(step))
    found = []
    for member in reader.members():
        found.append((member, b"".join(bytes(piece) for piece in reader.data())))
    reader.drain()
    assert stream.read() == b""
    return found


def expand(member: Member, data: bytes) -> bytes:
    """The bytes of a file, holes filled."""
    if member.sparse is None:
        return data
    content = bytearray(member.length)
    at = 0
    for offset, size in member.sparse:
        content[offset : offset + size] = data[at : at + size]
        at += size
    return bytes(content)


def make(*infos: tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(
        fileobj=out, mode="w", format=format, encoding="utf-8", errors="surrogateescape"
    ) as tar:
        for info, data in infos:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


NAMES = st.text(
    st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), min_size=1, max_size=300
).filter(lambda name: not name.endswith("/"))
ANY_NAMES = st.one_of(
    NAMES.map(lambda name: name.encode()),
    st.binary(min_size=1, max_size=120).filter(lambda b: b"\0" not in b and not b.endswith(b"/")),
)


@settings(max_examples=60, deadline=None)
@given(
    name=NAMES,
    data=st.binary(max_size=3000),
    uid=st.integers(0, 2**32 - 1),
    mtime=st.integers(0, 2**33),
    format=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
    step=st.integers(1, 5000),
)
def test_what_tarfile_writes_is_read(
    name: str, data: bytes, uid: int, mtime: int, format: int, step: int
) -> None:
    info = tarfile.TarInfo(name)
    info.uid, info.mtime, info.mode = uid, mtime, 0o4751
    [(member, content)] = read(make((info, data), format=format), step)
    assert member.name == name.encode()
    assert (member.uid, member.mode, member.mtime_ns) == (uid, 0o4751, mtime * 10**9)
    assert content == data


@settings(max_examples=80, deadline=None)
@given(
    name=ANY_NAMES,
    link=ANY_NAMES,
    uid=st.integers(0, 2**32 - 1),
    mtime_s=st.integers(-(2**31), 2**40),
    xattrs=st.dictionaries(
        st.sampled_from([b"user.a", b"security.capability"]), st.binary(max_size=300)
    ),
)
def test_what_the_writer_writes_is_read(
    name: bytes, link: bytes, uid: int, mtime_s: int, xattrs: dict[bytes, bytes]
) -> None:
    member = Member(name, tarstream.SYMLINK)
    member.link, member.uid, member.mtime_ns = link, uid, mtime_s * 10**9
    member.xattrs = xattrs
    [(found, _)] = read(tarwriter.header(member) + tarwriter.END)
    assert (found.name, found.link, found.uid) == (name, link, uid)
    assert found.mtime_ns == member.mtime_ns
    assert (found.xattrs or {}) == xattrs


@pytest.mark.parametrize("format", ["gnu", "posix", "ustar", "v7"])
def test_gnu_tar_and_its_sparse_files_are_read(format: str, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory" / "small").write_bytes(b"small")
    holes = tmp_path / "holes"
    with open(holes, "wb") as file:
        for at in range(40):  # more pieces than a header holds
            file.seek(at * 200_000)
            file.write(b"%d" % at * 3000)
        file.truncate(9_000_000)
    sparse = ["--sparse"] if format in ("gnu", "posix") else []
    out = subprocess.run(
        ["tar", f"--format={format}", *sparse, "-cf-", "."], cwd=tmp_path, capture_output=True
    )
    assert out.returncode == 0, out.stderr
    found = {m.name: (m, expand(m, data)) for m, data in read(out.stdout, 7000)}
    assert found[b"./holes"][1] == holes.read_bytes()
    assert found[b"./directory/small"][1] == b"small"
    assert found[b"./directory/"][0].kind == tarstream.DIRECTORY
    if sparse:
        assert found[b"./holes"][0].sparse


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0"])
def test_every_pax_sparse_version_is_read(version: str, tmp_path: Path) -> None:
    holes = tmp_path / "holes"
    with open(holes, "wb") as file:
        file.write(b"begin" * 1000)
        file.seek(1_000_000)
        file.write(b"end")
    out = subprocess.run(
        ["tar", "--format=posix", "--sparse", f"--sparse-version={version}", "-cf-", "holes"],
        cwd=tmp_path,
        capture_output=True,
    )
    [(member, data)] = read(out.stdout)
    assert member.name == b"holes"
    assert expand(member, data) == holes.read_bytes()


def test_name_that_is_not_utf8_stays_as_it_is(tmp_path: Path) -> None:
    name = b"bad\xff\xfe\n\x1bname" + b"x" * 120
    with open(os.path.join(os.fsencode(tmp_path), name), "wb"):
        pass
    for format in ("gnu", "posix"):
        out = subprocess.run(
            ["tar", f"--format={format}", "-cf-", b"./" + name], cwd=tmp_path, capture_output=True
        )
        [(member, _)] = read(out.stdout)
        assert member.name == b"./" + name


def test_fractions_of_a_second_are_kept() -> None:
    info = tarfile.TarInfo("x")
    info.pax_headers = {"mtime": "1700000000.123456789"}
    assert read(make((info, b"")))[0][0].mtime_ns == 1700000000123456789


def test_archive_without_its_end_mark_is_read() -> None:
    data = make((tarfile.TarInfo("x"), b"data"))
    assert [m.name for m, _ in read(data[:1024])] == [b"x"]


@pytest.mark.parametrize("size", [1, 511, 513, 700, 1023])
def test_archive_that_is_cut_off_is_an_error(size: int) -> None:
    data = make((tarfile.TarInfo("x"), b"data"))
    with pytest.raises(BadDocument, match="cut off"):
        read(data[:size])


def broken(change: dict[int, bytes]) -> bytes:
    header = bytearray(make((tarfile.TarInfo("x"), b""))[:512])
    for at, value in change.items():
        header[at : at + len(value)] = value
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.mark.parametrize(
    "change",
    [
        {156: b"Z"},
        {124: b"1234567890z\0"},
        {124: b"\xff" * 12},
        {108: b"-1"},
        {156: b"x", 124: b"77777777777\0"},
        {156: b"L", 124: b"77777777777\0"},
        {108: b"\x80\0\0\x01\0\0\0\0"},
    ],
)
def test_header_that_makes_no_sense_is_an_error(change: dict[int, bytes]) -> None:
    with pytest.raises(BadDocument):
        read(broken(change) + bytes(1024))


def test_wrong_checksum_is_an_error() -> None:
    data = bytearray(make((tarfile.TarInfo("x"), b"")))
    data[0] ^= 1
    with pytest.raises(BadDocument, match="checksum"):
        read(bytes(data))


@pytest.mark.parametrize(
    "pax",
    [
        b"rubbish",
        b"999 path=x\n",
        b"3 x\n",
        b"10 path=a\0\n",
        b"11 size=-1\n",
        b"0 a=b\n",
        b"9 a=b\n",
    ],
)
def test_pax_header_that_makes_no_sense_is_an_error(pax: bytes) -> None:
    member = Member(b"pax", b"x")
    member.size = len(pax)
    data = tarwriter.header(member) + pax + tarwriter.padding(len(pax))
    with pytest.raises(BadDocument):
        read(data + make((tarfile.TarInfo("x"), b"")))


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=512, max_size=3000), st.integers(0, 2000))
def test_rubbish_is_an_error_and_never_another_one(data: bytes, at: int) -> None:
    good = make((tarfile.TarInfo("x" * 150), b"data" * 200))
    for candidate in (data, good[:at] + data + good[at:], broken({at % 300: data[:40]}) + data):
        try:
            read(candidate)
        except BadDocument:
            pass
