"""Standard streams: everything arrives, in order, however slow the other side is."""

import hashlib
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.program import Rl, program
from support.traces import wait_until

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


@pytest.mark.parametrize("order", ["", "2>&1"])
def test_a_reader_that_does_not_read_keeps_nobody_from_their_duties(rl: Rl, order: str) -> None:
    """--timeout and health checks go on while the output of a foreground run waits; and nothing
    of it is lost when it is read after the container's end."""
    name = rl.name()
    script = f"seq 1000000 {order and '>&2'}; exec sleep 1000"
    words = ["run", "--network", "none", "--name", name, "--timeout", "2", "--health-cmd", "true",
             "--health-interval", "100ms", "busybox", "sh", "-c", script]  # fmt: skip
    ours, theirs = os.pipe()
    stderr = theirs if order else None
    started = subprocess.Popen(
        [program(), *words], env=rl.environment(), stdout=theirs, stderr=stderr,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs)
    wait_until(lambda: rl.out("ps", "-q", "-f", f"name={name}"), what="the start")
    wait_until(lambda: rl.inspect(name)["State"]["Health"]["Status"] == "healthy", what="health")
    wait_until(lambda: rl.inspect(name)["State"]["Status"] == "exited", 20, "the timeout")
    assert started.poll() is None, "it has not written all"
    with open(ours) as read:
        lines = read.read().split()
    assert started.wait() == 137
    logged = rl.run("logs", name)
    assert lines == (logged.stdout + logged.stderr).split()
    # In the middle of the last one its time was over.
    assert lines[:-1] == [str(number) for number in range(1, len(lines))]
    rl.run("rm", name)


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


SEVEN_MIB = "i=0; while [ $i -lt 7 ]; do head -c 1m /dev/zero; i=$((i+1)); done"


def watching(rl: Rl, *words: str) -> "subprocess.Popen[bytes]":
    """A client that has read the first line."""
    process = subprocess.Popen(
        [program(), *words], env=rl.environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == b"tick\n"
    return process


def zeros(process: "subprocess.Popen[bytes]", end: bytes) -> int:
    """How many zero bytes come before `end`."""
    assert process.stdout is not None
    seen, last = 0, b""
    while not last.endswith(end):
        data = process.stdout.read1(1 << 16)
        assert data, "the end has not come"
        seen, last = seen + data.count(0), (last + data)[-100:]
    return seen


def test_a_stopped_client_stalls_nobody_and_is_told_what_it_missed(rl: Rl) -> None:
    name = rl.name()
    command = (f"while ! read -t 1 x; do echo tick; done; {SEVEN_MIB}; echo written; touch /done; "
               "read x; echo the end; read x; exit 3")  # fmt: skip
    rl.run("run", "-d", "-i", "--name", name, "--network", "none", "busybox", "sh", "-c", command)
    stopped, reading = (watching(rl, "attach", "--no-stdin", name) for _ in range(2))
    following = watching(rl, "logs", "-f", name)
    typing = rl.popen("attach", name, stdout=subprocess.DEVNULL)
    assert typing.stdin is not None and stopped.stderr is not None
    for process in (stopped, following):
        os.kill(process.pid, signal.SIGSTOP)
    typing.stdin.write("go\n")
    typing.stdin.flush()
    assert zeros(reading, b"written\n") == 7 << 20
    os.kill(stopped.pid, signal.SIGCONT)
    with ThreadPoolExecutor() as pool:
        counting = pool.submit(zeros, stopped, b"the end\n")
        note = stopped.stderr.readline() + stopped.stderr.readline()
        typing.stdin.write("on\n")
        typing.stdin.flush()
        kept = counting.result()
    assert note.strip().startswith(b"rl: ") and b"left out here, since nobody read" in note
    missed = int(note.split()[1])
    assert 1 << 20 < kept < 4 << 20 and 0 <= missed - ((7 << 20) - kept) < 100  # "written", ticks
    typing.stdin.write("end\n")
    typing.stdin.close()
    assert [one.wait(timeout=30) for one in (stopped, reading, typing)] == [3, 3, 3]
    os.kill(following.pid, signal.SIGCONT)
    assert zeros(following, b"the end\n") == 7 << 20
    assert following.wait(timeout=30) == 0


def test_a_slow_reader_gets_every_byte(rl: Rl) -> None:
    name = rl.name()
    rl.run("create", "--name", name, "--network", "none", "busybox", "sh", "-c", SEVEN_MIB)
    process = subprocess.Popen(
        [program(), "start", "-a", name], env=rl.environment(), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    seen = os.read(process.stdout.fileno(), 10)
    while len(seen) < 3 << 20:
        time.sleep(0.02)  # a pipe's 64 KiB now and then: slow, but reading
        seen += os.read(process.stdout.fileno(), 1 << 16)
    while data := os.read(process.stdout.fileno(), 1 << 20):
        seen += data
    assert (len(seen), process.wait(timeout=30)) == (7 << 20, 0)


def test_a_hundred_megabytes_through_exec_are_unchanged(rl: Rl) -> None:
    data = os.urandom(100 << 20)
    container = rl.start(command="sleep 100")
    done = run(rl, "exec", "-i", container, "cat", data=data)
    assert digest(done.stdout) == digest(data), done.stderr
