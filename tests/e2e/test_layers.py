"""What is said of an image's files that this host cannot have: owners and devices; and timing."""

import io
import os
import tarfile
from collections.abc import Callable

import pytest
from support.images import Image, busybox_tar
from support.program import Rl
from support.registry import Registry

FOREIGN = 4_000_000  # far above the IDs that anybody has


def odd_layer() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, uid in (
            ("dev/null", tarfile.CHRTYPE, 0),
            ("dev/\x1b[31msda", tarfile.BLKTYPE, 0),
            ("opt/theirs", tarfile.REGTYPE, FOREIGN),
            ("opt/ours", tarfile.REGTYPE, 0),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.uid = kind, uid
            archive.addfile(info)
    return out.getvalue()


def told(stderr: str) -> tuple[int, int]:
    """How often the devices and the squashed owners are spoken of."""
    assert "\x1b" not in stderr
    return stderr.count("left out of the image"), stderr.count("now root's (--squash-ids): 1")


@pytest.mark.needs("subids")
def test_foreign_owners_are_an_error_or_squashed_on_every_way_in(
    fresh_store: Callable[..., Rl], registry: Registry, tmp_path: object
) -> None:
    reference = registry.push("test/odd", Image([busybox_tar(), odd_layer()], {"Cmd": ["true"]}))
    rootfs, saved = f"{tmp_path}/rootfs.tar", f"{tmp_path}/saved.tar"
    with open(rootfs, "wb") as file:
        file.write(odd_layer())
    os.mkdir(f"{tmp_path}/context")
    with open(f"{tmp_path}/context/Dockerfile", "w") as file:
        file.write(f"FROM {reference}\nCMD true\n")
    ways = [
        ["pull", reference],
        ["run", "--rm", "--network", "none", reference],
        ["create", reference],
        ["build", f"{tmp_path}/context"],
        ["import", rootfs],
        ["load", "-i", saved],
    ]
    for words in ways:
        rl = fresh_store()
        if words[0] == "load":
            rl.run("pull", "--squash-ids", reference)
            rl.run("save", "-o", saved, reference)
            rl = fresh_store()
        status = 125 if words[0] == "run" else 1
        said = rl.fails(*words, status=status, code="RL-IMAGE-IDS")
        assert f"'opt/theirs' belongs to user {FOREIGN}, and the IDs that you have" in said
        assert rl.out("images", "-q") == ""
        command, *rest = words
        done = rl.run(command, "--squash-ids", *rest)
        assert told(done.stderr) == (1, 1), words


@pytest.mark.needs("subids")
def test_squash_ids_in_the_configuration_file_holds_for_all(
    fresh_store: Callable[..., Rl], registry: Registry, tmp_path: object
) -> None:
    reference = registry.push("test/odd", Image([busybox_tar(), odd_layer()]))
    with open(f"{tmp_path}/config.toml", "w") as file:
        file.write("squash-ids = true\n")
    rl = fresh_store()
    environment = {"RL_CONFIG": f"{tmp_path}/config.toml"}
    said = rl.run("run", "--rm", "--network", "none", reference, "stat", "-c", "%u %n",
                  "/opt/theirs", env=environment)  # fmt: skip
    assert said.stdout == "0 /opt/theirs\n"
    # The layer is there: nothing is said again, and the owner is what its archive says.
    assert told(rl.run("pull", reference, env=environment).stderr) == (0, 0)


def test_timing_is_told_by_layer_and_in_sum(
    fresh_store: Callable[..., Rl], registry: Registry
) -> None:
    reference = registry.push("test/timing", Image([busybox_tar()], {"Cmd": ["true"]}))
    said = fresh_store().run("pull", "-q", reference, env={"RL_DEBUG": "timing"}).stderr
    heads, *rows = [line.removeprefix("Note: ").split() for line in said.splitlines()]
    columns = ["layer", "network", "inflate", "hash", "write", "metadata", "sync", "idle"]
    assert heads == columns
    assert [row[0] for row in rows][-1] == "sum"
    assert all(float(cell) >= 0 for row in rows for cell in row[1:])
    assert rows[0][1:] == rows[-1][1:]
    assert "Note" not in fresh_store().run("pull", "-q", reference).stderr
