"""image prune: what goes, what stays."""

import json
from collections.abc import Callable

import pytest
from support.images import Image, tar
from support.program import Rl
from support.registry import Registry

FORCE = ("image", "prune", "-f")


@pytest.fixture
def own(fresh_store: Callable[..., Rl]) -> Rl:
    return fresh_store(busybox=True)


def names(rl: Rl) -> list[str]:
    return sorted(rl.out("images", "--format", "{{.Repository}}:{{.Tag}}").split())


def dangling(rl: Rl, registry: Registry, text: str, **labels: str) -> str:
    """Pulls an image and takes its name; its ID."""
    image = Image([tar({"file": 5000 * text})], {"Labels": labels})
    reference = registry.push(f"prune/{text}", image)
    rl.run("pull", reference)
    rl.run("untag", reference)
    return image.id


def test_only_nameless_images_go(own: Rl, registry: Registry) -> None:
    image = dangling(own, registry, "a")
    lines = own.out(*FORCE).splitlines()
    assert lines[0] == "Deleted Images:"
    assert f"deleted: {image}" in lines
    assert lines[-1].startswith("Total reclaimed space: ")
    assert not lines[-1].endswith(": 0B")
    assert names(own) == ["busybox:latest"]
    assert own.out(*FORCE) == "Total reclaimed space: 0B"


def test_all_takes_what_no_container_has(own: Rl, registry: Registry) -> None:
    image = dangling(own, registry, "b")
    own.run("run", "--network", "none", "--name", "keeper", "busybox", "true")
    own.run("tag", image, "named:1", "named:2")
    out = own.out(*FORCE, "-a")
    assert "untagged: named:1" in out and "untagged: named:2" in out
    assert f"deleted: {image}" in out
    assert names(own) == ["busybox:latest"]
    own.run("rm", "keeper")
    own.run(*FORCE, "--filter", "dangling=false")
    assert names(own) == []
    assert own.out("info", "--format", "{{.Images}}") == "0"


def test_filters(own: Rl, registry: Registry) -> None:
    one = dangling(own, registry, "c", kind="x")
    two = dangling(own, registry, "d", kind="y")
    assert own.out(*FORCE, "--filter", "until=2020-01-01") == "Total reclaimed space: 0B"
    assert own.out(*FORCE, "--filter", "label=other") == "Total reclaimed space: 0B"
    out = own.out(*FORCE, "--filter", "label=kind", "--filter", "label!=kind=y")
    assert one in out and two not in out
    assert two in own.out(*FORCE, "--filter", "until=1h")


def test_it_asks_first(own: Rl, registry: Registry) -> None:
    image = dangling(own, registry, "e")
    done = own.run("image", "prune", input="n\n", status=1)
    assert "remove all dangling images" in done.stdout and "RL-CANCELLED" in done.stderr
    own.fails("image", "prune", status=1, code="RL-CANCELLED")
    assert json.loads(own.out("image", "inspect", image))
    assert image in own.out("image", "prune", input="y\n")


@pytest.mark.parametrize("value", ["nothing=1", "dangling=perhaps", "until=tomorrow", "label"])
def test_bad_filters(rl: Rl, value: str) -> None:
    rl.fails(*FORCE, "--filter", value)


def test_it_is_a_command_of_its_group_alone(rl: Rl) -> None:
    assert "prune" in rl.out("image", "--help")
    assert "rl image prune" in rl.out("image", "prune", "--help")
    assert "image prune" not in rl.out("--help")
    rl.fails("prune", code="RL-USAGE")
