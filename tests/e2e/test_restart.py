"""attach, restart and rename."""

import subprocess
from pathlib import Path

from support.program import Rl, program


def test_attach_sees_output_gives_input_and_returns_the_exit_code(rl: Rl) -> None:
    name = rl.name()
    rl.run("run", "-d", "-i", "--name", name, "--network", "none", "busybox",
           "sh", "-c", "read line; echo got $line; exit 5")  # fmt: skip
    done = subprocess.run(
        [program(), "attach", name], env=rl.environment(), input="hello\n", text=True,
        capture_output=True, timeout=30,
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("got hello\n", 5), done.stderr


def test_two_are_attached_at_once(rl: Rl) -> None:
    name = rl.name()
    command = "while ! read -t 1 line; do echo tick; done; echo got $line"
    rl.run("run", "-d", "-i", "--name", name, "--network", "none", "busybox", "sh", "-c", command)
    watching = subprocess.Popen(
        [program(), "attach", "--no-stdin", name], env=rl.environment(), text=True,
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert watching.stdout is not None and watching.stdout.readline() == "tick\n"
    rl.run("attach", name, input="x\n")
    assert watching.communicate(timeout=30)[0].endswith("got x\n")


def test_attach_to_a_container_in_the_foreground_is_an_error(rl: Rl) -> None:
    name = rl.name()
    process = rl.popen("run", "--rm", "--name", name, "--network", "none", "busybox",
                       "sh", "-c", "echo up; sleep 100")  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "up\n"
    rl.fails("attach", name, status=1, code="RL-CONTAINER-FOREGROUND")
    rl.run("kill", name)
    process.wait(timeout=30)


def test_attach_to_a_stopped_container_is_an_error(rl: Rl) -> None:
    name = rl.name()
    rl.run("create", "--name", name, "busybox", "true")
    rl.fails("attach", name, status=1, code="RL-CONTAINER-NOT-RUNNING")


def test_restart_runs_the_program_again(rl: Rl) -> None:
    container = rl.start(command="echo run; sleep 100")
    rl.wait_log(container, "run")
    assert rl.out("restart", "-t", "0", container) == container
    rl.wait_log(container, "run\nrun")
    assert rl.inspect(container)["State"]["Running"]


def test_restart_starts_a_stopped_container(rl: Rl) -> None:
    name = rl.name()
    rl.run("create", "--name", name, "--network", "none", "busybox", "sleep", "100")
    rl.run("restart", name)
    assert rl.inspect(name)["State"]["Running"]


def test_restart_keeps_a_container_of_rm(rl: Rl) -> None:
    name = rl.name()
    rl.run("run", "-d", "--rm", "--name", name, "--network", "none", "busybox", "sleep", "100")
    rl.run("restart", "-t", "0", name)
    assert rl.inspect(name)["State"]["Running"]
    rl.run("stop", "-t", "0", name)
    rl.fails("inspect", name, status=1)


def test_start_attaches_to_what_runs_already(rl: Rl) -> None:
    container = rl.start("-i", command="read line; echo got $line; exit 4")
    assert rl.run("start", "-ai", container, input="it\n", status=4).stdout == "got it\n"
    process = rl.popen("run", "--network", "none", "busybox", "sh", "-c", "echo up; sleep 100")
    assert process.stdout is not None and process.stdout.readline() == "up\n"
    in_foreground = rl.out("ps", "-lq")
    rl.fails("start", "-a", in_foreground, status=1, code="RL-CONTAINER-FOREGROUND")
    rl.run("kill", in_foreground)
    process.wait(timeout=30)


def test_a_start_that_fails_leaves_what_was(rl: Rl, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    name = rl.start("-v", f"{source}:/x")
    rl.run("stop", "-t", "0", name)
    source.rmdir()
    error = rl.fails("start", name, status=1, code="RL-MOUNT-SOURCE")
    assert f"cannot mount {source} on /x: No such file" in error
    state = rl.inspect(name)["State"]
    assert state["Status"] == "exited" and str(source) in state["Error"]
    source.mkdir()
    rl.run("start", name)
    assert rl.running(name) and not rl.inspect(name)["State"]["Error"]


def test_rename(rl: Rl) -> None:
    old, new = rl.name(), rl.name()
    rl.run("create", "--name", old, "busybox", "true")
    rl.run("rename", old, new)
    assert rl.inspect(new)["Name"] == f"/{new}"
    rl.fails("inspect", old, status=1)
    rl.run("create", "--name", old, "busybox", "true")
    rl.fails("rename", old, new, status=1, code="RL-CONTAINER-NAME-TAKEN")
    rl.fails("rename", old, "a/b", status=1, code="RL-CONTAINER-NAME")
