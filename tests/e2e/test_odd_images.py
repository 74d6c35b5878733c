"""Images that have something else where a container needs a file or a directory."""

import io
import os
import subprocess
import tarfile
import uuid
from collections.abc import Callable

import pytest
from support.images import busybox_tar
from support.program import Rl, program

Odd = Callable[..., str]


@pytest.fixture
def odd(rl: Rl, tmp_path: object) -> Odd:
    """Makes an image: busybox without the paths in `leave_out`, and with other members."""

    def make(*members: tuple[str, str, object], leave_out: tuple[str, ...] = ()) -> str:
        path, name = f"{tmp_path}/odd.tar", f"odd:{uuid.uuid4().hex}"
        with tarfile.open(path, "w") as target:
            with tarfile.open(fileobj=io.BytesIO(busybox_tar())) as source:
                for info in source:
                    if info.name.strip("/") not in leave_out:
                        target.addfile(info, source.extractfile(info) if info.isreg() else None)
            for place, kind, content in members:
                info = tarfile.TarInfo(place)
                info.type = getattr(tarfile, f"{kind}TYPE")
                data = b""
                if kind == "SYM":
                    info.linkname = str(content)
                elif kind == "REG":
                    data = str(content).encode()
                info.size = len(data)
                info.mode = 0o755 if kind == "DIR" else 0o644
                target.addfile(info, io.BytesIO(data))
        rl.run("import", path, name)
        return name

    return make


def run(rl: Rl, image: str, *command: str, options: tuple[str, ...] = ()) -> str:
    return rl.out("run", "--rm", "--network", "none", *options, image, *command)


def test_resolv_conf_that_leads_nowhere_is_made_where_it_leads(rl: Rl, odd: Odd) -> None:
    image = odd(
        ("etc/resolv.conf", "SYM", "../run/systemd/resolve/stub-resolv.conf"),
        ("etc/hosts", "SYM", "/nowhere/hosts"),
    )
    out = run(rl, image, "sh", "-c", "cat /etc/hosts; readlink -f /etc/resolv.conf")
    assert "localhost" in out
    assert out.splitlines()[-1] == "/run/systemd/resolve/stub-resolv.conf"


def test_link_that_climbs_above_the_root_stays_in_the_container(rl: Rl, odd: Odd) -> None:
    name = uuid.uuid4().hex
    image = odd(("etc/resolv.conf", "SYM", f"../../../../../../tmp/{name}"))
    assert run(rl, image, "ls", "/tmp") == name


@pytest.mark.parametrize("place", ["etc/hosts", "proc", "sys", "etc/resolv.conf"])
def test_target_of_the_wrong_kind_is_named(
    rl: Rl, odd: Odd, place: str, no_leftovers: None
) -> None:
    kind = "DIR" if place.startswith("etc") else "REG"
    image = odd((place, kind, "x"), leave_out=(place,))
    error = rl.fails("run", "--rm", image, "true", code="RL-MOUNT-TARGET")
    assert f"on /{place}: one of them is a directory" in error


def test_link_that_leads_in_a_circle_is_an_error(rl: Rl, odd: Odd, no_leftovers: None) -> None:
    image = odd(("loop", "SYM", "loop"))
    for option in ("/loop", "/tmp:/loop"):
        rl.fails("run", "--rm", "-v", option, image, "true", code="RL-MOUNT-TARGET")


def test_passwd_with_numbers_of_thousands_of_digits(rl: Rl, odd: Odd) -> None:
    huge = "9" * 6000
    image = odd(
        ("etc/passwd", "REG", f"root:x:{huge}:0:::\nann:x:5:{huge}:::\nbob:x:7:8::/b:\n"),
        ("etc/group", "REG", f"big:x:{huge}:bob\nok:x:9:bob\n"),
        leave_out=("etc/passwd", "etc/group"),
    )
    assert run(rl, image, "id", "-u") == "0"
    assert run(rl, image, "id", "-G", options=("-u", "bob")) == "8 9"
    rl.fails("run", "--rm", "-u", "ann", image, "true", code="RL-USER-UNKNOWN")
    rl.fails("run", "--rm", "-u", ":big", image, "true", code="RL-USER-UNKNOWN")


@pytest.mark.parametrize("options", [(), ("--userns=keep-id",)])
def test_passwd_that_is_a_fifo_keeps_nobody_waiting(
    rl: Rl, odd: Odd, options: tuple[str, ...]
) -> None:
    image = odd(("etc/passwd", "FIFO", None), leave_out=("etc/passwd",))
    assert run(rl, image, "pwd", options=options) == "/"


