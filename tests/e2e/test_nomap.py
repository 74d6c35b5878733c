"""--userns=nomap: the caller is nobody in the container."""

import os
import urllib.request
from collections.abc import Callable

import pytest
from support.program import Rl

pytestmark = pytest.mark.needs("subids")


def test_program_has_all_ids_but_the_callers(
    rl: Rl, free_port: Callable[[], int], tmp_path: object
) -> None:
    (name, port), shared = (rl.name(), free_port()), f"{tmp_path}/shared"
    os.mkdir(shared)
    os.chmod(str(tmp_path), 0o755)
    script = (
        "cat /proc/self/uid_map; echo told >/dev/stdout; touch /mine && chown 33:33 /mine;"
        "touch /v/new; touch /shared/x 2>/dev/null || echo refused; stat -c %u /shared;"
        "mkdir /w; echo page >/w/index.html; httpd -h /w -p 80; echo serving;"
        "trap 'exit 0' TERM; while :; do sleep 0.1; done"
    )
    volume = f"{name}-v:/v"
    rl.run("run", "-d", "--name", name, "--userns", "nomap", "-v", volume, "-v",
           f"{shared}:/shared", "-p", f"127.0.0.1:{port}:80",
           "busybox", "sh", "-c", script)  # fmt: skip
    log = rl.wait_log(name, "serving").split("\n")
    first, outside, count = log[0].split()
    assert (first, outside) == ("0", "0") and int(count) >= 65536  # of the namespace around
    assert log[1:4] == ["told", "refused", "65534"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        assert answer.read() == b"page\n"
    # Nobody of the host's: no process of the container is the caller's, and none is the others'.
    with open(f"/proc/{rl.inspect(name)['State']['Pid']}/status") as file:
        uids = next(line for line in file if line.startswith("Uid:")).split()[1:]
    assert len(set(uids)) == 1 and int(uids[0]) not in (0, os.getuid())
    ids = rl.out("exec", name, "sh", "-c", "id -u; cat /proc/self/uid_map").split()
    assert ids[:3] == ["0", "0", "0"]
    assert rl.out("exec", "-u", "33", name, "sh", "-c", "id -u; rm /mine 2>&1 | wc -l") == "33\n1"
    rl.run("cp", f"{name}:/mine", f"{tmp_path}/mine")
    assert os.stat(f"{tmp_path}/mine").st_uid == os.getuid()
    assert {"A /mine", "A /w"} <= set(rl.out("diff", name).splitlines())
    rl.run("commit", name, "nomap-made")
    assert rl.inspect(name)["HostConfig"]["UsernsMode"] == "nomap"
    rl.run("stop", name)
    rl.run("start", name)
    assert rl.out("exec", name, "stat", "-c", "%u", "/mine", "/v/new").split() == ["33", "0"]
    rl.run("rm", "-f", name)
    rl.run("volume", "rm", f"{name}-v")
    look = ("--network", "none", "nomap-made", "stat", "-c", "%u", "/mine", "/w")
    for mode in ("nomap", "host"):
        assert rl.out("run", "--rm", "--userns", mode, *look).split() == ["33", "0"]
    rl.run("rmi", "nomap-made")


def test_terminal_and_the_users_of_an_image(rl: Rl) -> None:
    terminal = rl.pty("run", "--rm", "-it", "--userns=nomap", "--network=none", "-u", "www-data",
                      "busybox", "sh", "-c",
                      "id -un; tty; test -w /dev/tty && echo writable")  # fmt: skip
    shown = terminal.expect("writable")
    assert terminal.wait() == 0
    assert "www-data" in shown and "/dev/pts/0" in shown


def test_with_one_id_nobody_would_be_left(one_id_rl: Rl) -> None:
    line = one_id_rl.fails("run", "--rm", "--userns=nomap", "busybox", "true")
    assert "RL-HOST-NO-SUBIDS" in line
    assert one_id_rl.out("ps", "-aq") == ""
