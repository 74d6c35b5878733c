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


def test_another_user_is_the_caller_under_that_number(
    one_id: Callable[..., str], one_id_rl: Rl
) -> None:
    script = "id -u; id -g; touch /tmp/a; stat -c %u:%g /tmp/a /etc; grep CapEff /proc/self/status"
    shown = one_id(script, "-u", "33:34").split()
    assert shown == ["33", "34", "33:34", "33:34", "CapEff:", "0000000000000000"]
    assert one_id("id -un", "-u", "www-data") == "www-data"
    assert one_id("! chown 0 /etc/passwd && ! su -c true && echo no", "-u", "33") == "no"
    assert one_id("id -u; id -g", "--userns", "keep-id").split() == [
        str(os.getuid()), str(os.getgid()),
    ]  # fmt: skip
    words = ["run", "--rm", "--network", "none", "--userns", "keep-id", "-u", "0", "busybox"]
    assert one_id_rl.out(*words, "sh", "-c", "id -u; chown 5 /etc/passwd && echo on") == "0\non"
    one_id_rl.fails(*words[:4], "-u", "33", "--group-add", "5", "busybox", "true",
                    code="RL-USER-NOT-MAPPED")  # fmt: skip


def test_exec_into_the_container_of_another_user(one_id_rl: Rl, tmp_path: object) -> None:
    rl, name = one_id_rl, one_id_rl.name()
    rl.start("--name", name, "-u", "33", "--health-cmd", "id -u", "--init")
    assert rl.out("exec", name, "id", "-u") == "33"
    status = rl.out("exec", name, "grep", "-E", "CapEff|Seccomp:", "/proc/self/status").split()
    assert status == ["CapEff:", "0000000000000000", "Seccomp:", "2"]
    assert rl.out("exec", "-u", "0", name, "sh", "-c", "id -u; chown 7:8 /etc/group") == "0"
    rl.fails("exec", "-u", "44", name, "true", code="RL-USER-NOT-MAPPED", status=1)
    rl.run("cp", "/etc/hostname", f"{name}:/tmp/copied")
    assert rl.out("exec", name, "ls", "/tmp/copied") == "/tmp/copied"
    assert exported(rl, name, f"{tmp_path}/out.tar")["etc/group"] == (7, 8)
    rl.run("restart", "-t", "0", name)
    assert rl.out("exec", name, "id", "-u") == "33"


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