def test_working_directory_is_made_as_docker_makes_it(rl: Rl, odd: Odd) -> None:
    image = odd(("link", "SYM", "/made/by"))
    script = ("sh", "-c", "pwd; stat -c '%a %u' .")
    for more in ((), ("--read-only",)):
        out = run(rl, image, *script, options=("-w", "/link/rl", *more))
        assert out.splitlines() == ["/made/by/rl", "755 0"]


def test_working_directory_that_is_a_file(rl: Rl, no_leftovers: None) -> None:
    rl.fails("run", "--rm", "-w", "/etc/passwd", "busybox", "true", status=126, code="RL-WORKDIR")


def test_exec_makes_no_directory(rl: Rl) -> None:
    name = rl.start()
    rl.fails("exec", "-w", "/missing", name, "true", status=127, code="RL-WORKDIR")
    rl.run("exec", name, "ls", "/missing", status=1)


def test_file_and_directory_cannot_be_mounted_on_each_other(
    rl: Rl, tmp_path: object, no_leftovers: None
) -> None:
    with open(f"{tmp_path}/file", "w"):
        pass
    for source, target in (("file", "/etc"), ("", "/etc/passwd")):
        error = rl.fails("run", "--rm", "-v", f"{tmp_path}/{source}:{target}", "busybox", "true",
                         code="RL-MOUNT-TARGET")  # fmt: skip
        assert f"on {target}: one of them is a directory and the other is not" in error


def test_rm_force_of_one_container_named_twice(rl: Rl) -> None:
    name = rl.start()
    done = rl.run("rm", "-f", name, name)
    assert done.stdout.split() == [name]
    assert "no such container" in done.stderr


def test_following_a_log_over_its_rotations_loses_nothing(rl: Rl) -> None:
    script = "sleep 1; for i in $(seq 1 400); do echo $i; usleep 2000; done"
    for files in ("1", "3"):
        name = rl.name()
        options = ("--log-opt", "max-size=1k", "--log-opt", f"max-file={files}")
        rl.run("run", "-d", "--name", name, *options, "busybox", "sh", "-c", script)
        assert rl.out("logs", "-f", name).split() == [str(n) for n in range(1, 401)]


def test_log_stays_below_its_size_when_much_comes_at_once(rl: Rl) -> None:
    name = rl.name()
    options = ("--log-opt", "max-size=1k", "--log-opt", "max-file=2")
    rl.run("run", "--name", name, *options, "busybox", "seq", "1", "300")
    kept = rl.out("logs", name).split()
    assert kept == [str(n) for n in range(301 - len(kept), 301)]
    assert 10 < len(kept) < 30


@pytest.mark.parametrize("umask", ["000", "077"])
def test_umask_of_the_caller_stays_outside(rl: Rl, umask: str) -> None:
    """What rl makes for the container is for every user in it, and for root alone to write."""
    command = (
        f'umask {umask}; exec "$0" run --rm --network none -u 1000 -v /data busybox '
        "stat -c %a / /etc/hosts /etc/resolv.conf /etc/hostname /data"
    )
    done = subprocess.run(
        ["sh", "-c", command, program()], env=rl.environment(), capture_output=True, text=True
    )
    assert done.stdout.split() == ["755", "644", "644", "644", "755"], done.stderr


def test_directory_that_was_removed_is_no_place_to_fail_in(rl: Rl, tmp_path: object) -> None:
    os.mkdir(f"{tmp_path}/gone")
    command = f'cd {tmp_path}/gone && rmdir {tmp_path}/gone && exec "$0" run --rm "$@"'

    def run_there(*args: str) -> "subprocess.CompletedProcess[str]":
        os.makedirs(f"{tmp_path}/gone", exist_ok=True)
        return subprocess.run(
            ["sh", "-c", command, program(), "--network", "none", *args],
            env=rl.environment(), capture_output=True, text=True,
        )  # fmt: skip

    assert run_there("busybox", "pwd").stdout == "/\n"
    failed = run_there("-v", "./x:/x", "busybox", "true")
    assert failed.returncode == 125
    assert "the current directory has been removed" in failed.stderr


@pytest.mark.parametrize("detached", [(), ("-d",)])
def test_error_about_a_name_of_many_kilobytes_is_short(
    rl: Rl, detached: tuple[str, ...], no_leftovers: None
) -> None:
    name = "a" * 120_000
    run = ("run", "--rm", "--network", "none", *detached)
    for status, args in ((127, ("busybox", name)), (125, ("-u", name, "busybox", "true"))):
        assert len(rl.fails(*run, *args, status=status)) < 5000
