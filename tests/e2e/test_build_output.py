"""What a build shows and where its result goes."""

import base64
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Callable
from typing import Any

import pytest
from support.builds import Project
from support.program import Rl, program
from support.registry import Registry

NONE = ["--network", "none"]


def test_several_tags_one_image(project: Project, rl: Rl) -> None:
    name = rl.name("tags")
    image = project.build("RUN true\n", "-t", name, "-t", f"{name}:two")
    assert rl.inspect(f"{name}:latest")["Id"] == rl.inspect(f"{name}:two")["Id"] == image
    other = project.build("RUN true\nENV A=1\n", "-t", name)
    assert other != image and rl.inspect(name)["Id"] == other
    rl.run("rmi", name, f"{name}:two")


def test_quiet_prints_the_id_alone(project: Project, rl: Rl) -> None:
    project.dockerfile("RUN echo noise\n")
    done = rl.run("build", "-q", *NONE, project.directory)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}\n", done.stdout) and done.stderr == ""
    project.dockerfile("RUN echo reason; exit 3\n")
    done = rl.run("build", "-q", *NONE, project.directory, status=1)
    assert done.stdout == "" and "reason" in done.stderr


def test_plain_progress_has_buildkits_lines(project: Project) -> None:
    project.dockerfile(f"ENV TEST={project.rl.name()}\nRUN echo hello\n")
    text = project.run().stderr
    number = re.search(r"^#(\d+) \[.*2/2\] RUN echo hello$", text, re.M)
    assert number, text
    assert re.search(rf"^#{number[1]} \d+\.\d+ hello$", text, re.M)
    assert re.search(rf"^#{number[1]} DONE \d+\.\ds$", text, re.M)
    assert re.search(rf"^#{number[1]} CACHED$", project.run().stderr, re.M)
    assert project.run().stdout == ""


def test_terminal_shows_steps_in_place(project: Project, rl: Rl) -> None:
    project.dockerfile(f"FROM busybox\nENV TEST={rl.name()}\nRUN echo hello; sleep 1\n")
    terminal = rl.pty("build", *NONE, project.directory)
    terminal.expect(r"\[\+\] Building")
    terminal.expect("=> => # hello")
    terminal.expect("FINISHED")
    assert terminal.wait() == 0
    terminal.close()


def test_iidfile_and_metadata_file(project: Project, rl: Rl, tmp_path: object) -> None:
    file = f"{tmp_path}/metadata.json"
    name = rl.name("meta")
    image = project.build("RUN true\n", "--metadata-file", file, "-t", name)
    with open(file) as metadata:
        found = json.load(metadata)
    assert found["containerimage.config.digest"] == image
    assert found["image.name"] == f"docker.io/library/{name}:latest"
    assert found["containerimage.digest"].startswith("sha256:")
    rl.run("rmi", name)


def test_failed_build_leaves_no_iidfile(project: Project, tmp_path: object) -> None:
    file = f"{tmp_path}/iid"
    project.dockerfile("RUN true\n").run("--iidfile", file)
    project.fails("RUN exit 1\n", "--iidfile", file)
    assert not os.path.exists(file)
    for words in (["--iidfile", "{}/no/iid"], ["-o", "type=oci,dest={}/no/oci"]):
        words = [word.format(tmp_path) for word in words]
        err = project.rl.fails("build", *words, project.directory)
        assert f"{tmp_path}/no is no directory" in err
    project.rl.fails("build", "-o", f"type=tar,dest={tmp_path}", project.directory)


