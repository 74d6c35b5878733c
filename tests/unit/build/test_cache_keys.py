"""Keys of the build cache, its entries, and what --explain-cache says."""

import json
import os
import time
from pathlib import Path

import pytest
from support.stores import make_context

from rootless.build import cache as caches
from rootless.build.cache import Cache, Entry
from rootless.store import buildcache

ENTRY = Entry("", 0, 0, "2026-01-01T00:00:00Z", "[2/2] RUN x")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    cache = Cache(make_context(str(tmp_path)))
    cache.prepare()
    return cache


def test_key_depends_on_content_not_on_order_of_parts() -> None:
    assert caches.digest({"a": 1, "b": 2}) == caches.digest({"b": 2, "a": 1})
    assert caches.digest({"a": "12"}) != caches.digest({"a": 12})
    assert caches.digest(["\udcff"]) != caches.digest(["\udcfe"])
    assert caches.chain(["sha256:a", "sha256:b"]) != caches.chain(["sha256:b", "sha256:a"])


def test_timestamps_are_written_as_go_does() -> None:
    assert caches.timestamp(1_700_000_000 * 10**9) == "2023-11-14T22:13:20Z"
    assert caches.timestamp(1_700_000_000 * 10**9 + 120_000_000) == "2023-11-14T22:13:20.12Z"


def test_entry_comes_back_and_one_without_its_layer_does_not(cache: Cache) -> None:
    assert cache.load("k") is None
    cache.save("k", ENTRY)
    assert cache.load("k") == ENTRY
    cache.save("gone", Entry("sha256:" + "0" * 64, 1, 1, ENTRY.created))
    assert cache.load("gone") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"other": 1}', '{"diff_id": 3}'])
def test_damaged_entry_is_none(cache: Cache, text: str) -> None:
    Path(f"{cache.directory}/k.json").write_text(text)
    assert cache.load("k") is None


def test_making_leaves_no_lock_file(cache: Cache) -> None:
    with cache.making("k"):
        assert os.path.exists(f"{cache.directory}/k.lock")
    assert not os.path.exists(f"{cache.directory}/k.lock")


def test_explanation_names_what_has_changed(cache: Cache) -> None:
    parts: dict[str, object] = {"base": "1", "instruction": ["RUN", "x"], "environment": []}
    last = cache.last("name")
    assert "not been built before" in last.explain("slot", parts)
    last.note("slot", parts)
    last.save()
    again = cache.last("name")
    assert "no longer in the store" in again.explain("slot", parts)
    assert again.explain("slot", parts | {"base": "2"}) == "the layers below it have changed"
    assert "the instruction" in again.explain("slot", parts | {"instruction": ["RUN", "y"]})
    assert "files" in again.explain("slot", parts | {"files": "f"})


def test_what_is_kept_for_explanations_is_digests_alone(cache: Cache) -> None:
    last = cache.last("name")
    last.note("slot", {"environment": ["PASSWORD=hunter2"]})
    last.save()
    assert "hunter2" not in Path(f"{cache.directory}/last/name.json").read_text()


def test_entries_in_use_hold_their_layers_and_old_ones_go(tmp_path: Path) -> None:
    ctx = make_context(str(tmp_path))
    cache = Cache(ctx)
    cache.prepare()
    for key, diff_id in (("new", "sha256:1"), ("old", "sha256:2")):
        cache.save(key, Entry(diff_id, 0, 0, ENTRY.created))
    old = time.time() - buildcache.KEEP_S - 10
    os.utime(f"{cache.directory}/old.json", (old, old))
    Path(f"{cache.directory}/bad.json").write_text("{")
    assert buildcache.held_layers(ctx.paths) == {"sha256:1"}
    assert sorted(os.listdir(cache.directory)) == ["bad.json", "last", "new.json"]
    assert json.loads(Path(f"{cache.directory}/new.json").read_text())["diff_id"] == "sha256:1"


def test_no_store_holds_nothing(tmp_path: Path) -> None:
    assert buildcache.held_layers(make_context(str(tmp_path)).paths) == set()
