"""--restart, --timeout, --pidfile: what the container's parent does when it ends."""

import json
import os
import signal
import subprocess
import time
from typing import Any

import pytest
from support.program import Rl, program
from support.traces import wait_until

FAILS = "echo run; exit 3"


def state(rl: Rl, name: str) -> dict[str, Any]:
    return dict(rl.inspect(name)["State"])


def test_on_failure_starts_again_so_many_times(rl: Rl) -> None:
    name = rl.start("--restart", "on-failure:2", command=FAILS)
    wait_until(lambda: state(rl, name)["Status"] == "exited", what="three runs")
    found = rl.inspect(name)
    assert (found["RestartCount"], found["State"]["ExitCode"]) == (2, 3)
    assert found["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
    assert rl.out("logs", name) == "run\nrun\nrun"
    events = rl.out("events", "--since", "1", "--until", "0s", "--format", "{{.Action}}",
                    "-f", f"container={name}", "-f", "event=start", "-f", "event=die")  # fmt: skip
    with open(f"{rl.store}/events") as file:
        recorded = file.readlines()[-12:]
    assert events.split() == ["start", "die"] * 3, (time.time_ns(), recorded)
    # Started by hand it counts from nothing.
    rl.run("start", name)
    wait_until(lambda: rl.out("logs", name).count("run") == 6, what="three more runs")


def test_on_failure_leaves_success_alone(rl: Rl) -> None:
    name = rl.start("--restart", "on-failure", command="exit 0")
    assert rl.out("wait", name) == "0"
    assert rl.inspect(name)["RestartCount"] == 0 and not rl.running(name)


def restarting(rl: Rl, policy: str = "always") -> str:
    """A container that waits for its restart, some seconds still."""
    name = rl.start("--restart", policy, command=FAILS)
    wait_until(lambda: rl.inspect(name)["RestartCount"] >= 5, what="five restarts")
    wait_until(lambda: state(rl, name)["Restarting"], what="the back-off")
    return name


def test_back_off_doubles_and_a_waiting_container_says_so(rl: Rl) -> None:
    name = restarting(rl)
    begun = time.monotonic()
    wait_until(lambda: rl.inspect(name)["RestartCount"] >= 6, what="the sixth restart")
    assert time.monotonic() - begun > 1  # 100 ms five times doubled are 3.2 s
    wait_until(lambda: state(rl, name)["Restarting"], what="the back-off")
    found = rl.inspect(name)
    assert (found["State"]["Running"], found["State"]["Pid"]) == (True, 0)
    line = rl.out("ps", "--filter", f"id={name}", "--format", "{{.State}}: {{.Status}}")
    assert line.startswith("restarting: Restarting (3) ") and line.endswith(" ago")
    assert rl.out("ps", "-q", "--filter", "status=restarting", "--no-trunc") == name
    assert "restarting" in rl.fails("exec", name, "true", status=1, code="RL-CONTAINER-NOT-RUNNING")
    assert rl.out("start", name) == name
    rl.fails("rm", name, status=1, code="RL-CONTAINER-RUNNING")
    # With a policy of no more it is called off at once.
    rl.run("rm", "-f", name)


@pytest.mark.parametrize("words", [("stop",), ("kill",), ("kill", "-s", "TERM")])
def test_a_container_that_waits_for_its_restart_can_be_ended(rl: Rl, words: tuple[str]) -> None:
    name = restarting(rl, "unless-stopped")
    rl.run(*words, name)
    assert (state(rl, name)["Status"], state(rl, name)["ExitCode"]) == ("exited", 3)
    rl.run("rm", name)


@pytest.mark.parametrize("words", [("stop", "-t", "0"), ("kill",), ("kill", "-s", "TERM")])
def test_what_is_stopped_stays_down_until_it_is_started(rl: Rl, words: tuple[str]) -> None:
    name = rl.start("--restart", "always")
    rl.run(*words, name)
    wait_until(lambda: not rl.running(name), what="the end")
    assert rl.inspect(name)["RestartCount"] == 0
    rl.run("start", name)
    # Its own end is none of the user's; it may take the shell with it.
    rl.run("exec", name, "sh", "-c", "kill -TERM 1", check=False)
    wait_until(lambda: rl.inspect(name)["RestartCount"] == 1, what="the restart")
    wait_until(lambda: state(rl, name)["Status"] == "running", what="the new run")
    rl.run("restart", "-t", "0", name)
    assert rl.running(name) and rl.inspect(name)["RestartCount"] == 0
    rl.run("rm", "-f", name)


def watches(pid: int) -> bool:
    """Whether a process has asked the kernel to be told of changes: inotify(7)."""
    fds = f"/proc/{pid}/fd"
    try:
        return any("inotify" in os.readlink(f"{fds}/{fd}") for fd in os.listdir(fds))
    except FileNotFoundError:
        return False  # one was closed just now


def test_wait_and_attach_end_with_the_run(rl: Rl) -> None:
    name = rl.start("-i", "--restart", "always", command="read line; exit 4")
    waiting = rl.popen("wait", name)
    wait_until(lambda: watches(waiting.pid), what="rl wait to look at the container")
    attached = subprocess.run([program(), "attach", name], env=rl.environment(), input=b"x\n",
                              capture_output=True, timeout=30)  # fmt: skip
    assert attached.returncode == 4
    assert waiting.communicate(timeout=30)[0] == "4\n"
    wait_until(lambda: rl.inspect(name)["RestartCount"] == 1, what="the restart")
    rl.run("rm", "-f", name)


def test_run_in_the_foreground_returns_and_the_container_goes_on(rl: Rl) -> None:
    name = rl.name()
    done = rl.run("run", "--restart", "always", "--network", "none", "--name", name, "busybox",
                  "sh", "-c", "echo out; exit 5", status=5)  # fmt: skip
    assert done.stdout == "out\n"
    wait_until(lambda: rl.inspect(name)["RestartCount"] >= 2, what="two restarts")
    rl.run("rm", "-f", name)


def test_a_restart_that_fails_is_told_by_inspect(rl: Rl, tmp_path: object) -> None:
    source = f"{tmp_path}/bound"
    os.mkdir(source)
    name = rl.start("--restart", "always", "--mount", f"type=bind,src={source},dst=/b",
                    command="sleep 1; exit 1")  # fmt: skip
    os.rmdir(source)
    wait_until(lambda: state(rl, name)["Status"] == "exited", what="the end")
    assert source in state(rl, name)["Error"]


def test_killed_supervisor_of_a_waiting_container_leaves_it_exited(rl: Rl) -> None:
    name = restarting(rl)
    with open(f"{rl.store}/containers/{name}/state.json") as file:
        supervisor = json.load(file)["supervisor"]["pid"]
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: state(rl, name)["Status"] == "exited", what="the end")
    rl.run("rm", name)


