"""Mirrors, other locations and short names of registries.conf, with a real registry."""

import os
from pathlib import Path

import pytest
from support.images import Image, digest, tar
from support.registry import Registry
from support.rogue import Rogue
from support.stores import make_context

from rootless.context import Context
from rootless.errors import ImageError, RegistryError
from rootless.registry.pull import list_tags, pull, pull_image
from rootless.store import image_changes, images

pytestmark = pytest.mark.needs("subids", "docker-registry")
IMAGE = Image([tar({"file": "1"})], {"Cmd": ["true"]})


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return make_context(str(tmp_path), {"CONTAINERS_REGISTRIES_CONF": f"{tmp_path}/conf"})


def write(ctx: Context, text: str) -> None:
    Path(ctx.environ["CONTAINERS_REGISTRIES_CONF"]).write_text(text)


def mirrored(*locations: str) -> str:
    mirrors = "".join(f'[[registry.mirror]]\nlocation = "{one}"\n' for one in locations)
    return f'[[registry]]\nprefix = "far.invalid"\nlocation = "127.0.0.1:1/far"\n{mirrors}'


def test_the_first_mirror_that_has_the_image_gives_it(ctx: Context, registry: Registry) -> None:
    """The first is away, the second lacks the image, the place itself is never asked."""
    registry.push("mirror/app", IMAGE)
    write(ctx, mirrored("127.0.0.1:1", f"{registry.host}/empty", f"{registry.host}/mirror"))
    pulled = pull_image(ctx, "far.invalid/app")
    assert pulled.record["names"] == ["far.invalid/app:latest"]
    assert pulled.record["repo_digests"] == [f"far.invalid/app@{digest(IMAGE.manifest())}"]


def test_the_place_itself_comes_last_and_all_failures_are_told(
    ctx: Context, registry: Registry
) -> None:
    registry.push("own/app", IMAGE)
    place = f'[[registry]]\nprefix = "far.invalid"\nlocation = "{registry.host}/own"\n'
    write(ctx, f'{place}[[registry.mirror]]\nlocation = "127.0.0.1:1/m"\n')
    assert pull(ctx, "far.invalid/app")["id"] == IMAGE.id
    assert list_tags(ctx, "far.invalid/app") == ["latest"]
    with pytest.raises(
        RegistryError, match=r"tried before: 127\.0\.0\.1:1/m/none: cannot"
    ) as caught:
        pull(ctx, "far.invalid/none")
    assert caught.value.code == "RL-REGISTRY-NOT-FOUND"


def test_a_mirror_that_lies_about_a_digest_is_passed_over(ctx: Context, registry: Registry) -> None:
    registry.push("mirror/app", IMAGE)
    liar = Rogue()
    try:
        liar.on("/v2/", lambda r: r.reply(200, Image([]).manifest()))
        write(ctx, mirrored(f"{liar.host}/x", f"{registry.host}/mirror"))
        record = pull(ctx, f"far.invalid/app@{digest(IMAGE.manifest())}")
        assert record["id"] == IMAGE.id
        assert liar.paths("manifests")
    finally:
        liar.close()


def test_an_alias_is_pulled_found_and_removed_by_its_short_name(
    ctx: Context, registry: Registry
) -> None:
    whole = registry.push("alias/app", IMAGE)
    write(ctx, f'[aliases]\nshorty = "{registry.host}/alias/app"\n')
    pulled = pull_image(ctx, "shorty")
    assert str(pulled.reference) == whole
    assert pulled.record["names"] == [whole]
    assert images.resolve(ctx.paths, "shorty")["id"] == IMAGE.id
    assert images.find(ctx.paths, "docker.io/library/shorty") is None
    assert images.find(ctx.paths, "shorty:other") is None
    # A name that the user gives goes before.
    other = pull(ctx, registry.push("alias/other", Image([])))
    image_changes.tag(ctx.paths, str(other["id"]), "docker.io/library/shorty:latest")
    assert images.resolve(ctx.paths, "shorty")["id"] == other["id"]
    image_changes.untag(ctx.paths, str(other["id"]), ["docker.io/library/shorty:latest"])
    assert image_changes.remove(ctx, "shorty")[0] == ("Untagged", whole)
    assert images.find(ctx.paths, "shorty") is None
    assert os.listdir(ctx.paths.images_by_short) == []
    with pytest.raises(ImageError):
        image_changes.remove(ctx, "shorty")


def test_a_short_name_is_searched_on_each_registry(ctx: Context, registry: Registry) -> None:
    whole = registry.push("ns/sought", IMAGE)
    registries = f'["127.0.0.1:1", "{registry.host}", "{registry.host}/ns"]'
    write(ctx, f"unqualified-search-registries = {registries}\n")
    assert pull(ctx, "sought")["names"] == [whole]
    with pytest.raises(RegistryError, match="tried before"):
        pull(ctx, "nowhere")
