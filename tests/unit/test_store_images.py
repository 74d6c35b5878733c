"""Image records: how they are found, named, and removed as Docker does."""

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest
from support.images import digest
from support.stores import make_context

from rootless.context import Context
from rootless.errors import ImageError, StoreError
from rootless.store import atomic, image_changes, images
from rootless.store.leases import Lease

BUSYBOX = "docker.io/library/busybox:latest"


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return make_context(str(tmp_path))


def record(ctx: Context, letters: str = "a", layers: tuple[str, ...] = ("base",)) -> dict[str, Any]:
    """A record with its layers and blobs in the store; the ID begins with `letters`."""
    diff_ids = [digest(layer.encode()) for layer in layers]
    for diff_id in diff_ids:
        os.makedirs(ctx.paths.layer_diff(diff_id), exist_ok=True)
        atomic.write_json(f"{ctx.paths.layer(diff_id)}/meta.json", {"size": 1})
    manifest = f"manifest {letters}".encode()
    blobs = [manifest, *(f"blob {layer}".encode() for layer in layers)]
    for blob in blobs:
        atomic.write_bytes(ctx.paths.blob(digest(blob)), blob)
    return {
        "id": "sha256:" + letters.ljust(64, "0"),
        "digest": digest(manifest),
        "media_type": "application/vnd.oci.image.manifest.v1+json",
        "names": [],
        "repo_digests": [],
        "platform": {"os": "linux", "architecture": "amd64", "variant": ""},
        "created": "2024-01-02T03:04:05Z",
        "size": 1,
        "layers": diff_ids,
        "layer_blobs": [digest(blob) for blob in blobs[1:]],
        "config": {},
    }


def add_container(ctx: Context, image: dict[str, Any], letter: str = "c") -> str:
    identifier = letter * 64
    directory = ctx.paths.container(identifier)
    os.makedirs(directory)
    atomic.write_json(f"{directory}/container.json", {"image": {"id": image["id"]}})
    atomic.write_json(f"{directory}/config.json", {"rl": {"layers": image["layers"]}})
    return identifier


def layer_count(ctx: Context) -> int:
    return len(os.listdir(ctx.paths.layers))


def test_image_is_found_by_name_id_prefix_and_digest(ctx: Context) -> None:
    image = record(ctx, "abc")
    repo_digest = f"docker.io/library/busybox@{image['digest']}"
    images.add(ctx.paths, image | {"repo_digests": [repo_digest]}, BUSYBOX)
    for text in (
        "busybox",
        "busybox:latest",
        "docker.io/busybox",
        "abc",
        "sha256:abc",
        image["id"],
        image["id"][7:],
        f"busybox@{image['digest']}",
        f"busybox:other@{image['digest']}",
    ):
        assert images.resolve(ctx.paths, text)["id"] == image["id"], text


@pytest.mark.parametrize("text", ["nothing", "abd", "f" * 64, f"busybox@{'sha256:' + 'b' * 64}"])
def test_missing_image_is_reported_in_dockers_words(ctx: Context, text: str) -> None:
    images.add(ctx.paths, record(ctx, "abc"), BUSYBOX)
    with pytest.raises(ImageError, match="No such image: ") as caught:
        images.resolve(ctx.paths, text)
    assert caught.value.code == "RL-IMAGE-NOT-FOUND"
    assert images.find(ctx.paths, text) is None


def test_ambiguous_id_is_an_error_and_a_name_wins_over_it(ctx: Context) -> None:
    images.add(ctx.paths, record(ctx, "ab1"), "docker.io/library/one:latest")
    images.add(ctx.paths, record(ctx, "ab2"), "docker.io/library/ab1:latest")
    with pytest.raises(ImageError) as caught:
        images.resolve(ctx.paths, "ab")
    assert caught.value.code == "RL-IMAGE-AMBIGUOUS"
    assert str(images.resolve(ctx.paths, "ab1")["id"]).startswith("sha256:ab2")


def test_name_moves_and_the_old_image_stays_without_it(ctx: Context) -> None:
    images.add(ctx.paths, record(ctx, "a"), BUSYBOX)
    images.add(ctx.paths, record(ctx, "b"), BUSYBOX)
    assert str(images.resolve(ctx.paths, "busybox")["id"]).startswith("sha256:b")
    by_id = {str(image["id"])[7]: image["names"] for image in images.list_images(ctx.paths)}
    assert by_id == {"a": [], "b": [BUSYBOX]}
    assert images.resolve(ctx.paths, "a")["names"] == []


def test_index_json_lists_every_name_and_the_nameless(ctx: Context) -> None:
    images.add(ctx.paths, record(ctx, "a"), BUSYBOX)
    images.add(ctx.paths, record(ctx, "b"), BUSYBOX)
    entries: Any = atomic.read_json(ctx.paths.oci_index)["manifests"]
    names = [entry.get("annotations", {}).get(image_changes.REF_NAME) for entry in entries]
    assert sorted(names, key=str) == [None, BUSYBOX]


def test_link_left_by_a_kill_is_no_image(ctx: Context) -> None:
    os.symlink("../by-id/gone.json", ctx.paths.image_by_name(BUSYBOX))
    assert images.find(ctx.paths, "busybox") is None
    assert images.list_images(ctx.paths) == []


