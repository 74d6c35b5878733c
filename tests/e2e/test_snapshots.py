"""Snapshots: taken, gone back to and forked; and that no kill and no full disk loses anything."""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from support import traces
from support.program import Rl


def made(rl: Rl, script: str, *options: str) -> str:
    """A container that has run a script and has ended."""
    name = rl.name()
    rl.run("run", "--name", name, "--network", "none", *options, "busybox", "sh", "-c", script)
    return name


def again(rl: Rl, container: str, script: str) -> None:
    """Let the stopped container write more: a file `go`, if it is there, is its script."""
    path = f"{rl.root}/tmp/go-{os.getpid()}"
    Path(path).write_text(script)
    rl.run("cp", "-q", path, f"{container}:/go")
    os.unlink(path)
    rl.run("start", "-a", container)


RUNS = "[ -e /go ] && . /go; :"


@pytest.mark.parametrize("userns", ["", "keep-id", "nomap"])
def test_back_and_forth(rl: Rl, userns: str) -> None:
    how = ["--userns", userns, "-u", "0"] if userns else []
    container = made(rl, f"{RUNS}; echo one >>/root/f; chown 5:6 /root/f; rm -f /etc/group", *how)
    assert rl.out("snapshot", container) == "1"
    first = rl.out("diff", container)
    again(rl, container, "rm /root/f; echo two >/root/g; mkdir /root/d; chmod 711 /")
    assert rl.out("snapshot", container, "second") == "second"
    second = rl.out("diff", container)
    assert "A /root/g" in second and first != second
    again(rl, container, "rm -r /root; touch /new")
    third = rl.out("diff", container)
    rl.run("rollback", container, "1")
    assert rl.out("diff", container) == first
    rl.run("rollback", container, "second")
    assert rl.out("diff", container) == second != third
    rl.run("start", "-a", container)
    rl.run("rollback", container, "1")
    assert rl.out("diff", container) == first
    lines = rl.out("snapshots", container).splitlines()
    assert lines[0].split() == ["CONTAINER", "SNAPSHOT", "CREATED", "SIZE"]
    assert rl.out("snapshots", "-q", container).split() == ["1", "second"]
    assert lines[1].split()[0] == container and lines[1].endswith("B")
    assert rl.out("snapshot", "--rm", container, "1") == "1"
    assert rl.out("snapshots", "-q", container) == "second"
    rl.fails("rollback", container, "1", status=1, code="RL-SNAPSHOT-NOT-FOUND")
    rl.fails("snapshot", container, "second", status=1, code="RL-SNAPSHOT-EXISTS")
    rl.fails("snapshot", container, "a/b", code="RL-USAGE")
    rl.fails("snapshot", "--rm", container, code="RL-USAGE")


LIVE = "head -c 9m /dev/zero >/root/big; trap exit TERM; while :; do date >/now; sleep 0.1; done"


