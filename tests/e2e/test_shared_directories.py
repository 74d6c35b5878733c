"""Another ordinary store of the same user as a shared one: its layers are used where they are."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.builds import Project
from support.needs import SEARCH_PATH
from support.program import Rl
from support.registry import Registry

pytestmark = pytest.mark.needs("subids", "overlay", "fuse-overlayfs")

DOCKERFILE = """
    RUN mkdir /d /old && echo lower > /d/lower && echo x > /gone && echo x > /old/hidden
    COPY --chown=33:34 --chmod=600 secret /secret
    RUN rm /gone && rm -r /old && mkdir /old && echo new > /old/new
    CMD ["cat", "/d/lower"]
"""
LOOK = "stat -c %u:%g:%a /secret; cat /secret /d/lower /old/new; ls /old; test -e /gone || echo no"
SEEN = ["33:34:600", "42", "lower", "new", "new", "no"]


@pytest.fixture
def other(fresh_store: Callable[..., Rl], tmp_path: Path) -> Rl:
    """The same user's rl with its store elsewhere, which has busybox and lesson:1."""
    rl = fresh_store()
    rl.run("bootstrap", "busybox", "-t", "busybox:latest", timeout=170)
    Project(rl, f"{tmp_path}/made").write({"secret": "42\n"}).build(DOCKERFILE, "-t", "lesson:1")
    return rl


@pytest.fixture
def rl(other: Rl, fresh_store: Callable[..., Rl]) -> Rl:
    """Has nothing but the way to the other store."""
    mine = fresh_store()
    mine.env["RL_IMAGE_STORES"] = other.store
    return mine


def shell(rl: Rl, command: str, *options: str, image: str = "lesson:1") -> str:
    return rl.out("run", "--rm", "--network", "none", *options, image, "sh", "-c", command)


def state(store: str) -> list[tuple[str, int, int, int]]:
    """Every entry of a store that its owner can list: path, time, mode, size."""
    return sorted(
        (path, one.st_mtime_ns, one.st_mode, one.st_size)
        for top, directories, files in os.walk(store)
        for path in [f"{top}/{name}" for name in directories + files]
        for one in [os.lstat(path)]
    )


