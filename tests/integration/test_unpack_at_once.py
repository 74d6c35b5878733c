"""Layers that are unpacked beside each other, through pipes, killed and removed."""

import gzip
import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.layers import Tar, assert_nothing_left, diff_id
from support.stores import leftovers
from support.traces import wait_until

from rootless.context import Context
from rootless.layer.unpack import Unpacked, unpack, unpack_layer
from rootless.store import check, gc, layers

pytestmark = pytest.mark.needs("user", "userns", "subids")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def ctx(layer_ctx: Context) -> Context:
    return layer_ctx


# Several at once, and sudden ends.


def test_three_layers_at_once_from_threads(ctx: Context) -> None:
    datas = [Tar().add(f"f{i}", os.urandom(300_000)).data() for i in range(3)]
    results: dict[int, int] = {}

    def work(i: int) -> None:
        data = datas[i // 2]  # each layer twice: one of two loses the race
        results[i] = unpack_layer(
            ctx, ctx.paths, io.BytesIO(gzip.compress(data)), "", diff_id(data)
        )

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(range(6), 300_000)
    assert layers.list_layers(ctx.paths) == sorted(diff_id(data) for data in datas)
    assert leftovers(ctx.paths) == []
    assert check.check(ctx) == []


def test_source_may_be_a_pipe_that_is_still_being_filled(ctx: Context) -> None:
    data = Tar().add("f", os.urandom(3_000_000)).data()
    read_fd, write_fd = os.pipe()

    def fill() -> None:
        with open(write_fd, "wb") as pipe:
            pipe.write(data)

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        assert unpack(ctx, ctx.paths, read_fd).diff_id == diff_id(data)
    finally:
        thread.join()
        os.close(read_fd)


def test_killed_in_the_middle_the_store_is_sound_and_gc_cleans_up(ctx: Context) -> None:
    script = f"""
import os, signal, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}, *{sys.path!r}]
from support.stores import make_context
from rootless.layer.unpack import unpack
data = sys.stdin.buffer.read()
class Slow:
    left = data
    def read(self, size):
        if not self.left:
            print("there", flush=True)
            signal.pause()
        piece, self.left = self.left[:size], self.left[size:]
        return piece
ctx = make_context({os.path.dirname(ctx.paths.store)!r})
unpack(ctx, ctx.paths, Slow())
"""
    tar = Tar().directory("d", uid=33, gid=33).add("d/f", os.urandom(3_000_000), uid=33)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(tar.data())
        process.stdin.close()
        assert process.stdout.readline() == b"there\n"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
    for pid in children:
        wait_until(lambda pid=pid: not os.path.exists(f"/proc/{pid}"))  # type: ignore[misc]
    assert len(leftovers(ctx.paths)) == 1
    assert check.check(ctx) == []
    assert gc.collect(ctx)[0] == 1
    assert_nothing_left(ctx)


def test_removal_of_a_layer_with_foreign_owners(ctx: Context) -> None:
    done = unpack(ctx, ctx.paths, io.BytesIO(Tar().directory("d", 0o500, uid=9).add("d/f").data()))
    assert layers.remove(ctx, done.diff_id)
    assert not layers.remove(ctx, done.diff_id)
    assert_nothing_left(ctx)


def test_gc_removes_what_nothing_refers_to(ctx: Context) -> None:
    done: Unpacked = unpack(ctx, ctx.paths, io.BytesIO(Tar().add("f", uid=33).data()))
    swept, removed = gc.collect(ctx)
    assert (swept, removed) == (0, {done.diff_id})
    assert_nothing_left(ctx)
