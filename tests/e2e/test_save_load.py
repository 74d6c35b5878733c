"""save and load; skopeo and podman read what was saved, and the other way round."""

import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.images import Image, busybox_tar, digest, tar
from support.program import Rl
from support.registry import Registry


def skopeo(*args: str) -> str:
    done = subprocess.run(["skopeo", *args], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def docker_archive(
    image: Image, names: list[str] | None = None, *, style: str = "legacy", **changes: Any
) -> bytes:
    """What `docker save` wrote before 25: layers uncompressed, the table of contents last."""
    config = image.config_blob()
    config_name = f"{digest(config)[7:]}.json"
    files: dict[str, bytes | str | None] = {}
    places = []
    for position, layer in enumerate(image.layers):
        files[f"{position}/layer.tar"] = layer
        places.append(f"{position}/layer.tar")
    if style == "linked":
        files["link"] = None
        files["link/layer.tar"] = "-> ../0/layer.tar"
        places[0] = "link/layer.tar"
    entry = {"Config": config_name, "RepoTags": names, "Layers": places, **changes}
    files[config_name] = config
    files["manifest.json"] = json.dumps([entry])
    return tar(files)


@pytest.fixture
def image() -> Image:
    return Image([busybox_tar(), tar({"note": "loaded"})], {"Cmd": ["cat", "/note"]})


@pytest.fixture
def built(rl: Rl, tmp_path: Path) -> str:
    """An image with layers that have no blobs."""
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo hi > /hi\nCMD cat /hi\n")
    rl.run("build", "-q", "-t", "saved/built:1", str(tmp_path))
    return "saved/built:1"


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "docker-dir", "oci-dir"])
def test_what_was_saved_is_loaded_in_another_store(
    rl: Rl, built: str, fresh_store: Callable[..., Rl], tmp_path: Path, form: str
) -> None:
    target = str(tmp_path / "saved")
    rl.run("save", "--format", form, "-o", target, built, "busybox")
    other = fresh_store()
    lines = other.out("load", "-i", target).splitlines()
    assert sorted(lines) == ["Loaded image: busybox:latest", "Loaded image: saved/built:1"]
    assert other.out("run", "--rm", "--network", "none", built) == "hi"
    for name in (built, "busybox"):
        assert other.inspect(name)["Id"] == rl.inspect(name)["Id"]
    again = str(tmp_path / "again")
    other.run("save", "--format", form, "-o", again, built, "busybox")
    if form.endswith("archive"):
        with open(target, "rb") as one, open(again, "rb") as two:
            assert one.read() == two.read()
    rl.run("rmi", built)


@pytest.mark.parametrize("options", [{}, {"docker": True}, {"compression": "zstd"}])
def test_what_was_pulled_keeps_its_digests(
    rl: Rl,
    registry: Registry,
    fresh_store: Callable[..., Rl],
    tmp_path: Path,
    options: dict[str, Any],
) -> None:
    # Layers of no other image: those that are unpacked already are not fetched in this form.
    image = Image([tar({"first": str(options)}), tar({"note": str(options)})], {}, **options)
    reference = registry.push("save/digests", image)
    rl.run("pull", reference)
    archive = str(tmp_path / "a.tar")
    rl.run("save", "-o", archive, reference)
    other = fresh_store()
    other.run("load", "-i", archive)
    assert other.inspect(reference)["Descriptor"]["digest"] == digest(image.manifest())
    target = f"{registry.host}/save/again:{len(str(options))}"
    other.run("tag", reference, target)
    assert digest(image.manifest()) in other.out("push", target)
    rl.run("rmi", reference)


def test_skopeo_reads_each_format(rl: Rl, built: str, tmp_path: Path) -> None:
    for form, source in (
        ("docker-archive", "docker-archive:{}:docker.io/saved/built:1"),
        ("oci-archive", "oci-archive:{}"),
        ("oci-dir", "oci:{}"),
    ):
        target = str(tmp_path / form)
        rl.run("save", "--format", form, "-o", target, built)
        copied = f"dir:{tmp_path}/copied-{form}"
        skopeo("copy", "-q", "--insecure-policy", source.format(target), copied)
        config = json.loads(skopeo("inspect", "--config", copied))
        assert config["config"]["Cmd"] == ["/bin/sh", "-c", "cat /hi"]
    rl.run("rmi", built)


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive", "oci"])
def test_what_skopeo_writes_is_loaded(
    rl: Rl, registry: Registry, image: Image, tmp_path: Path, kind: str
) -> None:
    reference = registry.push("save/skopeo", image)
    target = f"{tmp_path}/it"
    destination = f"{kind}:{target}:example.org/sk/{kind}:1"
    skopeo(
        "copy",
        "-q",
        "--insecure-policy",
        "--src-tls-verify=false",
        f"docker://{reference}",
        destination,
    )
    name = f"example.org/sk/{kind}:1"
    assert rl.out("load", "-q", "-i", target) == f"Loaded image: {name}"
    assert rl.out("run", "--rm", "--network", "none", name) == "loaded"
    rl.run("rmi", name)


