"""A user without subordinate IDs: one ID is mapped, the others are pretended, and noted."""

import io
import json
import os
import tarfile
from collections.abc import Callable

import pytest
from support.owners import exported, owners_in
from support.program import Rl


@pytest.fixture
def one_id(one_id_rl: Rl) -> Callable[..., str]:
    """Run a shell command in a container of such a user."""

    def run(command: str, *options: str) -> str:
        shell = ["--network", "none", *options, "busybox", "sh", "-c", command]
        return one_id_rl.out("run", "--rm", *shell)

    return run


def test_one_id_is_mapped(one_id: Callable[..., str]) -> None:
    assert one_id("cat /proc/self/uid_map").split() == ["0", str(os.getuid()), "1"]


def test_changes_of_user_and_devices_seem_to_work(one_id: Callable[..., str]) -> None:
    assert one_id("su -s /bin/sh www-data -c 'echo on'") == "on"
    assert one_id("mknod /null c 1 3 && mkfifo /f && ls -d /null /f 2>/dev/null; true") == "/f"
    assert one_id("touch /x && chown 33:33 /x && chown -h 1 /x && stat -c %u /x") == "0"


def test_apt_is_told_not_to_change_its_user(one_id: Callable[..., str]) -> None:
    assert one_id("cat $APT_CONFIG") == 'APT::Sandbox::User "root";'


def test_another_user_is_an_error(one_id_rl: Rl) -> None:
    one_id_rl.fails("run", "--rm", "-u", "33", "busybox", "true", code="RL-USER-NOT-MAPPED")


def test_owners_are_in_what_leaves_a_container(one_id_rl: Rl, tmp_path: object) -> None:
    rl, name, path = one_id_rl, one_id_rl.name(), f"{tmp_path}/out.tar"
    rl.start(
        "--name", name,
        command="mkdir /a && echo x >/a/f && ln -s f /a/l && chown -R 33:34 /a && mv /a/l /a/m"
        " && cp -a /a /b && tar -cf /t -C / a && echo ready; exec sleep 1000",
    )  # fmt: skip
    rl.wait_log(name, "ready")
    rl.run("exec", name, "sh", "-c", "chown 5:6 /a/f && ln -s f /a/e && chown -h 7:8 /a/e")
    rl.run("exec", "-d", name, "sh", "-c", "chown 9:9 /etc/group; touch /later")
    rl.run("exec", name, "sh", "-c", "while ! [ -e /later ]; do sleep 0.05; done")
    wanted = {"a": (33, 34), "a/f": (5, 6), "a/m": (33, 34), "a/e": (7, 8), "etc/group": (9, 9)}
    found = exported(rl, name, path)
    assert {key: found[key] for key in wanted} == wanted, "of a running container"
    rl.run("commit", name, "noted")
    with tarfile.open(fileobj=io.BytesIO(_last_layer(rl, "noted", path))) as layer:
        found = {m.name: (m.uid, m.gid) for m in layer}
    assert {key: found[key] for key in wanted} == wanted, "of an image"
    rl.run("stop", "-t", "0", name)
    assert not os.path.exists(f"{rl.store}/containers/{rl.inspect(name)['Id']}/link-owners")
    found = exported(rl, name, path)
    assert {key: found[key] for key in wanted} == wanted, "of a stopped container"
    with open(f"{tmp_path}/copy.tar", "wb") as copy:
        rl.popen("cp", f"{name}:/a", "-", stdout=copy).wait(60)
    assert owners_in(f"{tmp_path}/copy.tar")["a/m"] == (33, 34)


def _last_layer(rl: Rl, image: str, path: str) -> bytes:
    rl.run("save", "-o", path, image)
    with tarfile.open(path) as archive:
        member = archive.extractfile("manifest.json")
        assert member is not None
        layer = archive.extractfile(json.load(member)[0]["Layers"][-1])
        assert layer is not None
        return layer.read()
