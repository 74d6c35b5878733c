"""Streams of layers: what they are, and what happens when they are broken."""

import bz2
import gzip
import io
import lzma
import random
import tarfile

import pytest

from rootless.errors import BadDocument
from rootless.layer import compression
from rootless.layer.compression import Decompressed

try:
    from backports import zstd
except ImportError:
    from compression import zstd  # type: ignore[import-not-found,no-redef]


def archive() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo("file")
        member.size = 300_000
        tar.addfile(member, io.BytesIO(random.Random(1).randbytes(300_000)))
    return out.getvalue()


TAR = archive()
PACK = {
    "tar": lambda data: data,
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}


class Dribble:
    """A pipe that gives few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        return self._file.read(min(size, 1000))


def read_all(data: bytes, media_type: str = "") -> bytes:
    stream = Decompressed(Dribble(data), media_type)
    return b"".join(iter(lambda: stream.read(1 << 16), b""))


@pytest.mark.parametrize("kind", PACK)
def test_stream_is_recognised_and_read(kind: str) -> None:
    packed = PACK[kind](TAR)
    assert Decompressed(io.BytesIO(packed)).kind == kind
    assert read_all(packed) == TAR


@pytest.mark.parametrize("kind", ["gzip", "zstd", "xz", "bzip2"])
def test_stream_of_several_members_is_read_to_the_end(kind: str) -> None:
    assert read_all(PACK[kind](TAR[:100_000]) + PACK[kind](TAR[100_000:])) == TAR


@pytest.mark.parametrize("kind", ["gzip", "zstd", "xz", "bzip2"])
@pytest.mark.parametrize("left", [0.1, 0.5, 0.99])
def test_stream_that_is_cut_off_is_an_error(kind: str, left: float) -> None:
    packed = PACK[kind](TAR)
    with pytest.raises(BadDocument, match=r"cut off|damaged"):
        read_all(packed[: int(len(packed) * left)])


@pytest.mark.parametrize("kind", ["gzip", "zstd", "xz", "bzip2"])
def test_stream_with_damage_in_it_is_an_error(kind: str) -> None:
    packed = bytearray(PACK[kind](TAR))
    for at in range(len(packed) // 2, len(packed) // 2 + 64):
        packed[at] ^= 0xFF
    # A flipped literal is found by the check sum at the end at the latest; zstd's is optional.
    try:
        data = read_all(bytes(packed))
    except BadDocument:
        return
    assert kind == "zstd"
    assert data != TAR


@pytest.mark.parametrize("behind", [b"rubbish", bytes(700), b"\0rubbish", b"x" * 600_000, b"\x1f"])
def test_what_stands_behind_gzip_data_is_ignored(behind: bytes) -> None:
    assert read_all(gzip.compress(TAR) + behind) == TAR


def test_gzip_member_that_is_damaged_is_no_rubbish() -> None:
    with pytest.raises(BadDocument, match=r"damaged|cut off"):
        read_all(gzip.compress(TAR) + gzip.compress(TAR)[:-20])
    with pytest.raises(BadDocument, match=r"damaged|cut off"):
        read_all(gzip.compress(TAR) + b"\x1f\x8brubbish")


@pytest.mark.parametrize("number", range(16))
def test_zstd_frames_that_are_not_zstds_are_skipped(number: int) -> None:
    frame = bytes([0x50 + number]) + b"\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"12345"
    pack = PACK["zstd"]
    assert read_all(frame + pack(TAR[:1000]) + frame + pack(TAR[1000:]) + frame) == TAR


def test_magic_wins_over_the_media_type() -> None:
    layer = "application/vnd.oci.image.layer.v1.tar"
    assert read_all(TAR, f"{layer}+gzip") == TAR
    assert read_all(gzip.compress(TAR), layer) == TAR
    assert read_all(gzip.compress(TAR), f"{layer}+zstd") == TAR


def test_rubbish_is_an_error_that_names_the_promise() -> None:
    with pytest.raises(BadDocument, match="said to be gzip"):
        read_all(b"<html>" * 200, "application/vnd.docker.image.rootfs.diff.tar.gzip")
    with pytest.raises(BadDocument, match="neither a tar archive"):
        read_all(b"<html>" * 200)


def test_nothing_is_an_error() -> None:
    with pytest.raises(BadDocument, match="empty"):
        read_all(b"")


def test_archive_of_the_seventies_is_known_by_its_checksum() -> None:
    header = bytearray(512)
    header[:4] = b"file"
    header[100:107] = b"0000644"
    header[124:135] = b"00000000000"
    header[148:156] = b"        "
    header[148:155] = b"%06o\0" % sum(header)
    assert compression.kind_of(bytes(header)) == "tar"


def test_gzip_writer_gives_the_same_bytes_twice() -> None:
    first, second = io.BytesIO(), io.BytesIO()
    for target in (first, second):
        with compression.open_gzip_writer(target) as writer:
            writer.write(TAR)
    assert first.getvalue() == second.getvalue()
    assert gzip.decompress(first.getvalue()) == TAR
