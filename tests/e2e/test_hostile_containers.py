"""Containers and images that turn on their user: docs/security.md, sentence by sentence."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from support.program import Rl
from support.traces import wait_until

DATA = f"{os.path.dirname(__file__)}/../data/hostile"
RL = "import sys; from rootless.cli.entry import main; sys.argv[0] = 'rl'; sys.exit(main())"
# What the image does with the file that was executing before its program did.
HOSTILE = """
FROM busybox
COPY --chmod=755 loader /lib64/ld-linux-x86-64.so.2
COPY --chmod=755 <<eof /x
#!/proc/self/exe
eof
COPY <<eof /attack
readlink /proc/self/fd/9
chmod 4755 /proc/self/fd/9 && echo mode changed
: >>/proc/self/fd/9 && echo written to
eof
"""


@pytest.fixture
def own_python(rl: Rl, tmp_path: object) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs rl by a Python that belongs to the user, `python` below tmp_path."""
    python = f"{tmp_path}/python"
    shutil.copyfile(os.path.realpath(sys.executable), python)
    os.chmod(python, 0o755)
    env = rl.environment({"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)})

    def run(*args: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, "-c", RL, *args],
            env=env, capture_output=True, text=True, timeout=60, **options,
        )  # fmt: skip

    return run


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the attack is x86-64 machine code")
def test_a_python_of_the_user_is_out_of_an_image_s_reach(
    rl: Rl, tmp_path: object, own_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """/proc/self/exe as the interpreter of the image's program (CVE-2019-5736)."""
    python, image = f"{tmp_path}/python", rl.name()
    os.mkdir(f"{tmp_path}/context")
    shutil.copyfile(f"{DATA}/loader-x86_64", f"{tmp_path}/context/loader")
    with open(f"{tmp_path}/context/Dockerfile", "w") as file:
        file.write(HOSTILE)
    rl.run("build", "-q", "-t", image, f"{tmp_path}/context")
    build = f'FROM {image}\nRUN ["/x"]\n'
    for how in (
        ["run", "--rm", "--network", "none", image, "/x"],
        ["run", "--rm", "--network", "none", "-u", "7", image, "/x"],
        ["exec", rl.start(image=image), "/x"],
        ["build", "--no-cache", "-f", "-", f"{tmp_path}/context"],
    ):
        done = own_python(*how, input=build)
        assert done.returncode != 0  # what they got hold of is no program for them
        for word in (python, "mode changed", "written to"):
            assert word not in done.stdout + done.stderr, how
        assert os.stat(python).st_mode & 0o7777 == 0o755


@pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"), reason="no launcher")
def test_programs_start_as_ever_with_a_python_of_the_user(
    tmp_path: object, own_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    run = ["run", "--rm", "--network", "none"]
    script = 'echo "$0" "$#" "$A"; ls /proc/self/fd | wc -l; exit 3'
    done = own_python(*run, "-e", "A=é", "busybox", "sh", "-c", script, "a b", "c d")
    assert (done.stdout.split("\n")[0], done.returncode) == ("a b 1 é", 3)
    assert done.stdout.split("\n")[1] == "4"  # 0, 1, 2, and that of ls
    file = f"{tmp_path}/y"
    for text, code, status in (
        ("#!/nowhere\n", "RL-COMMAND-NOT-FOUND", 127),
        ("\x7fELF", "RL-COMMAND-NOT-EXECUTABLE", 126),
    ):
        with open(file, "w") as f:
            f.write(text)
        os.chmod(file, 0o755)
        done = own_python(*run, "-v", f"{file}:/y", "busybox", "/y")
        assert "cannot execute /y: " in done.stderr and f"[{code}]" in done.stderr
        assert done.returncode == status


@pytest.mark.needs("landlock")
def test_landlock_holds_for_files(rl: Rl) -> None:
    script = """
    echo a >/tmp/a && cat /tmp/a
    echo b >/etc/b || echo refused
    rm /etc/passwd || echo refused
    mkdir /d || echo refused
    echo c >/dev/null && echo null
    """
    rules = ["--landlock", "ro=/,rw=/tmp"]
    done = rl.run(
        "run", "--rm", "--network", "none", *rules, "busybox", "sh", "-c", script, status=0
    )
    assert done.stdout.split() == ["a", "refused", "refused", "refused", "null"]
    name = rl.start("--landlock", "ro=/bin,ro=/proc", "-v", "/tmp:/mnt")
    for look in (["cat", "/etc/passwd"], ["ls", "/mnt"]):
        assert "ermission denied" in rl.run("exec", name, *look, status=1).stderr
    assert rl.out("exec", "--privileged", name, "cat", "/etc/hostname")
    rl.fails("exec", name, "/etc/hosts", status=126, code="RL-COMMAND-NOT-EXECUTABLE")
    shown = rl.inspect(name)["HostConfig"]["Landlock"]
    assert shown == ["ro=/bin", "ro=/proc"]
    run = ["run", "--rm", "--network", "none", "--landlock"]
    rl.fails(*run, "ro=/nowhere", "busybox", "true", status=125, code="RL-LANDLOCK")
    rl.fails(*run, "rw=/tmp", "busybox", "true", status=126, code="RL-COMMAND-NOT-EXECUTABLE")
    for rule in ("ro=bin", "rx=/bin", "ro", "", "bind=x", "connect=70000", "ro=/bin,"):
        rl.fails(*run, rule, "busybox", "true", status=125, code="RL-USAGE")


@pytest.mark.needs("landlock")
def test_landlock_holds_for_ports_and_other_users(rl: Rl) -> None:
    script = """
    nc -l -p 81 -e true 2>&1 | grep -o 'Permission denied'
    nc 127.0.0.1 80 2>&1 </dev/null | grep -o 'Permission denied'
    nc 127.0.0.1 79 2>&1 </dev/null | grep -o 'refused'
    """
    out = rl.out("run", "--rm", "--network", "none", "--landlock", "bind=80,connect=79",
                 "busybox", "sh", "-c", script)  # fmt: skip
    assert out.split("\n") == ["Permission denied", "Permission denied", "refused"]
    out = rl.out("run", "--rm", "--network", "none", "-u", "7", "--security-opt",
                 "no-new-privileges", "--landlock", "ro=/", "busybox", "sh", "-c",
                 "touch /tmp/a 2>&1; id -u")  # fmt: skip
    assert "Permission denied" in out and out.endswith("\n7")


@pytest.mark.needs("landlock")
def test_abstract_sockets_of_the_host(rl: Rl) -> None:
    """They belong to the network namespace: out of reach unless it is the host's."""
    import socket

    address = f"\0rl-test-{rl.name()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(address)
        listener.listen()
        look = ["busybox", "grep", "-c", address[1:], "/proc/net/unix"]
        assert rl.run("run", "--rm", "--network", "none", *look, status=1).stdout == "0\n"
        assert rl.run("run", "--rm", *look, status=1).stdout == "0\n"
        assert rl.out("run", "--rm", "--network", "host", *look) == "1"


def test_an_init_that_floods_and_closes_its_streams(rl: Rl) -> None:
    script = "yes | head -c 300000; exec >&- 2>&- </dev/null; sleep 1000"
    name = rl.start(command=script)
    wait_until(lambda: len(rl.run("logs", name).stdout) == 300_000, 30)
    assert rl.out("exec", name, "echo", "still") == "still"
    rl.run("rm", "-f", name)


def test_escape_sequences_of_containers_reach_no_terminal_by_tables(rl: Rl) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J"
    name = rl.start(command=f"sleep 1000; : '{evil}'")
    rl.run("exec", "-d", name, "sh", "-c", f"exec -a '{evil}' sleep 999 || sleep 999 # {evil}")
    for command in (["ps", "--no-trunc"], ["top", name], ["events", "--since", "10s", "--until",
                    "0s"], ["ps", "-a"], ["container", "ls"]):  # fmt: skip
        done = rl.run(*command)
        assert "\x1b" not in done.stdout + done.stderr, command
