"""One image by two names, each with a manifest of its own: every name goes out as it came."""

import io
import tarfile
from pathlib import Path

import pytest
from support.images import Image, digest, tar
from support.registry import Registry

from rootless.cli.actions import images as images_action
from rootless.cli.actions import save, tag
from rootless.context import Context
from rootless.layer import image_load
from rootless.layer.export import Packing
from rootless.registry.pull import pull_image
from rootless.registry.push import push_image
from rootless.store import check, image_changes, image_manifests, images

pytestmark = pytest.mark.needs("subids", "docker-registry")
LAYER = tar({"file": b"content" * 1000})


def both(ctx: Context, registry: Registry) -> dict[str, str]:
    """The same image in gzip and in zstd: name -> its manifest's digest."""
    found = {}
    for kind in ("gzip", "zstd"):
        image = Image([LAYER], {"Cmd": ["x"]}, compression=kind)
        name = registry.push("names/app", image, kind)
        assert pull_image(ctx, name).digest == digest(image.manifest())
        found[name] = digest(image.manifest())
    assert len(set(found.values())) == 2
    assert len(images.list_images(ctx.paths)) == 1
    return found


def pushed(ctx: Context, name: str) -> str:
    return push_image(ctx, name, how=Packing()).digest


def test_each_is_pushed_as_it_was_pulled(ctx: Context, registry: Registry) -> None:
    names = both(ctx, registry)
    for name, wanted in names.items():
        target = name.replace("names/app", "names/other")
        tag.main(ctx, {"source": name, "targets": [target]})
        assert pushed(ctx, target) == wanted
        assert pushed(ctx, name) == wanted
    image_changes.collect(ctx)
    for name, wanted in reversed(names.items()):
        assert pushed(ctx, name) == wanted
    assert check.check(ctx) == []


def test_images_shows_each_tag_with_each_digest_of_its_repository(
    ctx: Context, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    """As docker/cli does; and a repository of which there is a digest alone."""
    names = both(ctx, registry)
    gzip, _ = names
    repository = gzip.rpartition(":")[0]
    tag.main(ctx, {"source": gzip, "targets": ["other:1"]})
    flags = dict.fromkeys(("reference", "no_trunc", "tree", "quiet", "all"), None)
    form = "{{.Repository}} {{.Tag}} {{.Digest}}"
    images_action.main(ctx, {**flags, "filter": [], "digests": True, "format": form})
    shown = sorted(capsys.readouterr().out.split("\n")[:-1])
    assert shown == sorted(
        [f"{repository} {kind} {one}" for kind in ("gzip", "zstd") for one in names.values()]
        + ["other 1 <none>"]
    )
    image_changes.untag(ctx.paths, str(images.resolve(ctx.paths, gzip)["id"]), list(names))
    images_action.main(ctx, {**flags, "filter": [], "digests": False, "format": form[:24]})
    assert sorted(capsys.readouterr().out.split("\n")[:-1]) == [f"{repository} <none>", "other 1"]


def test_pulled_again_changes_nothing(ctx: Context, registry: Registry) -> None:
    names = both(ctx, registry)
    for _ in range(2):
        for name in names:
            assert not pull_image(ctx, name).changed
    assert {name: pushed(ctx, name) for name in names} == names


def test_what_no_name_has_is_collected(ctx: Context, registry: Registry) -> None:
    names = both(ctx, registry)
    gzip, zstd = names
    blobs = image_manifests.digests(images.resolve(ctx.paths, gzip))
    image_changes.remove(ctx, gzip)
    image_changes.collect(ctx)
    left = image_manifests.digests(images.resolve(ctx.paths, zstd))
    assert names[gzip] not in left < blobs
    assert set(image_changes.sizes(ctx.paths)) == left | {digest(LAYER)}
    assert pushed(ctx, zstd) == names[zstd]
    # The other way round: the name that came last goes.
    pull_image(ctx, gzip)
    image_changes.untag(ctx.paths, str(images.resolve(ctx.paths, gzip)["id"]), [gzip])
    image_changes.collect(ctx)
    assert pushed(ctx, zstd) == names[zstd]


def test_a_name_that_moves_takes_its_manifest_along(ctx: Context, registry: Registry) -> None:
    names = both(ctx, registry)
    _, zstd = names
    other = registry.push("names/app", Image([LAYER], {"Cmd": ["y"]}), "gzip")
    assert pull_image(ctx, other).changed
    record = images.resolve(ctx.paths, zstd)
    assert image_manifests.others(record) == {}
    assert record["names"] == [zstd]


def test_saved_and_loaded_each_keeps_its_own(
    ctx: Context, registry: Registry, tmp_path: Path
) -> None:
    names = both(ctx, registry)
    file = f"{tmp_path}/images.tar"
    values = {"output": file, "format": "", "images": list(names), "platform": ""}
    save.main(ctx, values)
    with tarfile.open(file) as archive:
        listed = {member.name.removeprefix("blobs/sha256/") for member in archive}
    assert {one[7:] for one in names.values()} <= listed
    for name in names:
        image_changes.remove(ctx, name)
    assert images.list_images(ctx.paths) == []
    with open(file, "rb") as archive_file:
        image_load.load(ctx, io.BytesIO(archive_file.read()), what="it")
    assert {name: pushed(ctx, name) for name in names} == names
