"""Transfers that break, and go on where they broke, also in a later command."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.images import Image, digest, tar
from support.pulling import RANDOM, blob_path, failure
from support.registry import Registry
from support.rogue import Request, Rogue
from support.traces import wait_until

from rootless.context import Context
from rootless.errors import RegistryError, RlError
from rootless.layer.export import Packing
from rootless.registry.pull import pull
from rootless.registry.push import push_image
from rootless.store import blobs, image_changes, images, partials


def test_broken_transfer_goes_on_where_it_broke(ctx: Context, rogue: Rogue, image: Image) -> None:
    reference = rogue.serve("app", image)
    blob = image.layer_blobs()[0][1]
    ranges: list[str] = []

    def flaky(request: Request) -> None:
        asked = request.headers.get("Range", "")
        ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-") or 0)
        head = {"Content-Range": f"bytes {start}-{len(blob) - 1}/{len(blob)}"}
        rest = blob[start:]
        request.reply(206 if asked else 200, rest, head if asked else None, cut=200_000)

    rogue.on(blob_path(image), flaky)
    pull(ctx, reference)
    assert ranges[0] == ""
    assert ranges[1].startswith("bytes=")
    assert len(ranges) == 4  # 600 kB in pieces of 200 kB at most


def test_registry_without_ranges_starts_again(ctx: Context, rogue: Rogue, image: Image) -> None:
    reference = rogue.serve("app", image)
    blob = image.layer_blobs()[0][1]
    asked: list[str] = []

    def once(request: Request) -> None:
        asked.append(request.headers.get("Range", ""))
        request.reply(200, blob, cut=300_000 if len(asked) == 1 else 0)

    rogue.on(blob_path(image), once)
    pull(ctx, reference)
    assert len(asked) == 2


def test_layer_that_stays_too_short_is_truncated(ctx: Context, rogue: Rogue, image: Image) -> None:
    reference = rogue.serve("app", image)
    blob = image.layer_blobs()[0][1][:1000]

    def short(request: Request) -> None:
        if "Range" in request.headers:
            head = {"Content-Range": f"bytes 1000-{len(blob)}/*"}
            request.reply(206, b"", head)
        else:
            request.reply(200, blob)

    rogue.on(blob_path(image), short)
    failure(ctx, reference, "RL-REGISTRY-TRUNCATED")


def test_layer_that_is_longer_than_announced_is_refused(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    reference = rogue.serve("app", image)
    blob = image.layer_blobs()[0][1] + b"more"
    rogue.on(blob_path(image), lambda r: r.reply(200, blob))
    failure(ctx, reference, "RL-REGISTRY-RUBBISH")


def test_what_arrived_before_a_failure_is_used_by_the_next_pull(ctx: Context, rogue: Rogue) -> None:
    image = Image([tar({"a": b"1"}), tar({"b": RANDOM})])
    reference = rogue.serve("app", image)
    first, second = (f"/v2/app/blobs/{digest(blob)}" for _, blob in image.layer_blobs())
    gate = threading.Event()
    blob = image.layer_blobs()[1][1]

    def late(request: Request) -> None:
        gate.wait(20)
        request.reply(404)

    rogue.on(second, late)
    states: list[tuple[str, str]] = []

    def progress(layer: str, phase: str, done: int, total: int) -> None:
        states.append((layer, phase))
        if phase == "done":
            gate.set()

    with pytest.raises(RegistryError):
        pull(ctx, reference, progress=progress)
    rogue.on(second, lambda r: r.reply(200, blob))
    pull(ctx, reference, progress=progress)
    assert (digest(image.layer_blobs()[0][1])[7:19], "exists") in states
    assert len(rogue.paths(first)) == 1


def test_failure_of_one_layer_ends_the_others(ctx: Context, rogue: Rogue) -> None:
    image = Image([tar({"a": RANDOM}), tar({"b": b"1"})])
    reference = rogue.serve("app", image)
    released = threading.Event()
    ended: list[bool] = []
    slow, bad = (f"/v2/app/blobs/{digest(blob)}" for _, blob in image.layer_blobs())

    def never(request: Request) -> None:
        blob = image.layer_blobs()[0][1]
        request.send_response(200)
        request.send_header("Content-Length", str(len(blob)))
        request.end_headers()
        request.wfile.write(blob[:1000])
        request.wfile.flush()
        ended.append(released.wait(60))

    rogue.on(slow, never)
    rogue.on(bad, lambda r: r.reply(404))
    failure(ctx, reference, "RL-REGISTRY-NOT-FOUND")
    assert not ended  # the pull has not waited for it
    released.set()


def test_interrupted_pull_ends_at_once_and_leaves_nothing(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    reference = rogue.serve("app", image)
    blob = image.layer_blobs()[0][1]
    released = threading.Event()

    def stuck(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(blob)))
        request.end_headers()
        request.wfile.write(blob[:100_000])
        request.wfile.flush()
        released.wait(60)

    rogue.on(blob_path(image), stuck)
    root = str(Path(__file__).parents[2])
    code = (
        f"import sys; sys.path[:0] = [{root!r}, {root + '/tests'!r}]\n"
        "from support.stores import make_context\n"
        "from rootless.registry.pull import pull\n"
        f"pull(make_context({os.path.dirname(ctx.paths.store)!r}), {reference!r})\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) as child:
        part = Path(ctx.paths.partial(digest(blob)))
        wait_until(lambda: part.exists() and part.stat().st_size > 50_000, 30)
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=30)
        released.set()
    assert errors.rstrip().endswith(b"KeyboardInterrupt")
    assert os.listdir(ctx.paths.tmp) == []
    assert os.listdir(ctx.paths.layers) == []


def ranged(blob: bytes, asked: list[str], cuts: list[int]) -> Callable[[Request], None]:
    """Answers with ranges; breaks after the number of bytes that is next in `cuts`, 0 for never."""

    def answer(request: Request) -> None:
        wanted = request.headers.get("Range", "")
        asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
        head = {"Content-Range": f"bytes {start}-{len(blob) - 1}/{len(blob)}"}
        cut = cuts.pop(0) if cuts else 0
        request.reply(206 if wanted else 200, blob[start:], head if wanted else None, cut=cut)

    return answer


def broken_off(ctx: Context, rogue: Rogue, image: Image, arrived: int = 200_000) -> str:
    """A pull that has ended after so many bytes of the layer; its reference."""
    reference = rogue.serve("app", image)
    blob = image.layer_blobs()[0][1]
    asked: list[str] = []
    first = ranged(blob, asked, [arrived])
    rogue.on(blob_path(image), lambda r: first(r) if not asked else r.reply(503))
    failure(ctx, reference, "RL-REGISTRY-ERROR")
    assert os.listdir(ctx.paths.partials) == [digest(blob)[7:]]
    assert Path(ctx.paths.partial(digest(blob))).stat().st_size == arrived
    return reference


def whole(ctx: Context, image: Image) -> None:
    """The image is there, and nothing is left in part."""
    assert images.resolve(ctx.paths, image.id)
    assert blobs.read(ctx.paths, digest(image.layer_blobs()[0][1]))
    assert os.listdir(ctx.paths.partials) == []


def test_a_later_command_goes_on_where_the_transfer_broke(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    reference = broken_off(ctx, rogue, image)
    asked: list[str] = []
    rogue.on(blob_path(image), ranged(image.layer_blobs()[0][1], asked, []))
    pull(ctx, reference)
    assert asked == ["bytes=200000-"]
    whole(ctx, image)


def test_a_later_command_gets_all_again_from_a_registry_without_ranges(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    reference = broken_off(ctx, rogue, image)
    rogue.on(blob_path(image), lambda r: r.reply(200, image.layer_blobs()[0][1]))
    pull(ctx, reference)
    whole(ctx, image)


@pytest.mark.parametrize("damage", ["changed", "longer", "complete"])
def test_what_was_kept_is_not_trusted(
    ctx: Context, rogue: Rogue, image: Image, damage: str
) -> None:
    reference = broken_off(ctx, rogue, image)
    blob = image.layer_blobs()[0][1]
    left = {"changed": b"\0" * 200_000, "longer": blob + b"x", "complete": blob}[damage]
    Path(ctx.paths.partial(digest(blob))).write_bytes(left)
    asked: list[str] = []
    rogue.on(blob_path(image), ranged(blob, asked, []))
    pull(ctx, reference)
    # What makes no sense from its first byte on is noticed before anything is asked for.
    assert asked[-1:] == ([] if damage == "complete" else [""])
    whole(ctx, image)


def test_a_range_that_the_registry_cannot_give_begins_anew(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    reference = broken_off(ctx, rogue, image)
    blob = image.layer_blobs()[0][1]
    rogue.on(
        blob_path(image), lambda r: r.reply(416) if "Range" in r.headers else r.reply(200, blob)
    )
    pull(ctx, reference)
    whole(ctx, image)


def test_content_that_has_changed_meanwhile_is_a_mismatch_and_leaves_nothing(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    reference = broken_off(ctx, rogue, image)
    blob = os.urandom(len(image.layer_blobs()[0][1]))
    asked: list[str] = []
    rogue.on(blob_path(image), ranged(blob, asked, []))
    with pytest.raises(RlError) as caught:
        pull(ctx, reference)
    assert caught.value.code in ("RL-DIGEST-MISMATCH", "RL-BAD-DOCUMENT")
    assert asked[-1] == ""  # tried from its beginning, too
    assert os.listdir(ctx.paths.partials) == []


def test_a_registry_that_breaks_and_lies_each_time_is_not_asked_for_ever(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    reference = rogue.serve("app", image)
    asked: list[str] = []
    # What arrives before the break unpacks; the whole has another digest.
    good = image.layer_blobs()[0][1]
    blob = good[:4] + bytes([good[4] ^ 1]) + good[5:]  # gzip's time stamp
    rogue.on(blob_path(image), ranged(blob, asked, [300_000, 0] * 20))
    failure(ctx, reference, "RL-DIGEST-MISMATCH")
    assert len(asked) == 4


def test_a_killed_pull_is_gone_on_with(ctx: Context, rogue: Rogue, image: Image) -> None:
    reference = rogue.serve("app", image)
    blob = image.layer_blobs()[0][1]
    path = Path(ctx.paths.partial(digest(blob)))
    released = threading.Event()

    def stuck(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(blob)))
        request.end_headers()
        request.wfile.write(blob[:300_000])
        request.wfile.flush()
        released.wait(60)

    rogue.on(blob_path(image), stuck)
    with pulling(ctx, reference) as child:
        wait_until(lambda: path.exists() and path.stat().st_size >= 200_000, 20)
        child.kill()
    released.set()
    kept = path.stat().st_size
    asked: list[str] = []
    rogue.on(blob_path(image), ranged(blob, asked, []))
    pull(ctx, reference)
    assert asked == [f"bytes={kept}-"]
    whole(ctx, image)


def pulling(ctx: Context, reference: str) -> "subprocess.Popen[bytes]":
    """Another process that pulls into the same store."""
    root = str(Path(__file__).parents[2])
    code = (
        f"import sys; sys.path[:0] = [{root!r}, {root + '/tests'!r}]\n"
        "from support.stores import make_context\n"
        "from rootless.registry.pull import pull\n"
        f"pull(make_context({os.path.dirname(ctx.paths.store)!r}), {reference!r})\n"
    )
    return subprocess.Popen([sys.executable, "-c", code])


def test_pulls_at_once_fetch_a_shared_layer_once(ctx: Context, rogue: Rogue) -> None:
    """Two images with one layer in common, in three commands: each blob comes once."""
    shared = tar({"file": RANDOM})
    one, two = Image([shared, tar({"a": "1"})]), Image([shared, tar({"b": "2"})])
    first, second = rogue.serve("app", one), rogue.serve("other", two, "v2")
    blob = one.layer_blobs()[0][1]
    started = threading.Event()

    def slow(request: Request) -> None:
        """The first waits until the other commands have seen the manifests."""
        started.wait(20)
        request.reply(200, blob)

    rogue.on(blob_path(one), slow)
    rogue.on(blob_path(one).replace("app", "other"), slow)
    children = [pulling(ctx, name) for name in (first, second, first)]

    def all_wait() -> bool:
        return len(rogue.paths("/manifests/")) >= 3 and len(rogue.paths(digest(blob))) >= 1

    wait_until(all_wait, 30)
    started.set()
    assert [child.wait(60) for child in children] == [0, 0, 0]
    assert len(rogue.paths(digest(blob))) == 1
    whole(ctx, one)
    whole(ctx, two)


def test_what_nobody_goes_on_with_is_removed_after_some_days(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    broken_off(ctx, rogue, image)
    image_changes.collect(ctx)
    assert len(os.listdir(ctx.paths.partials)) == 1
    blob = digest(image.layer_blobs()[0][1])
    old = time.time() - partials.KEPT_S - 1
    os.utime(ctx.paths.partial(blob), (old, old))
    with partials.Partial(ctx.paths, blob, lambda: None):
        image_changes.collect(ctx)  # somebody is at it
    assert len(os.listdir(ctx.paths.partials)) == 1
    image_changes.collect(ctx)
    assert os.listdir(ctx.paths.partials) == []


def test_a_layer_that_was_unpacked_from_another_blob_is_pushed_as_it_came(
    ctx: Context, registry: Registry
) -> None:
    """The same layers, compressed otherwise: unpacked once, fetched as each manifest has them."""
    layers = [tar({"one": "1"}), tar({"two": "2"})]
    kinds: list[dict[str, Any]] = [{}, {"compression": "zstd"}, {"compression": ""}]
    for number, kind in enumerate([*kinds, {"docker": True}, {"foreign": True}]):
        image = Image(layers, {"Cmd": ["true"]}, **kind)
        name = registry.push(f"compressed/from{number}", image)
        record = pull(ctx, name)
        assert record["digest"] == digest(image.manifest())
        target = f"{registry.host}/compressed/to{number}:latest"
        image_changes.tag(ctx.paths, str(record["id"]), target)
        assert push_image(ctx, target, how=Packing()).digest == digest(image.manifest())
    assert len(os.listdir(ctx.paths.layers)) == 2
