"""`rl unshare` and `rl system reset`: files of mapped IDs, looked at and removed."""

import os
from collections.abc import Callable

import pytest
from support.program import Rl


@pytest.mark.needs("subids")
def test_files_of_mapped_ids_are_seen_and_removed(rl: Rl) -> None:
    name = rl.start(command="echo x >/note; chown 33:34 /note; touch /done; exec sleep 1000")
    rl.run("exec", name, "sh", "-c", "while ! [ -e /done ]; do sleep 0.05; done")
    own = rl.inspect(name)["Name"].lstrip("/")
    shown = rl.out(
        "unshare", "sh", "-c", f"id -u; cd $RL_CONTAINERS/{own}/upper; stat -c %u:%g note"
    )
    assert shown.split() == ["0", "33:34"]
    path = f"{rl.store}/containers/{name}/upper/note"
    assert os.stat(path).st_uid not in (os.getuid(), 33)
    rl.run("stop", "-t", "0", name)
    rl.run("unshare", "rm", path)
    assert not os.path.exists(path)


def test_unshare_is_the_command_that_it_runs(rl: Rl) -> None:
    assert rl.run("unshare", input="echo $RL_STORE; exit 3\n", env={"SHELL": "/bin/sh"}, status=3)
    assert rl.run("unshare", "--", "sh", "-c", "kill -9 $$", check=False).returncode == 137
    rl.fails("unshare", "no-such-program", status=127, code="RL-COMMAND-NOT-FOUND")
    rl.fails("unshare", "/etc/passwd", status=126, code="RL-COMMAND-NOT-EXEC")
    rl.run("unshare", "sh", "-c", "mount -t tmpfs none /mnt && touch /mnt/inside")
    assert not os.path.exists("/mnt/inside")


@pytest.mark.needs("subids")
def test_reset_removes_all_that_is_ours(fresh_store: Callable[..., Rl]) -> None:
    rl = fresh_store(busybox=True)
    with open(f"{rl.store}/of-the-user", "w") as file:
        file.write("mine")
    name = rl.start("-v", "data:/data", command="touch /data/f; chown 33 /data/f; exec sleep 1000")
    assert "nothing is removed" in rl.fails("system", "reset", status=1, input="n\n")
    assert rl.running(name)
    done = rl.run("system", "reset", input="y\n")
    assert "WARNING! This will remove:" in done.stdout and rl.store in done.stdout
    assert os.listdir(rl.store) == ["of-the-user"] and "of-the-user" in done.stderr
    rl.fails("system", "reset", "-f", status=1, code="RL-STORE-MISSING")
    assert rl.out("ps", "-aq") == "", "and all works again"
    rl.run("bootstrap", "busybox", "-t", "busybox:latest", timeout=170)
    assert rl.out("run", "--rm", "--network", "none", "busybox", "echo", "on") == "on"


def test_reset_waits_for_nobody(fresh_store: Callable[..., Rl]) -> None:
    rl = fresh_store(busybox=True)
    mount = rl.popen("image", "mount", "busybox", "sh", "-c", "echo there; cat")
    assert mount.stdout is not None and mount.stdout.readline() == "there\n"
    rl.fails("system", "reset", "-f", status=1, code="RL-STORE-BUSY")
    mount.communicate("")
    rl.run("system", "reset", "-f")
    assert not os.path.exists(rl.store)
    os.mkdir(rl.store)
