"""Images of which one document has one spoilt field: pulled, loaded and shown, or refused."""

import io
import json
import os
from typing import Any

import pytest
from support.images import OCI_INDEX, OCI_MANIFEST, Image, digest, tar
from support.mutants import mutants
from support.rogue import Rogue

from rootless.cli.actions import history
from rootless.cli.actions import images as images_action
from rootless.cli.inspect_image import describe as describe_image
from rootless.context import Context
from rootless.errors import RlError
from rootless.layer import image_load
from rootless.oci import platform as platforms
from rootless.registry.pull import pull
from rootless.store import images

pytestmark = pytest.mark.needs("subids")
IMAGE = Image(
    [], {"Cmd": ["sh"], "Env": ["A=1"], "Labels": {"a": "b"}, "Healthcheck": {"Test": []}}
)
LISTED = dict.fromkeys(
    ("reference", "format", "no_trunc", "tree", "digests", "quiet", "filter", "all"), None
)
SHOWN = dict.fromkeys(("human", "no_trunc", "format", "quiet", "platform"), None)


STEP = 7  # tests/unit/test_bad_documents.py reads them all; here each field comes twice or so


def every(data: bytes) -> list[tuple[str, bytes]]:
    return list(mutants(data))[::STEP]


def fetched(ctx: Context, rogue: Rogue, config: bytes, manifest: bytes) -> dict[str, Any] | None:
    """The image's record, or None where it was refused in one line and nothing is left of it."""
    rogue.answers.clear()
    rogue.on("/v2/", lambda r: r.reply(404))
    rogue.on("/v2/app/man", lambda r: r.reply(200, manifest, {"Content-Type": OCI_MANIFEST}))
    rogue.on(f"/v2/app/blobs/{digest(config)}", lambda r: r.reply(200, config))
    before = set(os.listdir(ctx.paths.images_by_id))
    try:
        return pull(ctx, f"{rogue.host}/app")
    except RlError as e:
        assert "\n" not in e.one_line()
        assert "\x1b" not in e.one_line()
        assert set(os.listdir(ctx.paths.images_by_id)) == before
        assert os.listdir(ctx.paths.tmp) == []
        return None


def show(ctx: Context, record: dict[str, Any]) -> None:
    """All that looks at an image takes it as it is."""
    json.dumps(describe_image(ctx.paths, record))
    history.main(ctx, {**SHOWN, "image": record["id"]})


def test_a_manifest_with_one_spoilt_field(ctx: Context, rogue: Rogue) -> None:
    for _, data in every(IMAGE.manifest()):
        record = fetched(ctx, rogue, IMAGE.config_blob(), data)
        assert record is None or record["id"] == IMAGE.id


def test_an_index_with_one_spoilt_field(ctx: Context, rogue: Rogue) -> None:
    """What it lists is the image, or there is none."""
    manifest, config = IMAGE.manifest(), IMAGE.config_blob()
    entry = {
        "mediaType": OCI_MANIFEST,
        "digest": digest(manifest),
        "size": len(manifest),
        "platform": {"os": "linux", "architecture": platforms.host().architecture},
    }
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
    kinds = {"/v2/app/manifests/latest": OCI_INDEX, f"/v2/app/manifests/{digest(manifest)}": ""}
    pulled = 0
    for name, data in every(json.dumps(index).encode()):
        rogue.answers.clear()
        rogue.on("/v2/", lambda r: r.reply(404))
        for path, body in zip(kinds, (data, manifest), strict=True):
            kind = {"Content-Type": kinds[path] or OCI_MANIFEST}
            rogue.on(path, lambda r, body=body, kind=kind: r.reply(200, body, kind))
        rogue.on(f"/v2/app/blobs/{digest(config)}", lambda r: r.reply(200, config))
        try:
            assert pull(ctx, f"{rogue.host}/app")["id"] == IMAGE.id, name
            pulled += 1
        except RlError as e:
            assert e.one_line().isprintable(), name
            assert os.listdir(ctx.paths.tmp) == [], name
    assert pulled


def test_a_config_with_one_spoilt_field(
    ctx: Context, rogue: Rogue, capsys: pytest.CaptureFixture[str]
) -> None:
    accepted = 0
    for name, config in every(IMAGE.config_blob()):
        manifest = json.loads(IMAGE.manifest())
        manifest["config"] |= {"digest": digest(config), "size": len(config)}
        record = fetched(ctx, rogue, config, json.dumps(manifest).encode())
        if record is not None:
            accepted += 1
            try:
                show(ctx, record)
            except RlError as e:
                assert "\n" not in e.one_line(), name
    assert accepted
    assert images.list_images(ctx.paths)
    assert images_action.main(ctx, {**LISTED, "filter": [], "all": True}) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_an_archive_with_one_spoilt_field(ctx: Context) -> None:
    """Its two tables of contents; what is loaded is the image, or nothing is."""
    manifest, config = IMAGE.manifest(), IMAGE.config_blob()
    entry = {
        "mediaType": OCI_MANIFEST,
        "digest": digest(manifest),
        "size": len(manifest),
        "annotations": {"org.opencontainers.image.ref.name": "docker.io/library/spoilt:1"},
    }
    config_file = f"blobs/sha256/{digest(config)[7:]}"
    tables: dict[str, object] = {
        "index.json": {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]},
        "manifest.json": [{"Config": config_file, "RepoTags": ["spoilt:2"], "Layers": []}],
    }
    files: dict[str, bytes | str | None] = {
        f"blobs/sha256/{digest(manifest)[7:]}": manifest,
        config_file: config,
    }
    loaded = 0
    for table, content in tables.items():
        for name, data in every(json.dumps(content).encode()):
            archive = tar({**files, table: data})
            try:
                found = image_load.load(ctx, io.BytesIO(archive), what="the archive")
            except RlError as e:
                assert "\n" not in e.one_line(), name
                assert len(e.one_line()) < 1000, name
            else:
                loaded += 1
                assert {one.record["id"] for one in found} == {IMAGE.id}, name
            assert os.listdir(ctx.paths.tmp) == [], name
    assert loaded