def test_damaged_record_names_its_remedy(ctx: Context) -> None:
    image = record(ctx)
    images.add(ctx.paths, image, BUSYBOX)
    atomic.write_json(ctx.paths.image(image["id"]), {"id": "sha256:x"})
    with pytest.raises(StoreError) as caught:
        images.resolve(ctx.paths, "busybox")
    assert caught.value.code == "RL-STORE-CORRUPT"


def test_rmi_of_the_last_name_removes_image_layers_and_blobs(ctx: Context) -> None:
    image = record(ctx, "a", ("base", "top"))
    repo_digest = f"docker.io/library/busybox@{image['digest']}"
    images.add(ctx.paths, image | {"repo_digests": [repo_digest]}, BUSYBOX)
    done = image_changes.remove(ctx, "busybox")
    assert done[:3] == [
        ("Untagged", "busybox:latest"),
        ("Untagged", f"busybox@{image['digest']}"),
        ("Deleted", image["id"]),
    ]
    chains = image_changes.chain_ids(image["layers"])
    assert done[3:] == [("Deleted", chains[1]), ("Deleted", chains[0])]
    assert layer_count(ctx) == 0
    assert os.listdir(ctx.paths.blobs) == []
    assert os.listdir(ctx.paths.images_by_id) == []
    assert os.listdir(ctx.paths.images_by_name) == []
    assert os.listdir(ctx.paths.tmp) == []


def test_layer_of_another_image_stays(ctx: Context) -> None:
    images.add(ctx.paths, record(ctx, "a", ("base", "one")), "docker.io/library/a:latest")
    images.add(ctx.paths, record(ctx, "b", ("base", "two")), "docker.io/library/b:latest")
    done = image_changes.remove(ctx, "docker.io/library/a")
    assert len([what for verb, what in done if verb == "Deleted"]) == 2
    assert layer_count(ctx) == 2


def test_rmi_of_one_of_two_names_only_untags(ctx: Context) -> None:
    image = record(ctx)
    images.add(ctx.paths, image, BUSYBOX)
    image_changes.tag(ctx.paths, image["id"], "docker.io/library/other:1")
    assert image_changes.remove(ctx, "busybox") == [("Untagged", "busybox:latest")]
    assert images.resolve(ctx.paths, "other:1")["names"] == ["docker.io/library/other:1"]
    assert layer_count(ctx) == 1


def test_rmi_by_id_of_an_image_with_two_names_needs_force(ctx: Context) -> None:
    image = record(ctx)
    images.add(ctx.paths, image, BUSYBOX)
    image_changes.tag(ctx.paths, image["id"], "docker.io/library/other:1")
    with pytest.raises(ImageError, match="must be forced") as caught:
        image_changes.remove(ctx, image["id"][7:19])
    assert caught.value.code == "RL-IMAGE-IN-USE"
    done = image_changes.remove(ctx, image["id"][7:19], force=True)
    assert [verb for verb, _ in done] == ["Untagged", "Untagged", "Deleted", "Deleted"]


def test_image_of_a_stopped_container_needs_force_and_its_layers_stay(ctx: Context) -> None:
    image = record(ctx)
    images.add(ctx.paths, image, BUSYBOX)
    identifier = add_container(ctx, image)
    with pytest.raises(ImageError, match=f"container {identifier[:12]} is using its") as caught:
        image_changes.remove(ctx, "busybox")
    assert caught.value.code == "RL-IMAGE-IN-USE"
    with pytest.raises(ImageError, match=f"used by stopped container {identifier[:12]}"):
        image_changes.remove(ctx, image["id"])
    assert images.names(ctx.paths) == [BUSYBOX]
    done = image_changes.remove(ctx, "busybox", force=True)
    assert [verb for verb, _ in done] == ["Untagged", "Deleted"]
    assert layer_count(ctx) == 1


def test_image_of_a_running_container_is_only_untagged_by_force(ctx: Context) -> None:
    image = record(ctx)
    images.add(ctx.paths, image, BUSYBOX)
    identifier = add_container(ctx, image)
    with open(f"{ctx.paths.container(identifier)}/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert image_changes.remove(ctx, "busybox", force=True) == [("Untagged", "busybox:latest")]
        with pytest.raises(ImageError, match="cannot be forced"):
            image_changes.remove(ctx, image["id"], force=True)
    assert images.resolve(ctx.paths, image["id"])["names"] == []


def test_collector_spares_what_is_leased(ctx: Context) -> None:
    image = record(ctx)
    with Lease(ctx) as lease:
        lease.keep(image["layers"], [image["digest"]])
        image_changes.collect(ctx)
        assert layer_count(ctx) == 1
        assert os.listdir(ctx.paths.blobs) == [image["digest"][7:]]
        lease.keep_all()
        assert image_changes.collect(ctx) == set()
    assert image_changes.collect(ctx) == {image["digest"], *image["layers"]}
    assert layer_count(ctx) == 0


def test_same_image_otherwise_compressed_keeps_the_complete_manifest(ctx: Context) -> None:
    image = record(ctx)
    images.add(ctx.paths, image, BUSYBOX)
    other = image | {"digest": digest(b"zstd"), "layer_blobs": [digest(b"zstd layer")]}
    images.add(ctx.paths, other, "docker.io/library/other:1")
    assert images.resolve(ctx.paths, "other:1")["digest"] == image["digest"]