def test_policies_that_are_none_are_refused(rl: Rl) -> None:
    for words in (
        ("--restart", "sometimes"),
        ("--restart", "always:3"),
        ("--restart", "on-failure:x"),
        ("--restart", "always", "--rm"),
        ("--timeout", "-1"),
        ("--pidfile", "/nowhere/pid"),
    ):
        done = rl.run("run", *words, "--network", "none", "busybox", "true", status=125)
        assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr, done.stderr
    rl.run("run", "--rm", "--restart", "no", "--network", "none", "busybox", "true")


def test_timeout_kills_and_the_pid_file_comes_and_goes(rl: Rl, tmp_path: object) -> None:
    pidfile = f"{tmp_path}/pid"
    name = rl.start("--timeout", "1", "--pidfile", pidfile, command="sleep 100")
    with open(pidfile) as file:
        assert int(file.read()) == state(rl, name)["Pid"]
    assert rl.out("wait", name) == "137"
    assert "--timeout" in state(rl, name)["Error"] and not os.path.exists(pidfile)
    rl.run("run", "--rm", "--timeout", "1", "--network", "none", "busybox", "sleep", "100",
           status=137)  # fmt: skip


def test_a_policy_that_is_updated_holds_at_the_next_end(rl: Rl) -> None:
    name = rl.start(command="sleep 2; exit 1")
    rl.run("update", "--restart", "on-failure:1", name)
    wait_until(lambda: rl.inspect(name)["RestartCount"] == 1, what="the restart")
    rl.run("update", "--restart", "no", name)
    assert rl.out("wait", name) == "1"
    # While it waits, too.
    waiting = restarting(rl)
    rl.run("update", "--restart", "no", waiting)
    wait_until(lambda: state(rl, waiting)["Status"] == "exited", 3, "the end of the back-off")
