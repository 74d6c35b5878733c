"""run --rootfs: a directory instead of an image."""

import os
import subprocess

import pytest
from support.images import busybox_tar
from support.program import Rl

RUN = ("run", "--rm", "--network", "none")


@pytest.fixture
def tree(tmp_path: object) -> str:
    """A root file system of busybox in a directory."""
    directory = f"{tmp_path}/root"
    os.mkdir(directory)
    unpack = ["tar", "-x", "--no-same-owner", "-C", directory]
    subprocess.run(unpack, input=busybox_tar(), check=True)
    return directory


def test_a_directory_is_the_root_and_is_changed(rl: Rl, tree: str) -> None:
    script = "echo made > /made; echo $PATH; id -u"
    out = rl.out(*RUN, "--rootfs", tree, "/bin/sh", "-c", script)
    assert out.splitlines()[1] == "0"
    with open(f"{tree}/made") as file:
        assert file.read() == "made\n"
    name = rl.name()
    rl.run("run", "-d", "--name", name, "--network", "none", "--rootfs", "root", "sleep", "100",
           cwd=os.path.dirname(tree))  # fmt: skip
    found = rl.inspect(name)
    assert (found["Rootfs"], found["Image"], found["Config"]["Image"]) == (tree, "", "root")
    assert rl.out("exec", name, "cat", "/made") == "made"
    assert rl.out("ps", "--format", "{{.Image}}", "--filter", f"name={name}") == "root"
    rl.run("restart", "-t", "0", name)
    rl.run("rm", "-f", name)
    assert os.path.exists(f"{tree}/bin/busybox")


def test_a_directory_stays_as_it_is_below_an_overlay(rl: Rl, tree: str) -> None:
    before = sorted(os.listdir(tree))
    name = rl.name()
    script = "rm -r /etc; echo x > /made; ls -d /etc /made"
    made = ("create", "--name", name, "--network", "none", "--rootfs", f"{tree}:O")
    rl.run(*made, "sh", "-c", script)
    for _ in range(2):
        assert rl.run("start", "-a", name, check=False).stdout.endswith("/made\n")
    assert sorted(os.listdir(tree)) == before and os.listdir(f"{tree}/etc")


def test_a_directory_that_is_none_is_refused(rl: Rl, no_leftovers: None, tree: str) -> None:
    rl.fails(*RUN, "--rootfs", f"{tree}/nothing", "true", code="RL-ROOTFS")
    rl.fails(*RUN, "--rootfs", f"{tree}/bin/busybox", "true", code="RL-ROOTFS")
    rl.fails(*RUN, "--rootfs", tree, code="RL-NO-COMMAND")
    rl.fails(*RUN, "--rootfs", "--platform", "linux/arm64", tree, "true", code="RL-USAGE")
    rl.fails(*RUN, "--rootfs", tree, "/nothing", status=127)
