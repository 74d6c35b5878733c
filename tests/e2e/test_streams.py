"""Standard streams: everything arrives, in order, however slow the other side is."""

import hashlib
import os
import subprocess

from support.program import Rl, program

SIZE = 8 << 20


def digest(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def run(rl: Rl, *args: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [program(), *args], env=rl.environment(), input=data, capture_output=True, timeout=60
    )


def test_large_input_reaches_a_program_that_reads_late(rl: Rl) -> None:
    data = os.urandom(SIZE)
    done = run(rl, "run", "--rm", "-i", "--network", "none", "busybox",
               "sh", "-c", "sleep 0.3; md5sum", data=data)  # fmt: skip
    assert done.stdout.split()[0].decode() == digest(data), done.stderr


def test_program_that_reads_no_input_ends_all_the_same(rl: Rl) -> None:
    done = run(
        rl, "run", "--rm", "-i", "--network", "none", "busybox", "echo", "x", data=b"y" * SIZE
    )
    assert (done.returncode, done.stdout) == (0, b"x\n")


def test_binary_output_arrives_as_it_is(rl: Rl) -> None:
    data = os.urandom(SIZE)
    done = run(rl, "run", "--rm", "-i", "--network", "none", "busybox", "cat", data=data)
    assert digest(done.stdout) == digest(data)


def test_large_input_through_start_reaches_the_program(rl: Rl) -> None:
    data = os.urandom(SIZE)
    name = rl.name()
    rl.run("create", "-i", "--name", name, "--network", "none", "busybox", "sh", "-c",
           "sleep 0.3; md5sum")  # fmt: skip
    done = run(rl, "start", "-ai", name, data=data)
    assert done.stdout.split()[0].decode() == digest(data), done.stderr


def test_large_input_through_exec_reaches_the_program(rl: Rl) -> None:
    data = os.urandom(SIZE)
    container = rl.start(command="sleep 100")
    done = run(rl, "exec", "-i", container, "md5sum", data=data)
    assert done.stdout.split()[0].decode() == digest(data), done.stderr


def test_reader_that_leaves_ends_the_program(rl: Rl) -> None:
    command = f"{program()} run --rm --network none busybox yes | head -1"
    done = subprocess.run(
        ["sh", "-c", command], env=rl.environment(), capture_output=True, timeout=30, text=True
    )
    assert done.stdout == "y\n"


def test_output_that_cannot_be_written_is_said(rl: Rl) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [program(), "run", "--rm", "--network", "none", "busybox", "echo", "x"],
            env=rl.environment(), stdout=full, stderr=subprocess.PIPE, text=True, timeout=30,
        )  # fmt: skip
    assert "No space left on device" in done.stderr
