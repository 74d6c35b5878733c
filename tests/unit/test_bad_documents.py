"""Every field of every document that a registry sends, spoilt: a value of the right types, or one
error of one line.  The corpus in tests/data/manifests has what was found in the wild."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.images import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Image, digest
from support.mutants import mutants

from rootless import records
from rootless.errors import BadDocument, RegistryError
from rootless.oci import image_config, manifest
from rootless.oci.descriptor import SIZE_MAX, Descriptor
from rootless.oci.image_config import ImageConfig
from rootless.oci.manifest import Index, Manifest
from rootless.oci.platform import Platform
from rootless.oci.platform import parse as platform
from rootless.registry import auth

CORPUS = Path(__file__).parents[1] / "data" / "manifests"
IMAGE = Image(
    [b"one"],
    {
        "Cmd": ["sh"], "Entrypoint": ["x"], "Env": ["A=1"], "User": "a", "WorkingDir": "/",
        "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}}, "Labels": {"a": "b"},
        "StopSignal": "TERM", "Shell": ["sh"], "OnBuild": ["RUN x"],
        "Healthcheck": {"Test": ["CMD", "x"], "Interval": 1, "Retries": 2},
    },
)  # fmt: skip
ENTRY = {
    "mediaType": OCI_MANIFEST, "digest": digest(b"x"), "size": 1, "annotations": {"a": "b"},
    "urls": ["https://example.com/x"],
    "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"},
}  # fmt: skip
INDEX = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [ENTRY]}).encode()
TOKEN = json.dumps(
    {"token": "t", "access_token": "t", "expires_in": 300, "issued_at": "2024-01-01T00:00:00Z",
     "refresh_token": "r"}
).encode()  # fmt: skip


def check(error: Exception) -> None:
    assert isinstance(error, (BadDocument, RegistryError))
    line = error.one_line()
    assert "\n" not in line
    assert "\x1b" not in line
    assert len(line) < 600, line


def check_descriptor(found: Descriptor) -> None:
    assert isinstance(found.media_type, str)
    assert len(found.digest) == 71
    assert 0 <= found.size <= SIZE_MAX
    assert found.platform is None or isinstance(found.platform, Platform)


def check_manifest(found: Manifest | Index) -> None:
    if isinstance(found, Index):
        for entry in found.manifests:
            check_descriptor(entry)
        found.choose(platform("linux/arm64"))
        assert all(isinstance(one, str) for one in found.platforms())
    else:
        for one in (found.config, *found.layers):
            check_descriptor(one)
        found.as_oci()


def check_config(found: ImageConfig) -> None:
    for field in records.fields(found):
        assert getattr(found, field.name) is not None
    for key in ("Env", "Cmd", "Entrypoint", "Shell", "OnBuild"):
        value: Any = found.config.get(key) or []
        assert all(isinstance(one, str) and "\0" not in one for one in value)
    assert isinstance(found.config.get("User") or "", str)


def read_manifest(data: bytes) -> None:
    try:
        check_manifest(manifest.parse(data, "", "manifest of x"))
    except BadDocument as e:
        check(e)


def read_config(data: bytes) -> None:
    try:
        check_config(image_config.parse(data, "config of x"))
    except BadDocument as e:
        check(e)


def read_token(data: bytes) -> None:
    try:
        answer = auth.token_answer(data, 200, "https://auth.example.com/token")
    except RegistryError as e:
        check(e)
    else:
        assert isinstance(answer["token"], str)
        assert answer["token"].isprintable()
        assert auth.lifetime_s(answer) >= auth.LIFETIME_S


@pytest.mark.parametrize("docker", [False, True])
def test_a_manifest_with_one_spoilt_field(docker: bool) -> None:
    for _, data in mutants(Image([b"one"], docker=docker).manifest()):
        read_manifest(data)


def test_an_index_with_one_spoilt_field() -> None:
    for _, data in mutants(INDEX):
        read_manifest(data)


def test_a_config_with_one_spoilt_field() -> None:
    for _, data in mutants(IMAGE.config_blob()):
        read_config(data)


def test_a_token_answer_with_one_spoilt_field() -> None:
    for _, data in mutants(TOKEN):
        read_token(data)


words = st.sampled_from(
    ["schemaVersion", "mediaType", "manifests", "config", "layers", "digest", "size", "platform",
     "os", "architecture", "rootfs", "diff_ids", "type", "history", "token", "annotations",
     OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, digest(b"x"), "layers"]
)  # fmt: skip
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), words),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(words, st.text(max_size=3)), inner)
    ),
    max_leaves=12,
)


@given(st.one_of(values.map(lambda value: json.dumps(value).encode()), st.binary(max_size=60)))
def test_any_document_is_a_value_or_an_error(data: bytes) -> None:
    read_manifest(data)
    read_config(data)
    read_token(data)


@pytest.mark.parametrize("case", sorted(path.stem for path in CORPUS.glob("*.json")))
def test_the_corpus(case: str) -> None:
    """NAME.json, and in NAME.txt what is said about it: "ok", or CODE and the message."""
    data = CORPUS.joinpath(f"{case}.json").read_bytes()
    expected = CORPUS.joinpath(f"{case}.txt").read_text().strip()
    try:
        if case.startswith("config-"):
            check_config(image_config.parse(data, "the config"))
        elif case.startswith("token-"):
            auth.token_answer(data, 200, "https://auth.example.com/token")
        else:
            check_manifest(manifest.parse(data, "", "the manifest"))
    except (BadDocument, RegistryError) as e:
        check(e)
        assert f"{e.code}: {e.what}" == expected
    else:
        assert expected == "ok"