def test_directory_and_tar_of_the_file_system(project: Project, rl: Rl, tmp_path: object) -> None:
    project.write({"a": "a"})
    text = "FROM busybox AS b\nRUN echo x >/f\nFROM scratch\nCOPY a /d/\nCOPY --from=b /f /\n"
    out = f"{tmp_path}/out"
    project.dockerfile(text).run("-o", out)
    assert sorted(os.listdir(out)) == ["d", "f"] and os.listdir(f"{out}/d") == ["a"]
    assert os.stat(f"{out}/f").st_uid == os.getuid()
    project.run("-o", f"type=tar,dest={out}.tar")
    with tarfile.open(f"{out}.tar") as tar:
        assert {"d/a", "f"} <= {name.removeprefix("./") for name in tar.getnames()}
    with open(f"{out}-2.tar", "wb") as file:
        subprocess.run(
            [program(), "build", "-o", "-", project.directory],
            env=rl.environment(), stdout=file, stderr=subprocess.DEVNULL, check=True,
        )  # fmt: skip
    with tarfile.open(f"{out}-2.tar") as tar:
        assert "f" in {name.removeprefix("./") for name in tar.getnames()}


@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_archive_of_the_image(project: Project, tmp_path: object, kind: str) -> None:
    file = f"{tmp_path}/image.tar"
    project.build("RUN echo x >/f\n")
    project.run("-o", f"type={kind},dest={file}", "-t", "archived:1")
    with tarfile.open(file) as tar:
        names = tar.getnames()
        index = json.load(tar.extractfile("index.json") or open(os.devnull))
        digest = index["manifests"][0]["digest"].replace(":", "/")
        manifest = json.load(tar.extractfile(f"blobs/{digest}") or open(os.devnull))
        for layer in manifest["layers"]:
            assert f"blobs/{layer['digest'].replace(':', '/')}" in names
        assert ("manifest.json" in names) == (kind == "docker")
    annotations = index["manifests"][0]["annotations"]
    assert annotations["io.containerd.image.name"] == "docker.io/library/archived:1"
    # It went to the archive, and only there.
    assert project.rl.out("images", "-q", "archived:1") == ""


@pytest.mark.needs("podman")
def test_podman_loads_the_archive(project: Project, podman: list[str], tmp_path: object) -> None:
    file = f"{tmp_path}/image.tar"
    project.build("RUN echo x >/f\n", "-o", f"type=docker,dest={file}", "-t", "loaded:1", "--load")
    done = subprocess.run([*podman, "load", "-i", file], capture_output=True, text=True)
    assert "loaded:1" in done.stdout, done.stderr


def test_squash_makes_one_layer_of_what_the_build_adds(project: Project) -> None:
    text = "RUN echo 1 >/1; echo x >/gone\nRUN echo 2 >/2; rm /gone\nENV A=1\n"
    image = project.build(text, "--squash")
    base = project.rl.inspect("busybox")["RootFS"]["Layers"]
    layers = project.rl.inspect(image)["RootFS"]["Layers"]
    assert layers[: len(base)] == base and len(layers) == len(base) + 1
    assert project.inside(image, "cat /1 /2; ls /gone 2>/dev/null; true").split() == ["1", "2"]


@pytest.mark.parametrize("words", [["image", "build"], ["builder", "build"], ["buildx", "build"]])
def test_dockers_other_names(project: Project, rl: Rl, words: list[str]) -> None:
    project.dockerfile("ENV A=1\n")
    assert "sha256:" in rl.out(*words, "-q", "--force-rm", "--provenance=false", project.directory)


@pytest.mark.parametrize("args", [["--cache-to", "type=s3,bucket=x"], ["--attest", "type=sbom"]])
def test_what_is_for_later_is_refused(project: Project, rl: Rl, args: list[str]) -> None:
    project.dockerfile("ENV A=1\n")
    rl.fails("build", *args, project.directory, code="RL-NOT-YET")


@pytest.mark.parametrize(
    "args",
    [
        ["--push", "-t", "{}"],
        ["-o", "type=registry,name={}"],
        ["-o", "type=image,push=true,name={}"],
    ],
)
def test_image_is_pushed_by_its_name(
    project: Project, registry: Registry, fresh_store: Callable[..., Rl], args: list[str]
) -> None:
    name = f"{registry.host}/build/pushed-{len(args[1])}:1"
    project.dockerfile("RUN echo pushed >/f\n")
    project.run(*[word.format(name) for word in args])
    other = fresh_store()
    assert other.out("run", "--rm", "--network", "none", name, "cat", "/f") == "pushed"


