"""Pull from a real registry: what ends up in the store, also when things go wrong midway."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.images import Image, digest, tar
from support.registry import Registry
from support.stores import make_context
from support.traces import entries, wait_until

from rootless.cli.actions import pull as pull_action
from rootless.cli.actions import rmi as rmi_action
from rootless.context import Context
from rootless.errors import ImageError, UsageError
from rootless.registry.pull import pull, pull_image
from rootless.store import atomic, blobs, image_changes, images

ROOT = str(Path(__file__).parents[2])
pytestmark = pytest.mark.needs("subids", "docker-registry")


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return make_context(str(tmp_path))


def some_image(**fields: Any) -> Image:
    base = tar({"etc": None, "etc/name": "base", "bin": None, "bin/sh": b"#!x"})
    top = tar({"etc/name": "top", "home/ann/file": "hers"}, uid=1000)
    config = {"Cmd": ["sh"], "Env": ["A=1"], "Labels": {"a": "b"}}
    return Image([base, top], config, **fields)


def layer_file(ctx: Context, image: Image, layer: int, path: str) -> str:
    return f"{ctx.paths.layer_diff(digest(image.layers[layer]))}/{path}"


def consistent(ctx: Context) -> None:
    """Whatever is in the store is whole."""
    for name in os.listdir(ctx.paths.blobs):
        blobs.read(ctx.paths, f"sha256:{name}")
    for record in images.list_images(ctx.paths):
        layers: Any = record["layers"]
        for layer in layers:
            assert os.path.exists(f"{ctx.paths.layer(layer)}/meta.json")
    for name in images.names(ctx.paths):
        assert images.resolve(ctx.paths, name)


@pytest.mark.parametrize(
    "fields",
    [
        {"compression": "gzip"},
        {"compression": "zstd"},
        {"compression": ""},
        {"docker": True},
    ],
    ids=["oci-gzip", "oci-zstd", "oci-tar", "schema2"],
)
def test_image_of_each_kind_is_pulled(
    ctx: Context, registry: Registry, fields: dict[str, Any]
) -> None:
    image = some_image(**fields)
    reference = registry.push("kinds/app", image)
    record = pull(ctx, reference)
    assert record["id"] == image.id
    assert record["digest"] == digest(image.manifest())
    assert record["media_type"] == image.media_type
    assert record["names"] == [reference]
    assert record["repo_digests"] == [f"{registry.host}/kinds/app@{digest(image.manifest())}"]
    assert record["platform"] == {"os": "linux", "architecture": "amd64", "variant": ""}
    assert record["layers"] == [digest(layer) for layer in image.layers]
    assert record["config"] == image.config
    assert images.resolve(ctx.paths, reference) == record
    assert Path(layer_file(ctx, image, 0, "etc/name")).read_text() == "base"
    assert os.lstat(layer_file(ctx, image, 1, "home/ann/file")).st_uid != os.getuid()
    assert os.listdir(ctx.paths.tmp) == []
    consistent(ctx)


@pytest.mark.parametrize("docker", [False, True])
def test_index_gives_the_image_of_this_platform_or_the_one_asked_for(
    ctx: Context, registry: Registry, docker: bool
) -> None:
    here = some_image(docker=docker)
    there = Image([tar({"arm": "64"})], architecture="arm64", docker=docker)
    reference = registry.push_index(f"index/app{docker:d}", [there, here], docker=docker)
    first = pull_image(ctx, reference)
    assert first.record["id"] == here.id
    assert first.digest != first.record["digest"]
    assert first.record["repo_digests"] == [f"{reference.rpartition(':')[0]}@{first.digest}"]
    other = pull(ctx, reference, platform="linux/arm64/v8")
    assert other["id"] == there.id
    assert images.resolve(ctx.paths, reference)["id"] == there.id
    assert images.resolve(ctx.paths, here.id)["names"] == []


def test_platform_that_a_single_image_is_not_made_for_is_refused(
    ctx: Context, registry: Registry
) -> None:
    reference = registry.push("single/app", some_image())
    with pytest.raises(ImageError) as caught:
        pull(ctx, reference, platform="linux/s390x")
    assert caught.value.code == "RL-IMAGE-PLATFORM"


def test_pull_by_digest_has_no_name_and_is_found_by_digest(
    ctx: Context, registry: Registry
) -> None:
    image = some_image()
    registry.push("bydigest/app", image)
    reference = f"{registry.host}/bydigest/app@{digest(image.manifest())}"
    record = pull(ctx, reference)
    assert record["names"] == []
    assert images.resolve(ctx.paths, reference)["id"] == image.id


def test_second_pull_fetches_no_layer(ctx: Context, registry: Registry) -> None:
    reference = registry.push("twice/app", some_image())
    phases: list[str] = []
    assert pull_image(ctx, reference).changed
    again = pull_image(ctx, reference, progress=lambda _, phase, *__: phases.append(phase))
    assert not again.changed
    assert "downloading" not in phases
    assert phases.count("exists") == 2


def test_progress_goes_through_its_phases(ctx: Context, registry: Registry) -> None:
    image = Image([tar({"file": os.urandom(400_000)})])
    reference = registry.push("progress/app", image)
    events: list[tuple[str, str, int, int]] = []
    pull(ctx, reference, progress=lambda *event: events.append(event))
    assert events[0] == ("", reference, 0, 0)
    size = len(image.layer_blobs()[0][1])
    phases = list(dict.fromkeys(phase for _, phase, _, _ in events[1:]))
    assert phases == ["waiting", "downloading", "verifying", "extracting", "done"]
    assert events[-1] == (digest(image.layer_blobs()[0][1])[7:19], "done", size, size)
    assert all(done <= total == size for _, _, done, total in events[1:])


def test_image_without_layers_and_with_the_same_layer_twice(
    ctx: Context, registry: Registry
) -> None:
    assert pull(ctx, registry.push("none/app", Image([])))["size"] == 0
    layer = tar({"file": "12345"})
    once = pull(ctx, registry.push("once/app", Image([layer])))
    twice = pull(ctx, registry.push("double/app", Image([layer, layer])))
    assert int(str(twice["size"])) == 2 * int(str(once["size"])) > 0


def test_moved_tag_leaves_the_old_image_without_a_name(ctx: Context, registry: Registry) -> None:
    reference = registry.push("moved/app", some_image())
    first = pull(ctx, reference)
    registry.push("moved/app", Image([tar({"new": "1"})]))
    second = pull_image(ctx, reference)
    assert second.changed
    assert images.resolve(ctx.paths, str(first["id"]))["names"] == []
    assert images.names(ctx.paths) == [reference]


def test_blob_that_was_damaged_on_disk_is_fetched_again(ctx: Context, registry: Registry) -> None:
    image = some_image()
    reference = registry.push("damaged/app", image)
    pull(ctx, reference)
    layer, blob = digest(image.layers[0]), digest(image.layer_blobs()[0][1])
    path = Path(ctx.paths.blob(blob))
    path.write_bytes(b"\0" * path.stat().st_size)
    os.rename(ctx.paths.layer(layer), f"{ctx.paths.tmp}/gone")
    pull(ctx, reference)
    consistent(ctx)


@pytest.mark.parametrize("docker", [False, True])
def test_skopeo_reads_the_store(ctx: Context, registry: Registry, docker: bool) -> None:
    if not os.path.exists("/usr/bin/skopeo"):
        pytest.skip("skopeo is not installed")
    image = some_image(docker=docker)
    reference = registry.push(f"skopeo/app{docker:d}", image)
    pull(ctx, reference)
    target = f"dir:{ctx.home}/copy"
    argv = ["skopeo", "copy", "--insecure-policy", f"oci:{ctx.paths.store}:{reference}", target]
    done = subprocess.run(argv, capture_output=True, text=True, env={"HOME": ctx.home}, timeout=60)
    assert done.returncode == 0, done.stderr


def test_rmi_removes_files_of_subordinate_ids(
    ctx: Context, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    image = some_image()
    reference = registry.push("rmi/app", image)
    pull(ctx, reference)
    assert rmi_action.main(ctx, {"images": [reference], "force": False}) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Untagged: {reference}"
    assert lines[1] == f"Untagged: {registry.host}/rmi/app@{digest(image.manifest())}"
    assert lines[2] == f"Deleted: {image.id}"
    assert len(lines) == 5
    for directory in (ctx.paths.layers, ctx.paths.blobs, ctx.paths.tmp):
        assert os.listdir(directory) == []


def test_rmi_goes_on_after_a_failure(
    ctx: Context, registry: Registry, capfd: pytest.CaptureFixture[str]
) -> None:
    reference = registry.push("rmi/other", some_image())
    pull(ctx, reference)
    assert rmi_action.main(ctx, {"images": ["nothing", reference], "force": False}) == 1
    captured = capfd.readouterr()
    assert "No such image: nothing:latest" in captured.err
    assert f"Untagged: {reference}" in captured.out


def test_rmi_with_force_forgives_a_missing_image(
    ctx: Context, capfd: pytest.CaptureFixture[str]
) -> None:
    assert rmi_action.main(ctx, {"images": ["nothing"], "force": True}) == 0
    assert "No such image" in capfd.readouterr().err


def test_rmi_without_pruning_keeps_the_layers(
    ctx: Context, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = registry.push("rmi/kept", some_image())
    pull(ctx, reference)
    assert rmi_action.main(ctx, {"images": [reference], "no_prune": True}) == 0
    assert len(os.listdir(ctx.paths.layers)) == 2
    assert len(capsys.readouterr().out.splitlines()) == 3


def pull_values(*references: str, **values: object) -> dict[str, object]:
    return {
        "references": list(references), "all_tags": False, "platform": None, "quiet": False,
        "tls_verify": True, **values,
    }  # fmt: skip


def test_pull_says_what_docker_says(
    ctx: Context, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    image = some_image()
    registry.push("words/app", image)
    name = f"{registry.host}/words/app"
    assert pull_action.main(ctx, pull_values(name)) == 0
    lines = capsys.readouterr().out.splitlines()
    layers = sorted(f"{digest(blob)[7:19]}: Pull complete" for _, blob in image.layer_blobs())
    assert lines[:2] == ["Using default tag: latest", "latest: Pulling from words/app"]
    assert sorted(lines[2:4]) == layers
    assert lines[4:] == [
        f"Digest: {digest(image.manifest())}",
        f"Status: Downloaded newer image for {name}:latest",
        f"{name}:latest",
    ]
    pull_action.main(ctx, pull_values(f"{name}:latest"))
    assert f"Status: Image is up to date for {name}:latest" in capsys.readouterr().out
    pull_action.main(ctx, pull_values(name, quiet=True))
    assert capsys.readouterr().out == f"{name}:latest\n"


def test_pull_of_all_tags(
    ctx: Context, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    name = registry.push("tags/app", some_image(), "one").rpartition(":")[0]
    registry.push("tags/app", some_image(), "two")
    assert pull_action.main(ctx, pull_values(name, all_tags=True)) == 0
    assert images.names(ctx.paths) == [f"{name}:one", f"{name}:two"]
    with pytest.raises(UsageError):
        pull_action.main(ctx, pull_values(f"{name}:one", all_tags=True))
    capsys.readouterr()


def test_pull_of_several_goes_on_after_a_failure(
    ctx: Context, registry: Registry, capfd: pytest.CaptureFixture[str]
) -> None:
    good = registry.push("several/app", some_image(), "1")
    bad = f"{registry.host}/several/none:1"
    assert pull_action.main(ctx, pull_values(bad, good, quiet=True)) == 1
    shown = capfd.readouterr()
    assert shown.out == f"{good}\n"
    assert "RL-REGISTRY-NOT-FOUND" in shown.err


def test_pull_shows_a_bar_on_a_terminal(ctx: Context, registry: Registry) -> None:
    import pty

    reference = registry.push("bars/app", some_image())
    master, slave = pty.openpty()
    with start(ctx, reference, stdout=slave, action=True) as child:
        os.close(slave)
        shown = b""
        try:
            while data := os.read(master, 65536):
                shown += data
        except OSError:
            pass  # EIO: the other side is closed
        assert child.wait(60) == 0
    os.close(master)
    text = shown.decode()
    assert "Pull complete" in text
    assert "latest: Pulling from bars/app" in text
    assert f"Downloaded newer image for {reference}" in text


def start(
    ctx: Context, reference: str, *, stdout: int | None = None, action: bool = False
) -> "subprocess.Popen[bytes]":
    """Another process that pulls into the same store."""
    call = (
        f"action.main(ctx, {pull_values(reference)!r})" if action else f"pull(ctx, {reference!r})"
    )
    code = (
        f"import sys; sys.path[:0] = [{ROOT!r}, {ROOT + '/tests'!r}]\n"
        "from support.stores import make_context\n"
        "from rootless.cli.actions import pull as action\n"
        "from rootless.registry.pull import pull\n"
        f"ctx = make_context({os.path.dirname(ctx.paths.store)!r})\n{call}\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=stdout,
        env={"PATH": os.environ["PATH"], "TERM": "xterm", "HOME": ctx.home, "COLUMNS": "120"},
        start_new_session=True,
    )


def test_pulls_of_one_image_at_once_all_succeed(ctx: Context, registry: Registry) -> None:
    image = Image([tar({f"f{n}": os.urandom(200_000)}) for n in range(4)])
    reference = registry.push("atonce/app", image)
    children = [start(ctx, reference) for _ in range(3)]
    assert [child.wait(120) for child in children] == [0, 0, 0]
    assert len(os.listdir(ctx.paths.images_by_id)) == 1
    assert os.listdir(ctx.paths.tmp) == []
    consistent(ctx)


def test_rmi_beside_pulls_never_breaks_an_image(ctx: Context, registry: Registry) -> None:
    reference = registry.push("race/app", some_image())
    other = registry.push("race/other", Image([some_image().layers[0]]))
    for _ in range(3):
        pull(ctx, other)
        child = start(ctx, reference)
        while child.poll() is None:
            if images.find(ctx.paths, other):
                image_changes.remove(ctx, other)
            image_changes.collect(ctx)
        assert child.returncode == 0
        consistent(ctx)
        assert images.find(ctx.paths, reference)
        image_changes.remove(ctx, reference)


def test_pull_killed_at_any_moment_leaves_a_usable_store(ctx: Context, registry: Registry) -> None:
    image = Image([tar({f"f{n}": os.urandom(300_000)}, uid=7) for n in range(3)])
    reference = registry.push("killed/app", image)
    paths = ctx.paths
    moments: list[Callable[[], object]] = [
        lambda: entries(paths.tmp),
        lambda: entries(paths.blobs),
        lambda: entries(paths.partials),
        lambda: len(entries(paths.partials)) > 1,
        lambda: any(os.path.exists(f"{paths.tmp}/{one}/layer/diff") for one in entries(paths.tmp)),
        lambda: entries(paths.layers),
        lambda: len(entries(paths.layers)) == 3,
        lambda: entries(paths.images_by_id),
    ]
    for moment in moments:
        child = start(ctx, reference)
        wait_until(lambda: moment() or child.poll() is not None, 60)  # noqa: B023
        if child.poll() is None:
            os.kill(child.pid, signal.SIGKILL)  # it alone: its workers must end by themselves
        child.wait()
        consistent(ctx)
        if images.find(paths, reference):
            image_changes.remove(ctx, reference)
    pull(ctx, reference)

    def is_swept() -> bool:
        atomic.sweep(ctx)
        return not os.listdir(paths.tmp)

    wait_until(is_swept)
    consistent(ctx)
    image_changes.remove(ctx, reference)
    assert os.listdir(paths.layers) == []
    assert os.listdir(paths.blobs) == []


def test_index_json_is_what_the_image_spec_wants(ctx: Context, registry: Registry) -> None:
    image = some_image(docker=True)
    reference = registry.push("layout/app", image)
    record = pull(ctx, reference)
    with open(ctx.paths.oci_index) as file:
        entry = json.load(file)["manifests"][0]
    assert entry["digest"] == record["oci_digest"] != record["digest"]
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": reference}
    assert entry["size"] == len(blobs.read(ctx.paths, entry["digest"]))