@pytest.mark.needs("podman")
def test_podman_loads_it(rl: Rl, built: str, podman: list[str], tmp_path: Path) -> None:
    file = f"{tmp_path}/a.tar"
    rl.run("save", "-o", file, built)
    done = subprocess.run([*podman, "load", "-i", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "saved/built:1" in done.stdout + done.stderr
    rl.run("rmi", built)


@pytest.mark.parametrize("pack", ["gzip", "xz", "bzip2", "zstd", "cat", "pipe"])
def test_load_reads_compressed_standard_input(
    rl: Rl, image: Image, tmp_path: Path, pack: str
) -> None:
    data = docker_archive(image, ["packed:1", "packed:2"])
    archive = tmp_path / "a"
    if pack == "pipe":
        archive.write_bytes(data)
        with subprocess.Popen(["cat", archive], stdout=subprocess.PIPE) as pipe:
            lines = rl.out("load", stdin=pipe.stdout).splitlines()
    else:
        packed = subprocess.run([pack], input=data, stdout=subprocess.PIPE, check=True).stdout
        archive.write_bytes(packed)
        with open(archive) as stdin:
            lines = rl.out("load", stdin=stdin).splitlines()
    assert lines == ["Loaded image: packed:1", "Loaded image: packed:2"]
    assert rl.inspect("packed:1")["Id"] == image.id
    assert rl.out("run", "--rm", "--network", "none", "packed:2") == "loaded"
    rl.run("rmi", "packed:1", "packed:2")


@pytest.mark.parametrize("style", ["legacy", "linked"])
def test_old_docker_archives_are_loaded_and_can_be_pushed(
    rl: Rl, registry: Registry, image: Image, tmp_path: Path, style: str
) -> None:
    name = f"{registry.host}/save/old:{style}"
    (tmp_path / "a.tar").write_bytes(docker_archive(image, [name], style=style))
    rl.run("load", "-i", str(tmp_path / "a.tar"))
    rl.run("push", name)
    skopeo(
        "copy",
        "-q",
        "--insecure-policy",
        "--src-tls-verify=false",
        f"docker://{name}",
        f"dir:{tmp_path}/d",
    )
    rl.run("rmi", name)


def test_an_image_saved_by_id_has_no_name(rl: Rl, tmp_path: Path) -> None:
    image = rl.inspect("busybox")["Id"]
    rl.run("save", "-o", str(tmp_path / "a.tar"), image[7:19])
    assert rl.out("load", "-i", str(tmp_path / "a.tar")) == f"Loaded image ID: {image}"


def test_save_writes_to_standard_output_and_leaves_no_part(rl: Rl, tmp_path: Path) -> None:
    with open(tmp_path / "out", "wb") as out:
        subprocess.run(
            [shutil.which("rl") or "rl", "save", "busybox"],
            env=rl.environment(),
            stdout=out,
            check=True,
        )
    rl.run("save", "-o", str(tmp_path / "file"), "busybox")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "file").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["file", "out"]


@pytest.mark.parametrize(
    ("args", "status", "code"),
    [
        (("-o", "/nowhere/x", "busybox"), 1, "RL-SAVE-TARGET"),
        (("-o", "/dev/full", "busybox"), 1, "RL-SAVE-TARGET"),
        (("-o", "/dev/null", "nothing-here"), 1, "RL-IMAGE-NOT-FOUND"),
        (("--format", "zip", "busybox"), 125, "RL-USAGE"),
        (("--format", "oci-dir", "busybox"), 125, "RL-USAGE"),
        (("--platform", "linux/s390x", "busybox"), 1, "RL-IMAGE-PLATFORM"),
        (("-o", "/dev/null"), 125, "RL-USAGE"),
    ],
)
def test_what_cannot_be_saved(rl: Rl, args: tuple[str, ...], status: int, code: str) -> None:
    rl.fails("save", *args, status=status, code=code)


def test_load_chooses_the_platform(rl: Rl, tmp_path: Path) -> None:
    archives = [Image([tar({"arch": arch})], {}, arch) for arch in ("amd64", "arm64")]
    whole = io.BytesIO()
    entries = []
    with tarfile.open(fileobj=whole, mode="w") as target:

        def put(name: str, data: bytes) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            target.addfile(member, io.BytesIO(data))

        def blob(data: bytes) -> None:
            put(f"blobs/sha256/{digest(data)[7:]}", data)

        for one in archives:
            for _, layer in one.layer_blobs():
                blob(layer)
            blob(one.config_blob())
            blob(one.manifest())
            entries.append(
                {
                    "mediaType": one.media_type,
                    "digest": digest(one.manifest()),
                    "size": len(one.manifest()),
                    "platform": {"os": "linux", "architecture": one.architecture},
                }
            )
        inner = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
        blob(inner)
        outer = {
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "digest": digest(inner),
            "size": len(inner),
            "annotations": {"io.containerd.image.name": "docker.io/library/several:1"},
        }
        put("index.json", json.dumps({"schemaVersion": 2, "manifests": [outer]}).encode())
    archive = tmp_path / "several.tar"
    archive.write_bytes(whole.getvalue())
    for arch in ("arm64", "amd64"):
        rl.run("load", "-i", str(archive), "--platform", f"linux/{arch}")
        assert rl.inspect("several:1")["Architecture"] == arch
    rl.fails("load", "-i", str(archive), "--platform", "linux/s390x", status=1)
    for one in archives:
        rl.run("rmi", "-f", one.id)


def with_size(archive: bytes, field: bytes, kind: bytes = b"0") -> bytes:
    """The archive with another size, and kind, in its first header."""
    header = bytearray(archive[:512])
    header[124:136], header[156:157] = field, kind
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + archive[512:]


def broken(image: Image) -> dict[str, bytes]:
    """Archives that make no sense, by what is wrong with them."""
    good = docker_archive(image, ["bad:1"])
    other = Image([image.layers[0], tar({"note": "another"})])
    config = image.config_blob()
    wrong = tar(
        {
            "0": image.layers[0],
            "1": other.layers[1],
            "c": config,
            "manifest.json": json.dumps(
                [{"Config": "c", "RepoTags": ["bad:1"], "Layers": ["0", "1"]}]
            ),
        }
    )
    index = {
        "schemaVersion": 2,
        "manifests": [
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": digest(image.manifest()),
                "size": 3,
            }
        ],
    }
    blob = f"blobs/sha256/{digest(image.manifest())[7:]}"
    return {
        "empty": b"",
        "text": b"hello world\n" * 100,
        "cut": good[: len(good) // 2],
        "cut gzip": gzip.compress(good)[:-2000],
        "negative size": with_size(good, b"\xff" * 12),
        "huge size": with_size(good, b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7),
        "negative long name": with_size(good, b"\xff" * 10 + b"\0\0", b"L"),
        "no table": tar({"etc/passwd": "root"}),
        "another layer": wrong,
        "missing layer": docker_archive(image, ["bad:1"], Layers=["0/layer.tar", "nope"]),
        "too few layers": docker_archive(image, ["bad:1"], Layers=["0/layer.tar"]),
        "outside": docker_archive(image, ["bad:1"], Config="../../../../etc/passwd"),
        "bad name": docker_archive(image, ["Bad:Name"]),
        "names of another type": docker_archive(image, Layers=3),
        "not json": tar({"manifest.json": "{"}),
        "an object": tar({"manifest.json": "{}"}),
        "no entries": tar({"manifest.json": "[]"}),
        "loop": tar({"a": "-> b", "b": "-> a", "manifest.json": '[{"Config": "a", "Layers": []}]'}),
        "manifest missing": tar({"index.json": json.dumps(index)}),
        "manifest changed": tar({"index.json": json.dumps(index), blob: image.manifest() + b" "}),
        "index of nothing": tar({"index.json": '{"schemaVersion": 2, "manifests": []}'}),
        "index is a list": tar({"index.json": "[]"}),
    }


@pytest.mark.parametrize("what", list(broken(Image([tar({})] * 2))))
def test_a_broken_archive_loads_nothing(
    rl: Rl, image: Image, tmp_path: Path, what: str, no_leftovers: None
) -> None:
    archive = tmp_path / "bad.tar"
    archive.write_bytes(broken(image)[what])
    listing = ("images", "-a", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}")
    before = rl.out(*listing)
    rl.fails("load", "-i", str(archive), status=1)
    with subprocess.Popen(["cat", str(archive)], stdout=subprocess.PIPE) as pipe:
        rl.fails("load", stdin=pipe.stdout, status=1)
    assert rl.out(*listing) == before
    assert os.listdir(f"{rl.store}/tmp") == []


def test_load_of_a_file_that_is_not_there(rl: Rl) -> None:
    rl.fails("load", "-i", "/nowhere.tar", status=1, code="RL-LOAD-SOURCE")