@pytest.mark.parametrize("userns", ["", "keep-id"])
def test_a_running_container(rl: Rl, userns: str, tmp_path: Path) -> None:
    """Nothing is copied, nothing stops, and what is mounted stays where it is."""
    how = ["--userns", userns, "-u", "0"] if userns else []
    mounts = ["-v", f"{tmp_path}:/root/host", "-v", "/vol", "--tmpfs", "/vol/mem", "-w", "/vol"]
    container = rl.start(*how, *mounts, command=f"cd /; {LIVE}")
    inside = ("exec", "-w", "/", container, "sh", "-c")
    traces.wait_until(lambda: rl.run(*inside, "test -e /now", check=False).returncode == 0)
    rl.run("exec", "-d", container, "sleep", "1000")  # its directory is the volume
    first = "echo one >/root/f; rm /etc/group; chown 33:44 /root/f; chmod 2711 /root"
    rl.run(*inside, f"{first}; echo 1 >/vol/x; echo 1 >/vol/mem/x; echo 1 >/root/host/x")
    pid = rl.inspect(container)["State"]["Pid"]
    number = os.stat(f"{rl.store}/containers/{container}/upper/root/big").st_ino
    done = rl.run("snapshot", container, "before")
    assert (done.stdout, done.stderr) == ("before\n", "")
    frozen = Path(rl.store) / "frozen"
    kept = [path for path in frozen.glob("*/diff/root/big") if path.stat().st_ino == number]
    assert len(kept) == 1
    look = "cat /root/f /vol/x /vol/mem/x /root/host/x; stat -c %u:%g /root/f; stat -c %a /root"
    assert rl.out(*inside, look).split() == ["one", "1", "1", "1", "33:44", "2711"]
    script = "echo two >/root/f; touch /root/g; rm /root/big; chmod 700 /root; chmod 700 /"
    rl.run(*inside, script)
    rl.run("snapshot", container, "after")
    assert "A /root/g" in rl.out("diff", container)
    now = rl.out(*inside, "cat /now")
    traces.wait_until(lambda: rl.out(*inside, "cat /now") != now, what="the program's going on")
    rl.run("rollback", container, "before")
    assert rl.out(*inside, look).split() == ["one", "1", "1", "1", "33:44", "2711"]
    assert rl.out(*inside, "ls /root/big; stat -c %a /; ls /etc/group || echo no").split() == [
        "/root/big", "755", "no"
    ]  # fmt: skip
    assert rl.inspect(container)["State"]["Pid"] == pid
    now = rl.out(*inside, "cat /now")
    traces.wait_until(lambda: rl.out(*inside, "cat /now") != now, what="the program's going on")
    forked = rl.out("fork", container)
    rl.run("stop", "-t", "0", container)
    for one in (container, forked):
        rl.run("start", one)
        assert rl.out("exec", "-w", "/", one, "cat", "/root/f") == "one"
    rl.run("rm", "-fv", container, forked)


HOLDERS = {
    "directory": "cd /root; exec sleep 1000",
    "written": "exec sleep 1000 >/root/out",
    "was-written": "echo >/root/out; exec sleep 1000 </root/out",
    "open-directory": "exec sleep 1000 </root",
    "pipe": "mkfifo /root/p; exec sleep 1000 <>/root/p",
    "root": "mkdir /srv; cp -r /bin /srv; exec chroot /srv sleep 1000",
    "mounts": "unshare -m sleep 1000 & exec sleep 1001",
    "mount": "mkdir /srv; mount --bind /root /srv; exec sleep 1000",
}


