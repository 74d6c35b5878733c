"""Manifests, indexes and configs that strangers wrote: a value, or BadDocument."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.images import DOCKER_LIST, OCI_INDEX, Image, digest

from rootless.errors import BadDocument
from rootless.oci import image_config, manifest
from rootless.oci.documents import DOCUMENT_MAX
from rootless.oci.manifest import Index, Manifest
from rootless.oci.platform import parse as platform

DIGEST = "sha256:" + "a" * 64
IMAGE = Image([b"one", b"two"], {"Cmd": ["sh"]})


def changed(data: bytes, **fields: object) -> bytes:
    """The document with some fields set; None removes them."""
    doc = json.loads(data) | fields
    return json.dumps({key: value for key, value in doc.items() if value is not None}).encode()


def read(data: bytes, content_type: str = "") -> Manifest | Index:
    return manifest.parse(data, content_type, "manifest of x")


@pytest.mark.parametrize("docker", [False, True])
def test_manifest_keeps_its_bytes_and_digest(docker: bool) -> None:
    data = Image([b"one", b"two"], docker=docker).manifest()
    found = read(data)
    assert isinstance(found, Manifest)
    assert found.data == data
    assert found.digest == digest(data)
    assert len(found.layers) == 2


def test_docker_manifest_as_oci_keeps_config_and_layers() -> None:
    found = read(Image([b"one"], docker=True).manifest())
    assert isinstance(found, Manifest)
    converted = read(found.as_oci())
    assert isinstance(converted, Manifest)
    assert converted.media_type == manifest.OCI_MANIFEST
    assert converted.config.digest == found.config.digest
    assert converted.layers[0].digest == found.layers[0].digest
    assert converted.layers[0].media_type == manifest.OCI_LAYER_GZIP


def test_manifest_without_its_type_is_known_by_content_type_or_shape() -> None:
    data = changed(IMAGE.manifest(), mediaType=None)
    assert isinstance(read(data), Manifest)
    assert isinstance(read(data, "application/json; charset=utf-8"), Manifest)
    index = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    assert isinstance(read(index, OCI_INDEX), Index)
    assert isinstance(read(index), Index)


@pytest.mark.parametrize("kind", [OCI_INDEX, DOCKER_LIST])
def test_index_chooses_by_platform_and_skips_attestations(kind: str) -> None:
    def entry(architecture: str, letter: str, system: str = "linux") -> dict[str, object]:
        return {
            "mediaType": manifest.OCI_MANIFEST,
            "digest": f"sha256:{letter * 64}",
            "size": 1,
            "platform": {"os": system, "architecture": architecture},
        }

    doc = {
        "schemaVersion": 2,
        "mediaType": kind,
        "manifests": [entry("unknown", "e", "unknown"), entry("arm64", "b"), entry("amd64", "c")],
    }
    found = read(json.dumps(doc).encode())
    assert isinstance(found, Index)
    chosen = found.choose(platform("linux/amd64"))
    assert chosen is not None
    assert chosen.digest == f"sha256:{'c' * 64}"
    assert found.choose(platform("linux/s390x")) is None
    assert found.platforms() == ["linux/amd64", "linux/arm64"]


def test_schema_1_is_refused_with_its_own_code() -> None:
    for data, kind in (
        (b'{"schemaVersion":1,"name":"a","fsLayers":[]}', ""),
        (b'{"schemaVersion":2}', "application/vnd.docker.distribution.manifest.v1+prettyjws"),
    ):
        with pytest.raises(BadDocument) as caught:
            read(data, kind)
        assert caught.value.code == "RL-IMAGE-SCHEMA1"


@pytest.mark.parametrize(
    "fields",
    [
        {"config": {"mediaType": "application/vnd.cncf.helm.config.v1+json"}},
        {"config": {"mediaType": "application/vnd.oci.empty.v1+json"}, "artifactType": "text/x"},
        {"layers": [{"mediaType": "application/vnd.cncf.helm.chart", "digest": DIGEST, "size": 1}]},
        {"mediaType": "application/vnd.oci.artifact.manifest.v1+json"},
    ],
)
def test_artifact_that_is_no_image_is_refused_with_its_own_code(fields: dict[str, Any]) -> None:
    if "config" in fields:
        fields["config"] |= {"digest": DIGEST, "size": 1}
    with pytest.raises(BadDocument) as caught:
        read(changed(IMAGE.manifest(), **fields))
    assert caught.value.code == "RL-IMAGE-ARTIFACT"


def test_document_that_is_manifest_and_index_at_once_is_refused() -> None:
    with pytest.raises(BadDocument, match="at once"):
        read(changed(IMAGE.manifest(), manifests=[]))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"<html>", b"[]", b"null", b"{", b"\xff", b'{"schemaVersion":"2"}',
        b'{"schemaVersion":2}', b'{"schemaVersion":true}', b"[" * 100_000,
        b'{"schemaVersion":2,"manifests":{}}', b'{"schemaVersion":2,"manifests":[1]}',
        b'{"schemaVersion":2,"config":[],"layers":[]}', b" " * (DOCUMENT_MAX + 1),
    ],
)  # fmt: skip
def test_nonsense_is_a_bad_document(data: bytes) -> None:
    with pytest.raises(BadDocument):
        read(data)


@pytest.mark.parametrize(
    "layer",
    [
        None, 1, {}, {"digest": DIGEST}, {"digest": DIGEST, "size": -1},
        {"digest": DIGEST, "size": True}, {"digest": DIGEST, "size": "1"},
        {"digest": DIGEST, "size": 1 << 60}, {"digest": "sha256:x", "size": 1},
        {"digest": "sha512:" + "a" * 128, "size": 1}, {"digest": 1, "size": 1},
        {"digest": "../../etc/passwd", "size": 1},
    ],
)  # fmt: skip
def test_odd_layer_is_a_bad_document(layer: object) -> None:
    if isinstance(layer, dict):
        layer = {"mediaType": manifest.OCI_LAYER_GZIP, **layer}
    with pytest.raises(BadDocument):
        read(changed(IMAGE.manifest(), layers=[layer]))


def test_config_gives_id_platform_and_diff_ids() -> None:
    data = IMAGE.config_blob()
    found = image_config.parse(data, "config")
    assert found.image_id == digest(data)
    assert str(found.platform) == "linux/amd64"
    assert found.diff_ids == (digest(b"one"), digest(b"two"))
    assert found.config == {"Cmd": ["sh"]}


def test_number_of_layers_must_be_that_of_the_diff_ids() -> None:
    found = image_config.parse(IMAGE.config_blob(), "config")
    image_config.check_layers(2, found, "x")
    with pytest.raises(BadDocument, match="3 layers in its manifest, but 2"):
        image_config.check_layers(3, found, "x")


@pytest.mark.parametrize(
    "config",
    [
        [], {"Env": "A=1"}, {"Env": [1]}, {"Cmd": {}}, {"Entrypoint": "sh"}, {"WorkingDir": 1},
        {"User": 0}, {"Labels": {"a": 1}}, {"Labels": []}, {"ExposedPorts": []},
        {"ExposedPorts": {"80": 1}}, {"Volumes": ["/a"]}, {"Healthcheck": {"Test": "x"}},
        {"Healthcheck": {"Interval": "1s"}}, {"Cmd": ["a\0b"]}, {"User": "a\0"},
    ],
)  # fmt: skip
def test_config_with_an_odd_type_is_a_bad_document(config: object) -> None:
    with pytest.raises(BadDocument):
        image_config.parse(changed(IMAGE.config_blob(), config=config), "config")


@pytest.mark.parametrize(
    "rootfs",
    [None, [], {"type": "tar"}, {"diff_ids": "x"}, {"diff_ids": [1]}, {"diff_ids": ["sha256:"]}],
)
def test_config_with_odd_layers_is_a_bad_document(rootfs: object) -> None:
    with pytest.raises(BadDocument):
        image_config.parse(changed(IMAGE.config_blob(), rootfs=rootfs), "config")


def test_config_with_nulls_is_read_as_go_reads_it() -> None:
    data = changed(IMAGE.config_blob()).replace(b'{"Cmd": ["sh"]}', b'{"Cmd":null,"Env":null}')
    assert image_config.parse(data, "config").config == {"Cmd": None, "Env": None}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(
    st.sampled_from(["schemaVersion", "mediaType", "config", "layers", "manifests"]), json_values
)
def test_any_field_of_any_type_is_a_manifest_or_a_bad_document(key: str, value: object) -> None:
    try:
        read(changed(IMAGE.manifest(), **{key: value}))
    except BadDocument:
        pass


@given(
    st.sampled_from(["os", "architecture", "config", "rootfs", "history", "created"]), json_values
)
def test_any_field_of_any_type_is_a_config_or_a_bad_document(key: str, value: object) -> None:
    try:
        image_config.parse(changed(IMAGE.config_blob(), **{key: value}), "config")
    except BadDocument:
        pass
