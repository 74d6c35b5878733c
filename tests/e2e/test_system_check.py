"""system check and its repairs, on a store that is damaged by hand; system prune."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.images import Image, busybox_tar, tar
from support.program import Rl
from support.registry import Registry

Made = tuple[Rl, str]


@pytest.fixture
def pulled(fresh_store: Callable[..., Rl], registry: Registry) -> Made:
    """A store of its own with an image of two layers, with their blobs."""
    rl = fresh_store()
    image = Image([busybox_tar(), tar({"note": "as it was", "other": "-> note"})])
    name = registry.push("checked/app", image)
    rl.run("pull", "-q", name)
    return rl, name


def damage(path: str) -> None:
    """Other content, of the same size."""
    with open(path, "r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(bytes([first[0] ^ 1]))


def layer_dirs(rl: Rl, name: str) -> list[str]:
    return [f"{rl.store}/layers/{one[7:]}" for one in rl.inspect(name)["RootFS"]["Layers"]]


def blob(rl: Rl, digest: str) -> str:
    return f"{rl.store}/blobs/sha256/{digest.removeprefix('sha256:')}"


def test_a_changed_file_is_found_and_its_layer_unpacked_again(pulled: Made) -> None:
    rl, name = pulled
    assert "the store is sound" in rl.out("system", "check")
    note = f"{layer_dirs(rl, name)[1]}/diff/note"
    os.chmod(note, 0o644)
    damage(note)
    done = rl.run("system", "check", status=1).stdout
    assert "/note is not what it was" in done and f"image {name} has it" in done
    # Records alone do not tell.
    assert "the store is sound" in rl.out("system", "check", "--quick")
    running = rl.start(image=name)
    held = rl.run("system", "check", "--repair", status=0).stdout
    assert "left as it is" in held and "runs on it" in held
    rl.run("rm", "-f", running)
    assert "unpacked again from its blob" in rl.out("system", "check", "--repair")
    assert Path(note).read_text() == "as it was"
    assert rl.out("run", "--rm", "--network", "none", name, "cat", "/note") == "as it was"
    assert "the store is sound" in rl.out("system", "check")


def test_what_is_lost_is_told_and_pulled_again(pulled: Made) -> None:
    rl, name = pulled
    record = json.loads(rl.out("inspect", name))[0]
    manifest = json.loads(Path(blob(rl, record["Descriptor"]["digest"])).read_bytes())
    container = rl.out("create", "--name", rl.name(), name, "true")
    damage(blob(rl, manifest["layers"][1]["digest"]))
    os.unlink(f"{layer_dirs(rl, name)[1]}/diff/note")
    found = rl.run("system", "check", status=1).stdout
    assert "its content is another" in found and "its size is another" in found
    done = rl.run("system", "check", "--repair", status=1).stdout
    assert re.search(r"still: image [0-9a-f]{12}: layer [0-9a-f]{12} missing; rl pull", done)
    assert "was made of it" in done
    assert rl.inspect(container)["State"]["Status"] == "created"  # never removed
    rl.fails("run", "--rm", "--network", "none", name, "true", code="RL-")
    rl.run("pull", "-q", name)
    assert "the store is sound" in rl.out("system", "check")
    assert rl.out("run", "--rm", "--network", "none", name, "cat", "/note") == "as it was"


def test_records_links_and_strays_are_put_right(pulled: Made) -> None:
    rl, name = pulled
    store = rl.store
    rl.run("tag", name, "second:1")
    rl.run("manifest", "create", "l", name)
    Path(f"{store}/index.json").write_text("{")
    Path(f"{store}/manifests/docker.io%2Flibrary%2Fl:latest.json").write_text("{}")
    os.symlink("../by-id/" + "0" * 64 + ".json", f"{store}/images/by-name/docker.io%2Fgone:1")
    os.mkdir(f"{store}/layers/no-layer")
    os.mkdir(f"{store}/tmp/killed")
    Path(f"{store}/blobs/sha256/stray").write_text("x")
    found = rl.run("system", "check", status=1).stdout
    for text in ("index.json", "manifest list", "docker.io/gone:1", "layers/no-layer",
                 "blobs/sha256/stray", "tmp: 1 "):  # fmt: skip
        assert text in found
    assert "all problems are put right" in rl.out("system", "check", "--repair")
    assert "the store is sound" in rl.out("system", "check")
    assert json.loads(Path(f"{store}/index.json").read_text())["manifests"]
    # A record that is no record: names and all, and the image comes back by a pull.
    identifier = rl.inspect(name)["Id"][7:]
    for text in ("{", "[]"):
        Path(f"{store}/images/by-id/{identifier}.json").write_text(text)
        assert "system check" in rl.fails("images", status=1, code="RL-STORE-CORRUPT")
    rl.run("system", "check", status=1)
    rl.run("system", "check", "--repair")
    assert rl.out("images", "-q") == ""
    rl.run("pull", "-q", name)
    assert "the store is sound" in rl.out("system", "check")


def test_a_damaged_config_and_a_built_layer(fresh_store: Callable[..., Rl], tmp_path: Path) -> None:
    rl = fresh_store(busybox=True)
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo built > /note\n")
    rl.run("build", "-q", "-t", "built:1", str(tmp_path))
    assert "the store is sound" in rl.out("system", "check")
    note = f"{layer_dirs(rl, 'built:1')[1]}/diff/note"
    os.chmod(note, 0o600)
    assert "its files have changed" in rl.run("system", "check", status=1).stdout
    done = rl.run("system", "check", "--repair", status=1).stdout
    assert "still: image" in done and "or build or load it again" in done
    rl.run("build", "-q", "-t", "built:1", str(tmp_path))
    rl.run("image", "prune", "-f")  # what was built before has no name now, and no layer
    assert "the store is sound" in rl.out("system", "check")
    damage(blob(rl, rl.inspect("built:1")["Id"]))
    assert "config missing" in rl.run("system", "check", "--repair", status=1).stdout
    rl.run("build", "-q", "-t", "built:1", str(tmp_path))
    assert "the store is sound" in rl.out("system", "check")


def test_prune_removes_what_nothing_uses(
    fresh_store: Callable[..., Rl], registry: Registry, tmp_path: Path
) -> None:
    rl = fresh_store(busybox=True)
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo one > /note\n")
    rl.run("build", "-q", "-t", "app:1", str(tmp_path))
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo two > /note\nLABEL keep=me\n")
    rl.run("build", "-q", "-t", "app:1", str(tmp_path))  # the first is nameless now
    stopped = rl.out("create", "-v", "/anonymous", "busybox")
    rl.run("volume", "create", "named")
    refused = rl.fails("system", "prune", input="n\n", status=1, code="RL-CANCELLED")
    assert "nothing is removed" in refused
    asked = rl.run("system", "prune", "-a", "--volumes", input="n\n", check=False).stdout
    for text in ("all stopped containers", "all anonymous volumes", "all build cache",
                 "all images without at least one container"):  # fmt: skip
        assert f"  - {text}" in asked
    kept = rl.out("system", "prune", "-f", "--filter", "label=nothing")
    assert kept == "Total reclaimed space: 0B"
    done = rl.out("system", "prune", "--volumes", input="y\n")
    assert f"Deleted Containers:\n{stopped}" in done and "Deleted Volumes:\n" in done
    assert "Deleted Images:\ndeleted: sha256:" in done
    assert re.search(r"Total reclaimed space: [1-9]", done)
    assert rl.out("volume", "ls", "-q") == "named"
    assert sorted(rl.out("images", "--format", "{{.Repository}}").split()) == ["app", "busybox"]
    rl.run("system", "prune", "-af", "--filter", "label!=keep")
    assert rl.out("images", "--format", "{{.Repository}}").split() == ["app"]
    held = rl.out("create", "app:1")
    rl.run("rm", held)
    assert "Deleted build cache objects" in rl.out("system", "prune", "-af")
    assert rl.out("images", "-q") == ""
    assert os.listdir(f"{rl.store}/layers") == []
    assert os.listdir(f"{rl.store}/blobs/sha256") == []
    part = Path(rl.store, "partial", "0" * 64)  # of a blob that a broken pull has left
    part.parent.mkdir(exist_ok=True)
    part.write_bytes(b"x" * 2000)
    assert rl.out("system", "prune", "-f") == "Total reclaimed space: 2kB"
    assert not part.exists()
    rl.fails("system", "prune", "--volumes", "--filter", "until=1h", code="RL-USAGE")
    rl.fails("system", "prune", "--filter", "dangling=true", code="RL-FILTER")
    assert "the store is sound" in rl.out("system", "check")