PYTHON = ("/usr/bin/python3", "/usr/lib", "/usr/lib64")
# The same by programs of the host's Python.
PROGRAMS = {
    "lock": "import fcntl; f = open('/bin/busybox'); fcntl.flock(f, fcntl.LOCK_SH)",
    "watch": "import ctypes; c = ctypes.CDLL(None); c.inotify_add_watch(c.inotify_init(), b'/root',"
    " 2)",
    "mapping": "import ctypes; f = open('/root/f'); "
    "ctypes.CDLL(None).mmap(None, 4096, 1, 1, f.fileno(), ctypes.c_long(0)); f.close()",
    "socket": "import socket; s = socket.socket(socket.AF_UNIX); s.bind('/root/socket')",
    "thread": "import ctypes, os, threading; t = threading.Thread(target=lambda: (ctypes.CDLL(None)"
    ".unshare(0x600), os.chdir('/root'), time.sleep(1000))); t.start()",
}
HOLDERS |= {
    what: "ln -s usr/lib usr/lib64 /; "
    f"exec /usr/bin/python3 -ISc \"import time; {code}; open('/ready', 'w'); time.sleep(1000)\""
    for what, code in PROGRAMS.items()
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_container_that_would_notice(rl: Rl, holder: str) -> None:
    """What its processes hold of the root that they have would be another's: it is copied."""
    script = HOLDERS[holder]
    more = ["--privileged"] if holder.startswith("mount") else []
    for path in PYTHON if holder in PROGRAMS else ():
        more += ["-v", f"{path}:{path}:ro"] if os.path.exists(path) else []
    container = rl.start(*more, command=f"echo one >/root/f; {script}")
    ready = "test -e /ready" if holder in PROGRAMS else "grep -q sleep /proc/1/comm"
    traces.wait_until(lambda: rl.run("exec", container, "/bin/busybox", "sh", "-c", ready,
                                     check=False).returncode == 0)  # fmt: skip
    said = rl.run("snapshot", container, "one").stderr
    assert said.startswith("Note: what it has written was copied: "), said
    rl.run("exec", container, "/bin/busybox", "sh", "-c", "echo two >/root/f")
    error = rl.fails("rollback", container, "one", status=1, code="RL-CONTAINER-RUNNING")
    assert holder.startswith(("mount", "root")) or "(PID " in error
    rl.run("kill", container)
    rl.run("wait", container)
    rl.run("rollback", container, "one")
    rl.run("cp", "-q", f"{container}:/root/f", f"{rl.root}/tmp/f")
    assert Path(f"{rl.root}/tmp/f").read_text() == "one\n"
    os.unlink(f"{rl.root}/tmp/f")


def test_commands_go_on_between_snapshots(rl: Rl) -> None:
    """None is refused because the container is paused just now, or writes to the wrong layer."""
    container = rl.start(command="trap exit TERM; while :; do echo >/root/own; sleep 0.01; done")
    working = []
    for number in range(8):
        working += [rl.popen("exec", container, "sh", "-c", f"echo {number} >>/root/f"),
                    rl.popen("snapshot", container)]  # fmt: skip
    outputs = [one.communicate(timeout=60) for one in working]
    assert [one.returncode for one in working] == [0] * 16, outputs
    assert sorted(rl.out("exec", container, "cat", "/root/f").split()) == list("01234567")


def test_several_at_once_each_have_their_own(rl: Rl) -> None:
    container = rl.start(command="touch /root/f; trap exit TERM; sleep 1000 & wait")
    commands = [["snapshot", container]] * 3 + [["fork", container], ["commit", container]] * 2
    working = [rl.popen(*command) for command in commands]
    outputs = [one.communicate(timeout=60) for one in working]
    assert [one.returncode for one in working] == [0] * 7, outputs
    assert sorted(outputs[i][0].strip() for i in range(3)) == ["1", "2", "3"]
    assert rl.out("snapshots", "-q", container).split() == ["1", "2", "3"]
    assert rl.inspect(container)["State"]["Status"] == "running"
    for output in outputs[3::2]:
        assert "A /root/f" in rl.out("diff", output[0].strip())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=str)
@pytest.mark.parametrize("command", ["snapshot", "commit"])
def test_a_container_is_not_left_paused(rl: Rl, command: str, number: int) -> None:
    container = rl.start(
        command="head -c 60m /dev/zero >/root/f; trap exit TERM; sleep 1000 & wait"
    )
    mark = f"{rl.store}/containers/{container}/paused"
    working = rl.popen(command, container)
    traces.wait_until(lambda: os.path.exists(mark) or working.poll() is not None)
    working.send_signal(number)
    working.communicate(timeout=60)
    assert working.returncode in (0, 130, -number)
    traces.wait_until(lambda: not rl.inspect(container)["State"]["Paused"])
    assert rl.out("exec", container, "echo", "on") == "on"
    rl.run(command, container)
    rl.run("run", "--rm", "--network", "none", "busybox", "true")  # sweeps what was cut off


