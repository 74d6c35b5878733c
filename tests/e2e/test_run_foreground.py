"""`rl run` in the foreground: streams, exit statuses, signals, and what is left: nothing."""

import os
import signal

import pytest
from support.program import Rl
from support.traces import wait_until


@pytest.mark.parametrize("status", [0, 1, 7, 125, 255])
def test_status_of_the_program_comes_back(rl: Rl, no_leftovers: None, status: int) -> None:
    rl.run("run", "--rm", "busybox", "sh", "-c", f"exit {status}", status=status)


def test_program_that_does_not_exist_is_127(rl: Rl, no_leftovers: None) -> None:
    line = rl.fails("run", "--rm", "busybox", "no-such-program", status=127)
    assert "no-such-program" in line


@pytest.mark.parametrize("path", ["/etc", "/etc/passwd"])
def test_program_that_cannot_be_executed_is_126(rl: Rl, no_leftovers: None, path: str) -> None:
    rl.fails("run", "--rm", "busybox", path, status=126)


def test_program_ended_by_a_signal_is_128_and_its_number(rl: Rl, no_leftovers: None) -> None:
    rl.run("run", "--rm", "--init", "busybox", "sh", "-c", "kill -TERM $$", status=143)


def test_stdout_and_stderr_stay_apart(rl: Rl) -> None:
    done = rl.run("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2")
    assert done.stdout == "out\n"
    assert "err\n" in done.stderr and "out" not in done.stderr


def test_stdin_is_passed_with_interactive_only(rl: Rl) -> None:
    assert rl.out("run", "--rm", "-i", "busybox", "cat", input="hello") == "hello"
    assert rl.out("run", "--rm", "busybox", "cat", input="hello") == ""


def test_large_output_and_input_arrive_whole(rl: Rl) -> None:
    text = "0123456789abcde\n" * 200_000
    assert rl.run("run", "--rm", "-i", "busybox", "cat", input=text).stdout == text


def test_bytes_that_are_no_text_pass_through(rl: Rl) -> None:
    out = rl.run("run", "--rm", "busybox", "printf", r"\377\001\n").stdout
    assert out.encode("utf-8", "surrogateescape") == b"\xff\x01\n"


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "USR1", "QUIT"])
def test_signal_is_passed_on(rl: Rl, no_leftovers: None, name: str) -> None:
    script = f"trap 'exit 42' {name}; echo ready; while :; do sleep 0.05; done"
    child = rl.popen("run", "--rm", "busybox", "sh", "-c", script)
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    child.send_signal(getattr(signal, f"SIG{name}"))
    assert child.wait(15) == 42


def test_reader_that_goes_away_ends_the_program(rl: Rl, no_leftovers: None) -> None:
    child = rl.popen("run", "--rm", "busybox", "sh", "-c", "while echo line; do :; done")
    assert child.stdout is not None and child.stdout.readline() == "line\n"
    child.stdout.close()
    child.wait(20)


def test_output_of_the_program_may_be_a_file(rl: Rl, tmp_path: object) -> None:
    path = f"{tmp_path}/out"
    with open(path, "wb") as f:
        rl.popen("run", "--rm", "busybox", "echo", "x", stdout=f).wait(20)
    with open(path) as f:
        assert f.read() == "x\n"


def test_container_stays_without_rm(rl: Rl) -> None:
    name = rl.name()
    rl.run("run", "--name", name, "busybox", "sh", "-c", "echo kept; exit 3", status=3)
    assert "Exited (3)" in rl.out("ps", "-a", "--filter", f"name={name}")
    assert rl.out("logs", name) == "kept"
    rl.run("rm", name)
    rl.fails("inspect", name, status=1)


def test_rm_removes_name_and_directory(rl: Rl, no_leftovers: None) -> None:
    name = rl.name()
    for _ in range(2):  # the second run needs the name again
        rl.run("run", "--rm", "--name", name, "busybox", "true")


def test_container_is_a_child_of_its_rl(rl: Rl) -> None:
    """So it stays in the job, session and limits of whoever started it."""
    script = "trap exit TERM; echo ready; sleep 100 & wait"
    child = rl.popen("run", "--rm", "busybox", "sh", "-c", script)
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    with open(f"/proc/{child.pid}/task/{child.pid}/children") as f:
        assert f.read().split()
    child.terminate()
    child.wait(20)


def test_nice_and_limits_of_the_caller_hold_inside(rl: Rl) -> None:
    inside = rl.out(
        "run", "--rm", "busybox", "sh", "-c", "cut -d' ' -f19 /proc/self/stat",
        preexec_fn=lambda: os.nice(5),
    )  # fmt: skip
    assert inside == str(os.nice(0) + 5)


def test_cidfile_has_the_full_id_and_is_never_overwritten(rl: Rl, tmp_path: object) -> None:
    path = f"{tmp_path}/cid"
    container = rl.out("run", "-d", "--cidfile", path, "busybox", "sleep", "100")
    with open(path) as f:
        assert f.read() == container
    rl.fails("run", "--rm", "--cidfile", path, "busybox", "true", code="RL-CIDFILE")
    rl.fails("run", "--rm", "--cidfile", f"{path}/x", "busybox", "true", code="RL-CIDFILE")


def test_init_reaps_and_is_process_one(rl: Rl) -> None:
    script = "(sleep 0.01 &) ; sleep 0.3; cat /proc/1/comm; grep -l Z /proc/[0-9]*/stat | wc -l"
    out = rl.out("run", "--rm", "--init", "busybox", "sh", "-c", script)
    assert out.splitlines()[0] != "sh"


def test_closed_terminal_hangs_up_on_the_program(rl: Rl, no_leftovers: None) -> None:
    script = "trap exit HUP; echo up; sleep 100 & wait"
    terminal = rl.pty("run", "--rm", "busybox", "sh", "-c", script)
    terminal.expect("up")
    terminal.child.send_signal(signal.SIGHUP)
    wait_until(lambda: terminal.child.poll() is not None, 15)
    terminal.close()
