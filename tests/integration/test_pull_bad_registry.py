"""What registries answer on a bad day: each failure is one clear error and leaves nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.images import OCI_MANIFEST, Image, digest, tar
from support.pulling import blob_path, failure
from support.rogue import Rogue

from rootless.context import Context
from rootless.errors import BadDocument, DigestMismatch, ImageError
from rootless.registry.pull import list_tags, pull
from rootless.store import image_changes, images


def test_missing_image_is_not_found(ctx: Context, rogue: Rogue) -> None:
    error = failure(ctx, f"{rogue.host}/nothing:1", "RL-REGISTRY-NOT-FOUND")
    assert "nothing:1 not found" in error.what
    assert "manifest unknown" in error.what


def test_registry_that_is_away_is_unreachable(ctx: Context, rogue: Rogue) -> None:
    rogue.close()
    error = failure(ctx, f"{rogue.host}/app", "RL-REGISTRY-UNREACHABLE")
    assert "Connection refused" in error.what


def test_host_that_does_not_exist_is_unreachable(ctx: Context) -> None:
    failure(ctx, "does-not-exist.invalid/app", "RL-REGISTRY-UNREACHABLE")


@pytest.mark.parametrize("kind", ["text/html", OCI_MANIFEST])
def test_web_page_instead_of_a_manifest_is_rubbish(ctx: Context, rogue: Rogue, kind: str) -> None:
    rogue.on("/v2/app/man", lambda r: r.reply(200, b"<html>log in", {"Content-Type": kind}))
    failure(ctx, f"{rogue.host}/app", "RL-REGISTRY-RUBBISH")


def test_endless_manifest_is_cut(ctx: Context, rogue: Rogue) -> None:
    rogue.on("/v2/app/man", lambda r: r.reply(200, b"{" * (5 << 20)))
    failure(ctx, f"{rogue.host}/app", "RL-REGISTRY-RUBBISH")


def test_schema_1_is_refused(ctx: Context, rogue: Rogue) -> None:
    rogue.on("/v2/app/man", lambda r: r.reply(200, b'{"schemaVersion":1}'))
    failure(ctx, f"{rogue.host}/app", "RL-IMAGE-SCHEMA1")


def test_control_characters_from_a_registry_are_made_harmless(ctx: Context, rogue: Rogue) -> None:
    body = json.dumps({"errors": [{"message": "\x1b[2Jgone\n"}]}).encode()
    rogue.on("/v2/app/man", lambda r: r.reply(404, body))
    error = failure(ctx, f"{rogue.host}/app", "RL-REGISTRY-NOT-FOUND")
    assert "\x1b" not in error.one_line()


def test_manifest_by_digest_is_verified(ctx: Context, rogue: Rogue, image: Image) -> None:
    rogue.serve("app", image)
    wanted = digest(b"something else")
    rogue.on(f"/v2/app/manifests/{wanted}", lambda r: r.reply(200, image.manifest()))
    error = failure(ctx, f"{rogue.host}/app@{wanted}", "RL-DIGEST-MISMATCH")
    assert isinstance(error, DigestMismatch)
    assert error.actual == digest(image.manifest())


def test_config_is_verified(ctx: Context, rogue: Rogue, image: Image) -> None:
    reference = rogue.serve("app", image)
    changed = image.config_blob().replace(b'"sh"', b'"ls"')
    path = f"/v2/app/blobs/{digest(image.config_blob())}"
    rogue.on(path, lambda r: r.reply(200, changed))
    failure(ctx, reference, "RL-DIGEST-MISMATCH")


def test_layer_with_other_bytes_is_a_mismatch_and_never_kept(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    reference = rogue.serve("app", image)
    blob = bytearray(image.layer_blobs()[0][1])
    blob[4] ^= 1  # in gzip's time stamp: the tar is the same, the blob is not
    rogue.on(blob_path(image), lambda r: r.reply(200, bytes(blob)))
    failure(ctx, reference, "RL-DIGEST-MISMATCH")
    assert os.listdir(ctx.paths.layers) == []


def test_layer_that_is_not_its_diff_id_is_refused(ctx: Context, rogue: Rogue) -> None:
    honest = Image([tar({"file": b"good"})])
    evil = Image([tar({"file": b"evil"})])
    manifest = json.loads(evil.manifest())
    config = honest.config_blob()
    manifest["config"] |= {"digest": digest(config), "size": len(config)}
    rogue.serve("app", evil)
    rogue.on(f"/v2/app/blobs/{digest(config)}", lambda r: r.reply(200, config))
    kind = {"Content-Type": OCI_MANIFEST}
    data = json.dumps(manifest).encode()
    rogue.on("/v2/app/manifests/latest", lambda r: r.reply(200, data, kind))
    failure(ctx, f"{rogue.host}/app", "RL-DIGEST-MISMATCH")
    assert os.listdir(ctx.paths.layers) == []


def test_layer_that_is_no_archive_is_an_error(ctx: Context, rogue: Rogue) -> None:
    reference = rogue.serve("app", Image([b"this is no tar archive" * 100]))
    with pytest.raises(BadDocument):
        pull(ctx, reference)
    assert os.listdir(ctx.paths.tmp) == []
    assert os.listdir(ctx.paths.layers) == []


def test_numbers_of_layers_and_diff_ids_must_agree(ctx: Context, rogue: Rogue) -> None:
    image = Image([tar({"a": b"1"}), tar({"b": b"2"})])
    manifest = json.loads(image.manifest())
    del manifest["layers"][1]
    rogue.serve("app", image)
    data = json.dumps(manifest).encode()
    rogue.on("/v2/app/manifests/latest", lambda r: r.reply(200, data))
    failure(ctx, f"{rogue.host}/app", "RL-BAD-DOCUMENT")


def test_platform_that_an_index_lacks_names_those_it_has(ctx: Context, rogue: Rogue) -> None:
    entry = {
        "mediaType": OCI_MANIFEST,
        "digest": digest(b"x"),
        "size": 1,
        "platform": {"os": "linux", "architecture": "s390x"},
    }
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    rogue.on("/v2/app/man", lambda r: r.reply(200, index))
    error = failure(ctx, f"{rogue.host}/app", "RL-IMAGE-PLATFORM")
    assert isinstance(error, ImageError)
    assert "linux/s390x" in error.what


def test_index_that_names_itself_ends(ctx: Context, rogue: Rogue) -> None:
    inner = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    for _ in range(6):
        entry = {
            "digest": digest(inner),
            "size": len(inner),
            "mediaType": "application/vnd.oci.image.index.v1+json",
        }
        data = inner
        rogue.on(f"/v2/app/manifests/{digest(inner)}", lambda r, data=data: r.reply(200, data))
        inner = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    rogue.on("/v2/app/manifests/latest", lambda r: r.reply(200, inner))
    failure(ctx, f"{rogue.host}/app", "RL-BAD-DOCUMENT")


def test_index_that_contradicts_its_manifest_is_refused(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    rogue.serve("app", image)
    entry = {"mediaType": OCI_MANIFEST, "digest": digest(image.manifest()), "size": 7}
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    rogue.on("/v2/app/manifests/latest", lambda r: r.reply(200, index))
    error = failure(ctx, f"{rogue.host}/app", "RL-BAD-DOCUMENT")
    assert "gives 7 bytes" in error.what


def test_tags_are_listed_over_pages(ctx: Context, rogue: Rogue) -> None:
    link = {"Link": '</v2/app/tags/list?last=b>; rel="next"'}
    rogue.on("/v2/app/tags/list", lambda r: r.reply(200, b'{"tags":["a","b"]}', link))
    rogue.on("/v2/app/tags/list?last=b", lambda r: r.reply(200, b'{"tags":["c"]}'))
    assert list_tags(ctx, f"{rogue.host}/app") == ["a", "b", "c"]


def test_full_disk_is_reported_and_leaves_nothing(
    tmp_path: Path, rogue: Rogue, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a user namespace with a tmpfs of 300 kB as the store."""
    reference = rogue.serve("app", image)
    script = (
        "import sys, os; sys.path[:0] = sys.argv[3:]\n"
        "from support.stores import make_context\n"
        "from rootless.errors import RlError\n"
        "from rootless.registry.pull import pull\n"
        "ctx = make_context(sys.argv[1])\n"
        "try:\n"
        "    pull(ctx, sys.argv[2])\n"
        "except RlError as e:\n"
        "    print(e.code, os.listdir(ctx.paths.tmp), os.listdir(ctx.paths.layers))\n"
    )
    root = str(Path(__file__).parents[2])
    command = 'mount -t tmpfs -o size=300k none "$0" && exec "$@"'
    argv = ["unshare", "--user", "--map-root-user", "--map-auto", "--mount", "sh", "-c", command]
    done = subprocess.run(
        [*argv, str(tmp_path), sys.executable, "-c", script, str(tmp_path), reference, root,
         f"{root}/tests"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "RL-STORE-FULL [] []\n", done.stdout + done.stderr


def test_removed_image_is_pulled_again_from_nothing(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    reference = rogue.serve("app", image)
    pull(ctx, reference)
    image_changes.remove(ctx, reference)
    assert os.listdir(ctx.paths.layers) == []
    assert os.listdir(ctx.paths.blobs) == []
    pull(ctx, reference)
    assert images.names(ctx.paths) == [reference]
