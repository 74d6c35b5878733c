"""push, with a real registry; skopeo reads what was pushed."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.cutting import Cutting
from support.images import Image, digest, tar
from support.program import Rl
from support.registry import PASSWORD, USER, Registry
from support.resuming import Resuming

GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"


def skopeo(*args: str) -> str:
    done = subprocess.run(["skopeo", *args], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def manifest_of(reference: str) -> Any:
    return json.loads(skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{reference}"))


@pytest.fixture
def built(rl: Rl, tmp_path: Path) -> Callable[..., str]:
    """Builds an image of busybox and two layers: they have no blobs in the store."""

    def make(name: str, text: str = "x") -> str:
        (tmp_path / "note").write_text(text)
        (tmp_path / "Dockerfile").write_text(
            "FROM busybox\nCOPY note /note\nRUN mkdir /d && ln /note /d/linked\nCMD cat /d/linked\n"
        )
        rl.run("build", "-q", "-t", name, str(tmp_path))
        return name

    return make


@pytest.mark.parametrize(
    "options",
    [{}, {"docker": True}, {"compression": "zstd"}, {"compression": ""}],
    ids=["oci", "docker", "zstd", "plain"],
)
def test_what_was_pulled_is_pushed_unchanged(
    rl: Rl, registry: Registry, options: dict[str, Any]
) -> None:
    # Layers of no other image: those that are unpacked already are not fetched in this form.
    image = Image(
        [tar({"first": str(options)}), tar({"note": str(options)})], {"Cmd": ["true"]}, **options
    )
    reference = registry.push("push/from", image)
    rl.run("pull", reference)
    other = f"{registry.host}/push/to-{len(str(options))}:v1"
    rl.run("tag", reference, other)
    out = rl.out("push", other)
    manifest = image.manifest()
    assert out.splitlines()[-1] == f"v1: digest: {digest(manifest)} size: {len(manifest)}"
    raw = skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{other}")
    assert raw.encode() == manifest
    name = other.removesuffix(":v1")
    assert f"{name}@{digest(manifest)}" in rl.inspect(other)["RepoDigests"]
    rl.run("rmi", reference, other)


def test_a_built_image_is_pushed_and_runs_elsewhere(
    rl: Rl, registry: Registry, built: Callable[..., str], fresh_store: Callable[..., Rl]
) -> None:
    reference = built(f"{registry.host}/push/built:1")
    out = rl.out("push", reference)
    assert "Pushed" in out
    assert [layer["mediaType"] for layer in manifest_of(reference)["layers"]] == [GZIP] * 3
    again = rl.out("push", reference)
    assert again.count("Layer already exists") == 3
    assert again.splitlines()[-1] == out.splitlines()[-1]
    other = fresh_store()
    other.run("pull", reference)
    assert other.out("run", "--rm", "--network", "none", reference) == "x"
    assert other.inspect(reference)["Id"] == rl.inspect(reference)["Id"]
    rl.run("rmi", reference)


def test_layers_of_another_repository_are_mounted(
    rl: Rl, registry: Registry, built: Callable[..., str]
) -> None:
    first = built(f"{registry.host}/push/first", "mounted")
    rl.run("push", first)
    second = f"{registry.host}/push/second"
    rl.run("tag", first, second)
    out = rl.out("push", second)
    assert out.count("Mounted from push/") == 3
    skopeo("inspect", "--tls-verify=false", f"docker://{second}:latest")
    rl.run("rmi", first, second)


@pytest.mark.parametrize("compression", ["gzip:9", "zstd", "zstd:19"])
def test_compression_packs_all_layers_anew(
    rl: Rl, registry: Registry, built: Callable[..., str], compression: str, tmp_path: Path
) -> None:
    reference = built(f"{registry.host}/push/packed:{compression.replace(':', '-')}")
    file = tmp_path / "digest"
    rl.run("push", "--compression", compression, "--digestfile", str(file), reference)
    kind = ZSTD if compression.startswith("zstd") else GZIP
    manifest = manifest_of(reference)
    assert [layer["mediaType"] for layer in manifest["layers"]] == [kind] * 3
    raw = skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{reference}")
    assert file.read_text() == digest(raw.encode())
    skopeo(
        "copy", "-q", "--src-tls-verify=false", f"docker://{reference}", f"dir:{tmp_path}/copied"
    )
    rl.run("rmi", reference)


def test_all_tags(rl: Rl, registry: Registry) -> None:
    name = f"{registry.host}/push/tags"
    rl.run("tag", "busybox", f"{name}:a", f"{name}:b", f"{name}-not:c")
    assert rl.out("push", "-q", "--all-tags", name).splitlines() == [f"{name}:a", f"{name}:b"]
    assert rl.fails("push", "--all-tags", f"{name}:a", code="RL-USAGE")
    assert registry.request("GET", "/v2/push/tags-not/tags/list")[0] == 404
    rl.run("untag", "busybox", f"{name}:a", f"{name}:b", f"{name}-not:c")


def test_docker_s_lines(rl: Rl, registry: Registry) -> None:
    name = f"{registry.host}/push/lines"
    rl.run("tag", "busybox", name)
    lines = rl.out("push", name).splitlines()
    layer = rl.inspect("busybox")["RootFS"]["Layers"][0][7:19]
    assert lines[:3] == [
        "Using default tag: latest",
        f"The push refers to repository [{name}]",
        f"{layer}: Preparing",
    ]
    assert lines[-1].startswith("latest: digest: sha256:")
    rl.run("untag", "busybox", name)


def test_a_private_registry_wants_a_login(rl: Rl, private_registry: Registry) -> None:
    name = f"{private_registry.host}/push/private"
    rl.run("tag", "busybox", name)
    try:
        rl.fails("push", name, status=1, code="RL-REGISTRY-UNAUTHORIZED")
        login = ("login", "-u", USER, "--password-stdin", private_registry.host)
        rl.run(*login, input=PASSWORD)
        assert rl.out("push", "-q", name) == f"{name}:latest"
    finally:
        rl.run("logout", private_registry.host)
        rl.run("untag", "busybox", name)


def test_an_upload_that_breaks_is_tried_again(rl: Rl, registry: Registry) -> None:
    size = 6 << 20
    image = Image([tar({"noise": os.urandom(size)})], {})
    rl.run("pull", registry.push("push/noise", image))
    way = Cutting(registry.port, 2 << 20, 2)
    reference = f"{way.host}/push/broken:1"
    rl.run("tag", f"{registry.host}/push/noise", reference)
    out = rl.out("push", reference)
    way.close()
    assert out.splitlines()[-1].startswith("1: digest: " + digest(image.manifest()))
    assert way.left == 0
    rl.run("rmi", "-f", reference, f"{registry.host}/push/noise")


def test_an_upload_that_breaks_goes_on_where_it_broke(rl: Rl, registry: Registry) -> None:
    image = Image([tar({"noise": os.urandom(6 << 20)})], {})
    rl.run("pull", registry.push("push/noise-2", image))
    other = Resuming(1 << 20, 2)
    reference = f"{other.host}/x:1"
    rl.run("tag", f"{registry.host}/push/noise-2", reference)
    rl.run("push", reference)
    other.close()
    _, blob = image.layer_blobs()[0]
    assert other.blobs[digest(blob)] == blob
    assert other.manifests["1"] == image.manifest()
    assert other.received == len(blob)
    end = len(blob) - 1
    assert other.ranges == ["", f"{1 << 20}-{end}", f"{2 << 20}-{end}"]
    rl.run("rmi", "-f", reference, f"{registry.host}/push/noise-2")


def test_a_registry_that_is_away(rl: Rl) -> None:
    rl.run("tag", "busybox", "127.0.0.1:1/x")
    rl.fails("push", "127.0.0.1:1/x", status=1, code="RL-REGISTRY-UNREACHABLE")
    rl.run("untag", "busybox", "127.0.0.1:1/x")


@pytest.mark.parametrize(
    ("args", "status", "code"),
    [
        (("nothing-here",), 1, "RL-IMAGE-NOT-FOUND"),
        (("-a", "nothing-here"), 1, "RL-IMAGE-NOT-FOUND"),
        ((f"busybox@sha256:{64 * 'a'}",), 1, "RL-BAD-REFERENCE"),
        (("--compression", "rar", "busybox"), 125, "RL-USAGE"),
        (("--compression", "gzip:10", "busybox"), 125, "RL-USAGE"),
        (("--compression", "zstd:", "busybox"), 125, "RL-USAGE"),
        (("--platform", "linux/s390x", "busybox"), 1, "RL-IMAGE-PLATFORM"),
    ],
)
def test_what_cannot_be_pushed(rl: Rl, args: tuple[str, ...], status: int, code: str) -> None:
    rl.fails("push", *args, status=status, code=code)


def test_a_layer_that_was_changed_is_not_pushed(
    fresh_store: Callable[..., Rl], registry: Registry, tmp_path: Path
) -> None:
    rl = fresh_store(busybox=True)
    (tmp_path / "note").write_text("x")
    (tmp_path / "Dockerfile").write_text("FROM busybox\nCOPY note /note\n")
    reference = f"{registry.host}/push/changed"
    rl.run("build", "-q", "-t", reference, str(tmp_path))
    layer = rl.inspect(reference)["RootFS"]["Layers"][-1].removeprefix("sha256:")
    with open(f"{rl.store}/layers/{layer}/diff/note", "w") as file:
        file.write("y")
    rl.fails("push", reference, status=1, code="RL-STORE-CORRUPT")
    assert registry.request("GET", "/v2/push/changed/tags/list")[0] == 404
