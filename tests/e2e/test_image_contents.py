"""image layers, tree, diff and mount, and images --tree."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from support.images import Image, busybox_tar, tar
from support.program import Rl
from support.registry import Registry
from support.traces import wait_until

_DOCKERFILE = """FROM busybox
RUN mkdir /data && cd /data && head -c 100000 /dev/zero > big && echo a > same && echo b > gone
RUN rm /data/gone && echo other > /data/same && chmod 600 /data/big && ln -s big /data/link
RUN rm -r /data && mkdir /data && echo new > /data/new
"""


@pytest.fixture
def images(rl: Rl, tmp_path: Path) -> tuple[str, str]:
    """The same Dockerfile up to its second step, and up to its last; both on busybox."""
    (tmp_path / "Dockerfile").write_text(_DOCKERFILE)
    rl.run("build", "-q", "-t", "full:1", str(tmp_path))
    lines = _DOCKERFILE.splitlines()
    for number in (2, 3):
        (tmp_path / "Dockerfile").write_text("\n".join(lines[:number]))
        rl.run("build", "-q", "-t", f"part:{number}", str(tmp_path))
    return "part:2", "full:1"


def rows(rl: Rl, *words: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in rl.out(*words, "--format", "json").splitlines()]


def test_layers_are_counted_and_told_with_what_made_them(
    rl: Rl, images: tuple[str, str], no_leftovers: None
) -> None:
    part, full = images
    found = rows(rl, "image", "layers", full)
    assert found[0]["Number"] == "1" and int(found[0]["Files"]) > 200  # busybox is the biggest
    by_number = {one["Number"]: one for one in found}
    assert by_number["2"]["Files"] == "3"
    assert "mkdir /data && cd" in by_number["2"]["CreatedBy"]
    assert by_number["3"]["Removed"] == "1"
    # /data is opaque: it hides all that was there.
    assert (by_number["4"]["Files"], by_number["4"]["Removed"]) == ("1", "1")
    assert int(by_number["2"]["SharedBy"]) == 2
    assert rl.out("image", "layers", full).splitlines()[-1].startswith("4 layers, ")
    assert len(rl.out("image", "layers", "-q", "--no-trunc", full).split()[0]) == 71
    tree = rl.out("image", "tree", full)
    assert "└── ID: " in tree and f"Top Layer of: [{part}]" in tree
    above = rl.out("image", "tree", "--whatrequires", "busybox")
    lines = [line for line in above.splitlines() if "part:" in line or "full:" in line]
    # Each below the one that it goes on from.
    places = [line.index("ID:") for line in lines]
    assert len(places) == 3 and places == sorted(places) and len(set(places)) == 3


def test_the_files_that_differ_are_told_with_their_sizes(
    rl: Rl, images: tuple[str, str], no_leftovers: None
) -> None:
    part, full = images
    found = {
        one["Path"]: (one["Kind"], one["Delta"])
        for one in rows(rl, "image", "diff", part, "part:3")
    }
    assert found == {
        "/data/big": ("C", "+0B"),
        "/data/gone": ("D", "-2B"),
        "/data/link": ("A", "+0B"),
        "/data/same": ("C", "+4B"),
    }
    # The other way round, through an opaque directory; and what the last layer alone does.
    back = {one["Path"]: one["Kind"] for one in rows(rl, "image", "diff", full, part)}
    assert back == {"/data/big": "A", "/data/gone": "A", "/data/new": "D", "/data/same": "A"}
    last = {one["Path"]: one["Kind"] for one in rows(rl, "image", "diff", full)}
    assert last == {"/data/big": "D", "/data/link": "D", "/data/new": "A", "/data/same": "D"}
    assert rl.out("image", "diff", full, full) == "0 added (+0B), 0 changed (+0B), 0 deleted (+0B)"
    assert rl.out("image", "diff", "busybox", part).endswith(
        "4 added (+100kB), 0 changed (+0B), 0 deleted (+0B)"
    )
    rl.fails("image", "diff", full, "no/such", status=1, code="RL-IMAGE-NOT-FOUND")


def test_an_image_is_mounted_for_a_command(
    rl: Rl, images: tuple[str, str], tmp_path: Path, no_leftovers: None
) -> None:
    _, full = images
    out = rl.out("image", "mount", full, "--", "sh", "-c", "pwd; echo $RL_MOUNT; cat data/new")
    place, told, text = out.splitlines()
    assert place == told and text == "new"
    assert not os.path.exists(place)
    rl.run("image", "mount", full, "cp", "data/new", f"{tmp_path}/copied")
    assert (tmp_path / "copied").read_text() == "new\n"
    assert (tmp_path / "copied").stat().st_uid == os.getuid()
    assert rl.run("image", "mount", full, "touch", "x", check=False).returncode == 1
    assert rl.run("image", "mount", full, "sh", "-c", "kill -9 $$", check=False).returncode == 137
    rl.fails("image", "mount", full, "no-such-program", status=127, code="RL-COMMAND-NOT-FOUND")
    rl.fails("image", "mount", full, "/etc/passwd", status=126, code="RL-COMMAND-NOT-EXEC")
    shell = rl.run(
        "image", "mount", full, input="ls data\nexit 3\n", env={"SHELL": "/bin/sh"}, status=3
    )
    assert shell.stdout == "new\n" and "until this shell ends" in shell.stderr


def test_a_killed_mount_leaves_nothing(rl: Rl) -> None:
    started = rl.popen("image", "mount", "busybox", "sh", "-c", "echo $$ $RL_MOUNT; exec sleep 999")
    assert started.stdout is not None
    pid, place = started.stdout.readline().split()
    started.kill()
    started.communicate()
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 10, "the end of the command")
    rl.run("image", "prune", "-f")
    rl.run("image", "mount", "busybox", "true")  # sweeps
    assert not os.path.exists(place)


def test_the_tree_of_images_has_platforms_and_sizes(rl: Rl) -> None:
    rl.run("create", "--name", rl.name(), "busybox")
    lines = rl.out("images", "--tree", "busybox").splitlines()
    assert lines[0].split() == ["IMAGE", "ID", "DISK", "USAGE", "CONTENT", "SIZE", "EXTRA"]
    assert lines[1].startswith("busybox:latest") and lines[1].endswith(" U")
    machine = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True)
    assert f"└─ linux/{machine.stdout.strip()}" in lines[2]
    rl.fails("images", "--tree", "-q", code="RL-USAGE")


def test_more_layers_than_overlayfs_stacks(
    rl: Rl, registry: Registry, tmp_path: Path, no_leftovers: None
) -> None:
    """One small layer 501 times: what needs them stacked says so, a mount copies them."""
    layers = [busybox_tar(), *[tar({"small": b"x"})] * 500]
    reference = registry.push("many/layers", Image(layers, {"Cmd": ["true"]}))
    rl.run("pull", "-q", reference)
    assert "501 layers" in rl.fails(
        "run", "--rm", "--network", "none", reference, code="RL-IMAGE-TOO-MANY-LAYERS"
    )
    (tmp_path / "Dockerfile").write_text(f"FROM {reference}\nRUN true\n")
    done = rl.run("build", "-q", str(tmp_path), check=False)
    assert "RL-IMAGE-TOO-MANY-LAYERS" in done.stderr
    done = rl.run("image", "mount", reference, "cat", "small")
    assert done.stdout == "x" and "501" in done.stderr
    rl.run("rmi", reference)