def test_its_images_are_used_where_they_are(
    rl: Rl, other: Rl, registry: Registry, tmp_path: Path
) -> None:
    before = state(other.store)
    said = rl.run("run", "--rm", "--network", "none", "lesson:1")
    assert (said.stdout, said.stderr) == ("lower\n", "")
    adopted = list(Path(f"{rl.store}/layers").iterdir())
    assert len(adopted) == 4
    for layer in adopted:
        assert os.readlink(f"{layer}/diff") == f"{other.store}/layers/{layer.name}/diff"
    listed = rl.out("images", "--format", "{{.Repository}}:{{.Tag}} {{.ReadOnly}}")
    assert sorted(listed.splitlines()) == ["busybox:latest true", "lesson:1 true"]
    for driver in ("overlay", "fuse-overlayfs", "copy"):
        assert shell(rl, LOOK, "--storage-driver", driver).split() == SEEN, driver
        assert shell(rl, "echo 7 >> /secret; cat /secret", "--storage-driver", driver) == "42\n7"
    kept = shell(rl, "id -u; stat -c %u:%g /secret /bin", "--userns", "keep-id", "-u", "0")
    assert kept.split() == ["0", "33:34", "0:0"]
    assert shell(rl, "cat /i/old/new", "--mount", "type=image,src=lesson:1,dst=/i",
                 image="busybox") == "new"  # fmt: skip

    project = Project(rl, f"{tmp_path}/context").write({"file": "f\n"})
    project.build(
        """
        FROM lesson:1 AS base
        WORKDIR /d/work
        RUN cat /d/lower /secret && rm /d/lower && test ! -e /gone
        COPY file /old/
        FROM busybox
        COPY --from=base /old /copied
        COPY --from=lesson:1 / /all/
        RUN cat /all/secret /copied/new /copied/file && test ! -e /copied/hidden
        """,
        "-t",
        "made",
    )
    assert shell(rl, "cat /all/d/lower /copied/file; stat -c %u /all/secret", image="made") == (
        "lower\nf\n33"
    )
    project.build("FROM lesson:1\nRUN rm /d/lower\n", "--squash", "-t", "squashed")
    assert shell(rl, "ls -A /d; ls /old", image="squashed") == "new"

    rl.run("run", "--name", "one", "--network", "none", "lesson:1", "sh", "-c", "echo 1 > /d/mine")
    assert rl.out("diff", "one").splitlines() == ["C /d", "A /d/mine"]
    rl.run("commit", "one", "committed")
    assert shell(rl, "cat /d/*", image="committed") == "lower\n1"
    rl.run("rm", "one")

    digests = []
    for one in (other, rl):
        to = f"{registry.host}/test/linked:{len(digests)}"
        one.run("tag", "lesson:1", to)
        digests.append(one.out("push", "-q", to))
        digests.append(json.loads(one.out("image", "inspect", to))[0]["RepoDigests"][0])
        one.run("rmi", to)
    assert digests[1] == digests[3]
    rl.run("save", "-o", f"{tmp_path}/a.tar", "committed")
    assert rl.out("image", "diff", "busybox", "lesson:1") == other.out(
        "image", "diff", "busybox", "lesson:1"
    )
    assert rl.out("image", "mount", "lesson:1", "cat", "old/new") == "new"
    assert rl.run("system", "check").stdout.count("\n") == 1

    rl.fails("rmi", "lesson:1", status=1, code="RL-IMAGE-SHARED")
    image = json.loads(rl.out("image", "inspect", "lesson:1"))[0]["Id"]
    rl.run("rmi", "made", "squashed", "committed")
    rl.run("builder", "prune", "-a", "-f")
    rl.run("image", "prune", "-a", "-f")
    rl.run("rmi", "-f", image, check=False)
    assert list(Path(f"{rl.store}/layers").iterdir()) == []
    # What the owner did there has changed names and the like; the layers are as they were.
    assert [one for one in state(other.store) if "/layers/" in one[0]] == [
        one for one in before if "/layers/" in one[0]
    ]
    other.run("system", "check")
    assert shell(other, LOOK).split() == SEEN


def test_nothing_is_written_there(rl: Rl, other: Rl) -> None:
    before = state(other.store)
    rl.run("tag", "lesson:1", "mine")
    rl.run("rmi", "mine")
    shell(rl, "rm -r /d /old && echo 1 > /secret")
    shell(rl, "true", "--userns", "keep-id")
    rl.run("system", "check")
    rl.run("system", "prune", "-a", "-f")
    assert list(Path(f"{rl.store}/layers").iterdir()) == []
    assert state(other.store) == before


def test_an_image_that_is_removed_there_is_an_error_here(rl: Rl, other: Rl) -> None:
    rl.run("tag", "lesson:1", "mine")
    rl.run("create", "--name", "one", "--network", "none", "lesson:1")
    meta = next(Path(f"{other.store}/layers").glob("*/meta.json"))
    text = meta.read_text()
    described = json.loads(text)
    described["size"] += 1
    meta.write_text(json.dumps(described))
    assert "another layer" in rl.fails("start", "one", status=1, code="RL-SHARED-STORE")
    assert "another layer" in rl.run("system", "check", status=1).stdout
    meta.write_text(text)
    assert rl.out("start", "-a", "one") == "lower"

    # Content that has changed there: a repair takes out the link, and nothing behind it.
    lower = next(Path(f"{other.store}/layers").glob("*/diff/d/lower"))
    lower.write_text("LOWER\n")
    assert "its files have changed" in rl.run("system", "check", status=1).stdout
    before = state(other.store)
    repaired = rl.run("system", "check", "--repair", check=False).stdout
    assert "its files have changed: removed" in repaired
    assert state(other.store) == before
    lower.write_text("lower\n")
    assert shell(rl, LOOK).split() == SEEN
    assert rl.out("start", "-a", "one") == "lower"

    other.run("rmi", "lesson:1")
    other.run("builder", "prune", "-a", "-f")  # which had the layers yet
    rl.fails("start", "one", status=1, code="RL-SHARED-STORE")
    rl.fails("run", "--rm", "mine", code="RL-SHARED-STORE")
    rl.fails("run", "--rm", "--userns", "keep-id", "mine", code="RL-SHARED-STORE")
    rl.fails("run", "--rm", "--pull", "never", "lesson:1", code="RL-IMAGE-NOT-FOUND")
    assert "has lost" in rl.run("system", "check", status=1).stdout
    rl.run("rm", "one")
    rl.run("rmi", "mine")
    rl.run("image", "prune", "-f")
    rl.run("system", "check")


