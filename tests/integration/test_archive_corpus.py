"""Odd and hostile archives: each has its outcome, and damaged ones never have any but an error."""

import io
import json
import os
import random
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.archive_corpus import BLOCK, CORPUS, Outcome
from support.layer_client import Server, serving
from support.stores import leftovers

from rootless.context import Context
from rootless.errors import ImageError, RlError
from rootless.layer import compression
from rootless.layer.unpack import unpack
from rootless.store import check, layers

pytestmark = pytest.mark.needs("user", "userns", "subids", "overlay")
ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests/data/archives"
MEMORY_MAX_KIB = 150 * 1024
FLIPS = 8  # of single bits, per archive


@pytest.fixture
def ctx(layer_ctx: Context) -> Context:
    return layer_ctx


@pytest.fixture(scope="module")
def server(test_dir: str) -> Iterator[Server]:
    with serving(f"{test_dir}/damaged") as server:
        yield server


def test_corpus_is_what_its_program_makes() -> None:
    assert sorted(os.listdir(DATA)) == sorted([*CORPUS, "outcomes.json"])
    for name, (data, _) in CORPUS.items():
        assert (DATA / name).read_bytes() == data, f"run tests/support/archive_corpus.py: {name}"
    outcomes = json.loads((DATA / "outcomes.json").read_text())
    assert outcomes == {name: outcome for name, (_, outcome) in CORPUS.items()}


@pytest.mark.parametrize("name", CORPUS)
def test_archive_has_its_outcome(ctx: Context, name: str) -> None:
    outcome: Outcome = CORPUS[name][1]
    try:
        with open(DATA / name, "rb") as archive:
            done = unpack(ctx, ctx.paths, archive)
    except RlError as e:
        assert isinstance(outcome, str), e
        assert outcome in e.what
        assert e.one_line().isprintable()
        assert layers.list_layers(ctx.paths) == []
    else:
        assert listing(ctx.paths.layer_diff(done.diff_id)) == outcome
    assert leftovers(ctx.paths) == []
    assert check.check(ctx) == []


def listing(top: str) -> list[str]:
    """The paths below `top`: `ls --classify`, and whiteouts with a !."""
    marks = {stat.S_IFDIR: "/", stat.S_IFLNK: "@", stat.S_IFIFO: "|", stat.S_IFCHR: "!"}
    found = []
    for directory, directories, files in os.walk(top):
        for name in directories + files:
            path = f"{directory}/{name}"
            mark = marks.get(stat.S_IFMT(os.lstat(path).st_mode), "")
            found.append(f"{path[len(top) + 1 :]}{mark}")
    return sorted(found)


def mutations(name: str, data: bytes) -> list[bytes]:
    """Cut at each block, bits flipped, blocks exchanged and doubled."""
    chance = random.Random(name)
    found = [data[:end] for end in range(0, min(len(data), 40 * BLOCK), BLOCK)]
    for _ in range(FLIPS if data else 0):
        flipped = bytearray(data)
        flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        found.append(bytes(flipped))
    blocks = [data[at : at + BLOCK] for at in range(0, len(data), BLOCK)]
    if len(blocks) > 1:
        first, second = sorted(chance.sample(range(len(blocks)), 2))
        found.append(b"".join([*blocks[:second], blocks[first], *blocks[second:]]))
        blocks[first], blocks[second] = blocks[second], blocks[first]
        found.append(b"".join(blocks))
    return found


def repaired(data: bytes) -> bytes:
    """With checksums that are right, so that damage reaches what is behind them."""
    blocks = [data[at : at + BLOCK] for at in range(0, len(data), BLOCK)]
    for number, block in enumerate(blocks):
        if block[257:262] == b"ustar" and len(block) == BLOCK:
            total = sum(block) - sum(block[148:156]) + 256
            blocks[number] = block[:148] + b"%06o\0 " % total + block[156:]
    return b"".join(blocks)


def test_damaged_archives_are_errors_or_layers_and_nothing_else(server: Server) -> None:
    asked = 0
    for name, (data, _) in CORPUS.items():
        if name.startswith(("gzip", "zstd")) or len(data) > 80_000:
            continue
        for damaged in mutations(name, data):
            # The server ends with a traceback on what is no RlError, and sees for itself that
            # nothing was touched beside the layer.
            answer = server.ask([repaired(damaged)])
            assert "error" in answer or "tree" in answer
            asked += 1
    assert asked > 1000


def test_damaged_compression_is_an_error_or_data() -> None:
    for name, (data, _) in CORPUS.items():
        for damaged in mutations(name, data) if name.startswith(("gzip", "zstd")) else ():
            try:
                stream = compression.Decompressed(io.BytesIO(damaged))
                assert sum(len(chunk) for chunk in iter(stream.read, b"")) < 1 << 20
            except RlError:
                pass


def test_archive_of_very_many_members_takes_little_memory(ctx: Context) -> None:
    # In a process of its own: the kernel tells of the largest of all children.
    script = f"""
import io, resource, sys, zlib
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}, *{sys.path!r}]
from support.archive_corpus import END, directory, file, hard
from support.stores import make_context
from rootless.layer.unpack import unpack
data = file(b"a") + b"".join(
    directory(b"%d/%d" % (n % 100, n)) + file(b"%d/.wh.w%d" % (n % 100, n), b"")
    + hard(b"l%d/%d" % (n % 1000, n), b"a") for n in range(10000))
packer = zlib.compressobj(1, zlib.DEFLATED, 31)
packed = packer.compress(data + END)
packed += b"".join(packer.compress(bytes(1 << 20)) for _ in range(400)) + packer.flush()
ctx = make_context({os.path.dirname(ctx.paths.store)!r})
print(unpack(ctx, ctx.paths, io.BytesIO(packed)).entries)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    entries, peak_kib = map(int, done.stdout.split())
    assert entries == 30_001
    assert peak_kib < MEMORY_MAX_KIB


def test_owner_error_is_told_apart(ctx: Context) -> None:
    with pytest.raises(ImageError) as caught, open(DATA / "owner-not-mapped", "rb") as archive:
        unpack(ctx, ctx.paths, archive)
    assert caught.value.code == "RL-IMAGE-IDS"
