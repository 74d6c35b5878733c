"""manifest create, add, annotate, inspect, push, rm: with a real registry; skopeo looks."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.images import DOCKER_LIST, OCI_INDEX, Image, digest, tar
from support.program import Rl
from support.registry import Registry


def raw(reference: str) -> dict[str, Any]:
    """What the registry has under that name, as skopeo reads it."""
    done = subprocess.run(
        ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{reference}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture
def both(registry: Registry) -> tuple[str, str]:
    """The same program for two architectures, in one repository."""
    return (
        registry.push("many/app", Image([tar({"who": "amd64"})]), "amd64"),
        registry.push("many/app", Image([tar({"who": "arm64"})], architecture="arm64"), "arm64"),
    )


def test_a_list_of_remote_images_is_made_and_pushed_as_with_docker(
    rl: Rl, registry: Registry, both: tuple[str, str]
) -> None:
    name = f"{registry.host}/many/app:v1"
    assert rl.out("manifest", "create", name, *both) == f"Created manifest list {name}"
    assert rl.fails("manifest", "create", name, both[0], status=1, code="RL-MANIFEST-EXISTS")
    rl.run("manifest", "annotate", name, both[1], "--variant", "v8", "--os-features", "sse4,aes")
    shown = json.loads(rl.out("manifest", "inspect", name))
    assert [one["platform"]["architecture"] for one in shown["manifests"]] == ["amd64", "arm64"]
    assert shown["manifests"][1]["platform"]["os.features"] == ["sse4", "aes"]
    said = rl.out("manifest", "push", "--purge", name).splitlines()
    pushed = raw(name)
    assert pushed["mediaType"] == OCI_INDEX
    assert pushed["manifests"] == shown["manifests"]
    assert said[-1].startswith("sha256:") and len(said) == 3
    assert rl.run("manifest", "exists", name, check=False).returncode == 1
    # What a registry has is inspected there; every tool pulls its part of it.
    assert json.loads(rl.out("manifest", "inspect", name)) == pushed
    detailed = json.loads(rl.out("manifest", "inspect", "-v", name))
    assert [one["Descriptor"]["platform"]["architecture"] for one in detailed] == ["amd64", "arm64"]
    assert detailed[0]["OCIManifest"]["layers"]
    rl.run("pull", "-q", "--platform", "linux/arm64", name)
    assert rl.inspect(name)["Architecture"] == "arm64"
    rl.run("rmi", name)


def test_images_of_the_store_go_with_the_list(rl: Rl, registry: Registry) -> None:
    name = f"{registry.host}/many/local:1"
    rl.run("manifest", "create", "some/list")
    added = rl.out("manifest", "add", "some/list", "busybox", "--annotation", "who=me")
    assert added.startswith("sha256:")
    rl.run("manifest", "annotate", "--index", "--annotation", "all=yes", "some/list")
    member = json.loads(rl.out("manifest", "inspect", "some/list"))["manifests"][0]
    assert member["annotations"] == {"who": "me"}
    out = rl.out("manifest", "push", "--all", "--quiet", "some/list", f"docker://{name}")
    pushed = raw(name)
    assert out.startswith("sha256:")
    assert pushed["annotations"] == {"all": "yes"}
    inner = raw(f"{name.removesuffix(':1')}@{pushed['manifests'][0]['digest']}")
    assert inner["config"]["digest"] == rl.inspect("busybox")["Id"]
    assert "some/list" in rl.out("manifest", "ls", "--format", "{{.Name}}")
    rl.run("manifest", "remove", "some/list", member["digest"][7:19])
    assert json.loads(rl.out("manifest", "inspect", "some/list"))["manifests"] == []
    assert "Removed" in rl.out("manifest", "rm", "some/list")


def test_members_are_copied_between_repositories_and_registries(
    rl: Rl, registry: Registry, both: tuple[str, str]
) -> None:
    """A list of a list, attestations too; what is Docker's stays Docker's."""
    docker = Image([tar({"d": "1"})], docker=True)
    registry.push("many/docker", docker, "one")
    source = f"{registry.host}/many/docker:one"
    other = f"{registry.host}/other/place:v2"
    rl.run("manifest", "create", "--amend", other, f"docker://{source}")
    rl.run("manifest", "push", other)
    pushed = raw(other)
    assert pushed["mediaType"] == DOCKER_LIST
    assert pushed["manifests"][0]["digest"] == digest(docker.manifest())
    # The list itself, taken up again with all that it has, and amended by two more.
    rl.run("manifest", "rm", other)
    rl.run("manifest", "create", "again", f"docker://{other}", "--all")
    rl.run("manifest", "create", "again", "--amend", *both)
    rl.run("manifest", "push", "again", f"{registry.host}/other/again:3", "--format", "oci")
    kinds = [
        one["platform"]["architecture"]
        for one in raw(f"{registry.host}/other/again:3")["manifests"]
    ]
    assert kinds == ["amd64", "amd64", "arm64"]
    rl.run("pull", "-q", f"{registry.host}/other/again:3")
    rl.run("rmi", f"{registry.host}/other/again:3")
    rl.run("manifest", "rm", "again")


def test_wrong_uses_are_told(rl: Rl, registry: Registry, both: tuple[str, str]) -> None:
    rl.run("manifest", "create", "l", both[0])
    for words, code in (
        (("rm", "nothing/here"), "RL-MANIFEST-NOT-FOUND"),
        (("push", "nothing/here"), "RL-MANIFEST-NOT-FOUND"),
        (("annotate", "l", "sha256:" + "0" * 64, "--arch", "arm"), "RL-MANIFEST-MEMBER"),
        (("annotate", "l", both[0], "--arch", "amd46"), "RL-BAD-REFERENCE"),
        (("create", "m", "containers-storage:no/such"), "RL-IMAGE-NOT-FOUND"),
        (("create", "m", f"docker://{registry.host}/no/such"), "RL-REGISTRY-NOT-FOUND"),
        (("create", f"m@sha256:{'0' * 64}"), "RL-BAD-REFERENCE"),
        (("inspect", f"{registry.host}/no/such"), "RL-REGISTRY-NOT-FOUND"),
    ):
        rl.fails("manifest", *words, status=1, code=code)
    for words in (
        ("create",),
        ("annotate", "l", both[0]),
        ("annotate", "l"),
        ("annotate", "l", both[0], "--annotation", "x"),
        ("push", "l", "--format", "x"),
        ("push", "l", "--compression", "lz4"),
        ("create", "m", "oci:dir"),
        ("nonsense",),
    ):
        rl.fails("manifest", *words, code="RL-USAGE")
    rl.run("manifest", "rm", "l")
    assert rl.run("manifest", "exists", "l", check=False).returncode == 1


def test_prune_leaves_images_of_a_list_and_a_removed_one_is_told(
    rl: Rl, registry: Registry, tmp_path: Path
) -> None:
    (tmp_path / "note").write_text("listed")
    subprocess.run(["tar", "-cf", f"{tmp_path}/a.tar", "-C", f"{tmp_path}", "note"], check=True)
    image = rl.out("import", f"{tmp_path}/a.tar")
    rl.run("manifest", "create", "held", image)
    rl.run("image", "prune", "-f")
    rl.run("manifest", "push", "-q", "held", f"{registry.host}/many/held:1")
    rl.run("rmi", image)
    told = rl.fails("manifest", "push", "held", f"{registry.host}/many/held:2", status=1)
    assert "RL-MANIFEST-MEMBER" in told and "not here any more" in told
    rl.run("manifest", "rm", "held")
