"""Builds for several platforms at once."""

import json
import os
import struct
import tarfile

import pytest
from support.builds import Project
from support.images import Image, busybox_tar, tar
from support.program import Rl
from support.registry import Registry

BOTH = ["--platform", "linux/amd64,linux/arm64"]
TEXT = """
    FROM --platform=$BUILDPLATFORM busybox AS make
    ARG TARGETARCH
    RUN echo $TARGETARCH >/made
    FROM scratch
    COPY --from=make /made /made
"""


@pytest.fixture
def foreign(registry: Registry) -> str:
    """A base for amd64 and arm64, the latter with a shell that this host cannot execute."""
    elf = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, 0xB7, 1) + bytes(100)
    shell = tar({"bin": None, "bin/sh": elf}, mode=0o755)
    images = [Image([busybox_tar()]), Image([shell], architecture="arm64")]
    return registry.push_index("test/foreign", images)


def test_index_in_an_archive_and_pushed(
    project: Project, registry: Registry, rl: Rl, tmp_path: object
) -> None:
    project.dockerfile(TEXT)
    layout, name = f"{tmp_path}/layout", f"{registry.host}/several/{rl.name()}"
    done = project.run(*BOTH, "-t", name, "--push", "-o", f"type=oci,tar=false,dest={layout}")
    assert "[linux/arm64 make 2/2] RUN" in done.stderr

    def read(digest: str) -> dict[str, object]:
        with open(f"{layout}/blobs/{digest.replace(':', '/')}") as file:
            return dict(json.load(file))

    with open(f"{layout}/index.json") as file:
        top = json.load(file)["manifests"]
    assert len(top) == 1 and top[0]["annotations"]["io.containerd.image.name"] == f"{name}:latest"
    index = read(top[0]["digest"])
    _, _, data = registry.request(
        "GET",
        f"/v2/{name.partition('/')[2]}/manifests/latest",
        headers={"Accept": "application/vnd.oci.image.index.v1+json"},
    )
    for found in (index, json.loads(data)):
        platforms = [one["platform"]["architecture"] for one in found["manifests"]]  # type: ignore[index]
        assert platforms == ["amd64", "arm64"]
    for machine in ("amd64", "arm64"):
        rl.run("pull", "--platform", f"linux/{machine}", name)
        project.run("--platform", f"linux/{machine}", "-o", f"{tmp_path}/{machine}")
        with open(f"{tmp_path}/{machine}/made") as file:
            assert file.read() == f"{machine}\n"
    assert rl.inspect(name)["Architecture"] == "arm64"


def test_directory_for_each_platform_and_what_is_refused(
    project: Project, rl: Rl, tmp_path: object
) -> None:
    project.dockerfile(TEXT)
    project.run(*BOTH, "-o", f"{tmp_path}/out")
    assert sorted(os.listdir(f"{tmp_path}/out")) == ["linux_amd64", "linux_arm64"]
    refused = (["-t", "a"], ["-o", f"type=tar,dest={tmp_path}/x"], ["--load"])
    for words in (*refused, ["-o", f"{tmp_path}/y", "--cache-to", f"type=local,dest={tmp_path}/c"]):
        rl.fails("build", *BOTH, *words, project.directory, code="RL-BUILD-PLATFORMS")


def test_run_of_another_machines_program(project: Project, foreign: str, tmp_path: object) -> None:
    project.dockerfile(f"FROM {foreign}\nCOPY Dockerfile /\nCMD true\n")
    out = f"{tmp_path}/out.tar"
    project.run("--platform", "linux/arm64", "-o", f"type=tar,dest={out}")
    with tarfile.open(out) as archive:
        assert "Dockerfile" in [member.name.removeprefix("./") for member in archive]
    text = f"FROM {foreign}\nRUN echo\n"
    error = project.fails(text, "--platform", "linux/arm64", code="RL-BUILD-EMULATION")
    assert "Dockerfile:2" in error and "linux/arm64" in error
