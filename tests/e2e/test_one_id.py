"""A user without subordinate IDs: one ID is mapped, the others are pretended."""

import os
from collections.abc import Callable

import pytest
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


def test_changes_of_owner_seem_to_work(one_id: Callable[..., str]) -> None:
    assert one_id("touch /x && chown 33:33 /x && chown -h 1 /x && stat -c %u /x") == "0"


def test_changes_of_user_seem_to_work(one_id: Callable[..., str]) -> None:
    assert one_id("su -s /bin/sh www-data -c 'echo on'") == "on"


def test_device_nodes_seem_to_be_made_and_fifos_are(one_id: Callable[..., str]) -> None:
    assert one_id("mknod /null c 1 3 && mkfifo /f && ls -d /null /f 2>/dev/null; true") == "/f"


def test_apt_is_told_not_to_change_its_user(one_id: Callable[..., str]) -> None:
    assert one_id("cat $APT_CONFIG") == 'APT::Sandbox::User "root";'


def test_exec_pretends_too(one_id_rl: Rl) -> None:
    rl, name = one_id_rl, one_id_rl.name()
    rl.run("run", "-d", "--name", name, "--network", "none", "busybox", "sleep", "100")
    rl.run("exec", name, "chown", "5:5", "/etc/passwd")


def test_another_user_is_an_error(one_id_rl: Rl) -> None:
    one_id_rl.fails("run", "--rm", "-u", "33", "busybox", "true", code="RL-USER-NOT-MAPPED")