def test_a_fork_has_a_life_of_its_own(rl: Rl, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    origin = made(rl, f"{RUNS}; echo one >/root/f", "-e", "A=b", "-l", "of=test", "-v",
                  f"{tmp_path}/shared:/s", "-w", "/root")  # fmt: skip
    rl.run("snapshot", origin, "early")
    again(rl, origin, "echo two >/root/g")
    name = rl.name()
    new = rl.out("fork", origin, name)
    shown = rl.inspect(name)
    assert shown["Id"] == new and shown["State"]["Status"] == "created"
    assert "A=b" in shown["Config"]["Env"] and shown["Config"]["Labels"] == {"of": "test"}
    assert rl.out("diff", name) == rl.out("diff", origin)
    early = rl.out("fork", "--snapshot", "early", origin)
    assert "A /root/g" not in rl.out("diff", early)
    rl.run("rm", "-f", origin)
    again(rl, name, "cat /root/g >/s/out; echo more >>/root/g")
    assert (tmp_path / "shared" / "out").read_text() == "two\n"
    rl.fails("fork", name, name, status=1, code="RL-CONTAINER-NAME-TAKEN")
    for bad in ("../../outside", "a/b", "a b", "x"):  # a name becomes a path
        rl.fails("fork", name, bad, status=1, code="RL-CONTAINER-NAME")
    assert not os.path.lexists(f"{rl.store}/outside")
    running = rl.out("fork", "--start", name)
    rl.run("wait", running)
    assert rl.inspect(running)["State"]["ExitCode"] == 0


def test_removal_frees_what_nothing_needs(fresh_store: Callable[..., Rl]) -> None:
    rl = fresh_store(busybox=True)
    write = "head -c 3000000 /dev/zero >/root/$(date +%N); chown 33 /root/*"
    container = made(rl, f"{RUNS}; {write}")
    before = traces.size_of(rl.store) - 3_000_000
    rl.run("snapshot", container)
    rl.run("start", "-a", container)
    assert "6MB" in rl.out("ps", "-as")
    rl.run("snapshot", container)
    name = rl.out("fork", container)
    rl.run("rm", container)
    assert traces.size_of(rl.store) > before + 5_000_000  # the fork stands on it
    rl.run("rm", name)
    assert traces.size_of(rl.store) < before + 500_000
    assert set(os.listdir(f"{rl.store}/frozen")) <= {".lock"}


def test_kills_leave_it_as_it_was_or_as_it_should_be(fresh_store: Callable[..., Rl]) -> None:
    rl = fresh_store(busybox=True)
    container = made(rl, f"{RUNS}; echo one >/root/f; chown 33 /root/f")
    rl.run("snapshot", container, "start")
    start = rl.out("diff", container)
    again(rl, container, "touch /root/g")
    later = rl.out("diff", container)
    generator = random.Random(7)
    for turn in range(24):
        words = ["snapshot", container] if turn % 3 else ["rollback", container, "start"]
        process = rl.popen(*words)
        try:
            process.communicate(timeout=generator.uniform(0.02, 0.16))
        except Exception:
            process.kill()
            process.communicate()
        now = rl.out("diff", container)
        assert now in (start, later)
        if now == start:
            rl.run("start", "-a", container)
            assert rl.run("wait", container).stdout == "0\n"
            later = rl.out("diff", container)
    rl.run("rollback", container, "start")
    assert rl.out("diff", container) == start


def test_a_full_disk_loses_nothing(small_rl: tuple[Rl, str]) -> None:
    rl, place = small_rl
    container = made(rl, f"{RUNS}; echo one >/root/f")
    rl.run("snapshot", container, "start")
    before = rl.out("diff", container)
    filler = f"{place}/filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096) == 4096:
                pass
        except OSError:
            pass
    for words in (["snapshot", container], ["rollback", container, "start"], ["commit", container],
                  ["fork", container]):  # fmt: skip
        done = rl.run(*words, check=False)
        assert done.returncode == 0 or "[RL-STORE-FULL]" in done.stderr, done.stderr
    os.unlink(filler)
    assert rl.out("diff", container) == before
    rl.run("start", "-a", container)
    rl.run("snapshot", container)


def test_other_storage(rl: Rl) -> None:
    fuse = made(rl, f"{RUNS}; echo one >/root/f", "--storage-driver", "fuse-overlayfs")
    rl.run("snapshot", fuse)
    again(rl, fuse, "rm /root/f; touch /root/g")
    rl.run("rollback", fuse, "1")
    assert rl.out("diff", fuse).splitlines()[-1] == "A /root/f"
    copied = made(rl, "true", "--storage-driver", "copy")
    rl.fails("snapshot", copied, status=1, code="RL-CONTAINER-COPY")
