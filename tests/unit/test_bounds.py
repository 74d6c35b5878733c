"""Archives that become too large."""

import gzip
import io

import pytest

from rootless.errors import BadDocument
from rootless.layer import bounds
from rootless.layer.compression import Decompressed


class Zeros:
    """A gzip file of zeros without an end, and how much of it was asked for."""

    def __init__(self) -> None:
        self.piece = gzip.compress(bytes(1 << 24))
        self.rest = b""

    def read(self, size: int, /) -> bytes:
        self.rest = self.rest or self.piece
        data, self.rest = self.rest[:size], self.rest[size:]
        return data


def total(limits: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(bounds, "RATIO_FROM", 1 << 26)
    stream, count = Decompressed(Zeros(), what="x.tar", limits=limits), 0
    with pytest.raises(BadDocument, match=r"^x\.tar ") as caught:
        while data := stream.read(1 << 20):
            count += len(data)
    assert caught.value.code == "RL-TOO-LARGE" and "max-layer-" in str(caught.value.remedy)
    return count


def test_a_bomb_is_told_by_its_size_or_its_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    assert total((1 << 28, 0), monkeypatch) == 1 << 28
    assert total((1 << 30, 400), monkeypatch) == 1 << 26
    assert total((1 << 28, 2000), monkeypatch) == 1 << 28


def test_what_is_not_packed_has_no_ratio() -> None:
    header = b"a".ljust(257, b"\0") + b"ustar"
    stream = Decompressed(io.BytesIO(header.ljust(1 << 20, b"\0")), limits=(0, 1))
    assert sum(map(len, iter(lambda: stream.read(1000), b""))) == 1 << 20


def test_bounds_are_configured() -> None:
    assert bounds.of({}) == bounds.DEFAULT
    assert bounds.of({"max-layer-gib": 2, "max-layer-ratio": 0}) == (2 << 30, 0)
    for value in ("2", -1, 1.5, True):
        with pytest.raises(BadDocument, match="max-layer-gib"):
            bounds.of({"max-layer-gib": value})