def test_a_store_that_has_moved_is_found_again(rl: Rl, other: Rl) -> None:
    rl.run("tag", "lesson:1", "mine")
    there = f"{other.store}.moved"
    os.rename(other.store, there)
    try:
        rl.fails("run", "--rm", "mine", code="RL-SHARED-STORE")
        rl.env["RL_IMAGE_STORES"] = there
        assert shell(rl, LOOK).split() == SEEN
        assert shell(rl, LOOK, image="mine").split() == SEEN
    finally:
        os.rename(there, other.store)


def test_what_has_other_owners_is_refused(rl: Rl, other: Rl, tmp_path: Path) -> None:
    """Without subordinate IDs here; written by others, on another machine; another user's."""
    shell(rl, "true", image="busybox")
    (tmp_path / "getsubids").write_text("#!/bin/sh\n")
    (tmp_path / "getsubids").chmod(0o755)
    shutil.rmtree(f"{rl.store}/cache")
    os.mkdir(f"{rl.store}/cache")
    env: dict[str, str | None] = {"PATH": f"{tmp_path}:{SEARCH_PATH}"}
    for image in ("lesson:1", "busybox"):
        line = rl.fails("run", "--rm", image, env=env, code="RL-SHARED-STORE")
        assert "rl image publish DIR IMAGE" in line
    shutil.rmtree(f"{rl.store}/cache")
    os.mkdir(f"{rl.store}/cache")
    known = Path(f"{other.store}/cache/subordinate-ids.json")
    text = known.read_text()
    for change in ({"uids": [[70000, 1000]]}, {"uid": 1}):
        known.write_text(json.dumps({**json.loads(text), **change}))
        line = rl.fails("run", "--rm", "lesson:1", code="RL-SHARED-STORE")
        assert "rl image publish DIR IMAGE" in line
    known.unlink()
    rl.fails("run", "--rm", "lesson:1", code="RL-SHARED-STORE")
    known.write_text(text)
    os.chmod(other.store, 0)
    try:
        line = rl.fails("run", "--rm", "lesson:1", code="RL-SHARED-STORE")
        assert "rl image publish DIR IMAGE" in line
    finally:
        os.chmod(other.store, 0o700)
    assert shell(rl, LOOK).split() == SEEN


def test_one_id_uses_what_one_id_wrote(fresh_store: Callable[..., Rl], tmp_path: Path) -> None:
    (tmp_path / "getsubids").write_text("#!/bin/sh\n")
    (tmp_path / "getsubids").chmod(0o755)
    writer, reader = fresh_store(), fresh_store()
    for one in (writer, reader):
        one.env["PATH"] = f"{tmp_path}:{SEARCH_PATH}"
    writer.run("bootstrap", "busybox", "-t", "busybox:latest", timeout=170)
    reader.env["RL_IMAGE_STORES"] = writer.store
    assert shell(reader, "cat /proc/self/uid_map", image="busybox").split() == [
        "0", str(os.getuid()), "1"
    ]  # fmt: skip
    # Who has more IDs has this one, too.
    many = fresh_store()
    many.env["RL_IMAGE_STORES"] = writer.store
    assert shell(many, "stat -c %u /bin", image="busybox") == "0"