def test_push_without_a_name_is_an_error(project: Project, rl: Rl) -> None:
    project.dockerfile("ENV A=1\n")
    rl.fails("build", "--push", project.directory, code="RL-USAGE")


def _layout_manifest(directory: str) -> dict[str, Any]:
    def read(digest: str) -> dict[str, Any]:
        with open(f"{directory}/blobs/{digest.replace(':', '/')}") as file:
            return dict(json.load(file))

    with open(f"{directory}/index.json") as file:
        return read(json.load(file)["manifests"][0]["digest"])


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ("compression=uncompressed", "application/vnd.oci.image.layer.v1.tar"),
        ("compression=zstd,compression-level=19", "application/vnd.oci.image.layer.v1.tar+zstd"),
        ("oci-mediatypes=false", "application/vnd.docker.image.rootfs.diff.tar.gzip"),
    ],
)
def test_packing_and_annotations_of_an_output(
    project: Project, tmp_path: object, options: str, kind: str
) -> None:
    layout = f"{tmp_path}/layout"
    words = ["--annotation", "org.example.a=1", "--annotation", "manifest:org.example.B=2"]
    output = f"type=oci,tar=false,dest={layout},annotation.C=3,{options}"
    for _ in range(2):  # a directory that has an image already
        project.dockerfile("RUN echo a >/a\n").run(*words, "-o", output)
    manifest = _layout_manifest(layout)
    assert manifest["layers"][-1]["mediaType"] == kind
    docker = "docker" in kind
    assert manifest.get("annotations") == (
        None if docker else {"org.example.a": "1", "org.example.B": "2", "C": "3"}
    )
    assert ("docker" in manifest["mediaType"]) == docker


def test_layers_of_the_base_are_packed_anew_if_asked(
    project: Project, tmp_path: object, busybox_reference: str, rl: Rl
) -> None:
    project.dockerfile(f"FROM {busybox_reference}\nRUN echo a >/a\n")

    def kinds(options: str) -> list[str]:
        layout = f"{tmp_path}/{options}"
        project.run("-o", f"type=oci,tar=false,dest={layout},compression=zstd,{options}")
        layers = _layout_manifest(layout)["layers"]
        return [layer["mediaType"].rpartition("+")[2] for layer in layers]

    assert kinds("force-compression=false") == ["gzip", "zstd"]
    assert kinds("force-compression=true") == ["zstd", "zstd"]
    rl.run("rmi", "-f", busybox_reference)


def test_annotations_are_pushed(project: Project, registry: Registry, rl: Rl) -> None:
    name = f"{registry.host}/annotated/{rl.name()}"
    project.dockerfile("ENV A=1\n").run("-t", name)
    project.run("-t", name, "--push", "--annotation", "org.example.a=1")
    _, _, data = registry.request(
        "GET",
        f"/v2/{name.partition('/')[2]}/manifests/latest",
        headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
    )
    assert json.loads(data)["annotations"] == {"org.example.a": "1"}


def test_progress_as_json(project: Project) -> None:
    project.dockerfile("RUN echo out; echo err >&2\nRUN exit 3\n")
    done = project.run("--progress", "rawjson", status=1)
    messages = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    logs = [log for message in messages for log in message.get("logs", ())]
    vertexes = {v["digest"]: v for message in messages for v in message.get("vertexes", ())}
    steps = {v["name"]: v for v in vertexes.values()}
    first = next(v for name, v in steps.items() if "RUN echo" in name)
    said = {
        (log["stream"], base64.b64decode(log["data"]))
        for log in logs
        if log["vertex"] == first["digest"]
    }
    assert {(1, b"out\n"), (2, b"err\n")} <= said
    assert first["completed"] >= first["started"] and "error" not in first
    assert "exit code: 3" in next(v for name, v in steps.items() if "exit 3" in name)["error"]
