"""A detached container's life: -d, ps, logs, stop, kill, start, wait, rm."""

import json
import os
import signal
import threading
import time

import pytest
from support import traces
from support.program import Rl
from support.traces import wait_until

LOOP = "trap 'exit 4' NAME; echo up; while :; do sleep 0.05; done"


def test_detached_run_prints_the_id_and_goes_on(rl: Rl) -> None:
    container = rl.start(command="echo hello; sleep 100")
    assert len(container) == 64 and int(container, 16)
    assert rl.running(container)
    assert rl.wait_log(container, "hello") == "hello\n"


def test_detached_run_reports_a_program_that_cannot_start(rl: Rl) -> None:
    name = rl.name()
    rl.fails("run", "-d", "--name", name, "busybox", "no-such-program", status=127)


def test_detached_rm_removes_itself_when_it_ends(rl: Rl, no_leftovers: None) -> None:
    rl.out("run", "-d", "--rm", "busybox", "sleep", "0.1")


def test_nobody_is_resident_after_stop(rl: Rl) -> None:
    container = rl.start()
    rl.run("stop", container)
    wait_until(lambda: not traces.processes(rl.worker, rl.root), 5)


def test_ps_shows_docker_s_columns(rl: Rl) -> None:
    name = rl.name()
    container = rl.start("--name", name, "--label", "a=b")
    head, line = rl.out("ps", "--filter", f"name={name}").splitlines()
    assert head.split() == "CONTAINER ID IMAGE COMMAND CREATED STATUS PORTS NAMES".split()
    assert line.startswith(container[:12]) and line.endswith(name)
    assert "busybox" in line and "Up " in line and '"sh -c' in line


def test_ps_options(rl: Rl) -> None:
    running, stopped = rl.start(), rl.start()
    rl.run("stop", "-t", "5", stopped)
    assert rl.out("ps", "-q").split() == [running[:12]]
    assert rl.out("ps", "-aq").split() == [stopped[:12], running[:12]]  # newest first
    assert rl.out("ps", "-aq", "--no-trunc").split() == [stopped, running]
    assert rl.out("ps", "-lq").split() == [stopped[:12]]
    assert rl.out("ps", "-n", "1", "-q").split() == [stopped[:12]]
    assert rl.out("ps", "-aq", "-f", "status=exited").split() == [stopped[:12]]
    assert rl.out("ps", "-a", "--format", "{{.ID}} {{.Image}}").splitlines() == [
        f"{stopped[:12]} busybox",
        f"{running[:12]} busybox",
    ]
    table = rl.out("ps", "-a", "--format", "table {{.ID}}\t{{.State}}").splitlines()
    assert table[0].split() == ["CONTAINER", "ID", "STATE"] and "exited" in table[1]
    objects = [json.loads(x) for x in rl.out("ps", "--format", "json").splitlines()]
    assert [x["ID"] for x in objects] == [running[:12]]


def test_logs_keep_both_streams_and_order(rl: Rl) -> None:
    container = rl.start(command="echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three")
    rl.run("wait", container)
    done = rl.run("logs", container)
    assert (done.stdout, done.stderr) == ("one\nthree\n", "two\n")


def test_logs_options(rl: Rl) -> None:
    container = rl.start(command="for i in 1 2 3; do echo $i; done; sleep 1.2; echo late")
    rl.run("wait", container)
    assert rl.out("logs", "-n", "2", container).split() == ["3", "late"]
    assert rl.out("logs", "--tail", "0", container) == ""
    stamped = rl.out("logs", "-t", container).splitlines()
    times = [line.split(" ", 1)[0] for line in stamped]
    assert times == sorted(times) and times[0].endswith("Z")
    assert rl.out("logs", "--since", times[3], container) == "late"
    assert rl.out("logs", "--until", times[2], container).split()[:2] == ["1", "2"]


def test_logs_follow_until_the_end(rl: Rl) -> None:
    container = rl.start(command="for i in 1 2 3 4 5; do echo $i; sleep 0.1; done")
    assert rl.out("logs", "-f", container, timeout=20).split() == ["1", "2", "3", "4", "5"]


def test_logs_of_a_long_line_come_whole(rl: Rl) -> None:
    container = rl.start(command="head -c 100000 /dev/zero | tr '\\0' x; echo")
    rl.run("wait", container)
    assert rl.out("logs", container) == "x" * 100_000


def test_stop_sends_sigterm_and_waits(rl: Rl) -> None:
    container = rl.start(
        command="trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done"
    )
    rl.wait_log(container, "up")
    assert rl.out("stop", container) == container
    state = rl.inspect(container)["State"]
    assert (state["Status"], state["ExitCode"], state["Pid"]) == ("exited", 3, 0)
    assert "bye" in rl.out("logs", container)


def test_stop_kills_after_its_time(rl: Rl) -> None:
    container = rl.start(command="trap '' TERM; echo up; while :; do sleep 0.05; done")
    rl.wait_log(container, "up")
    begin = time.monotonic()
    rl.run("stop", "-t", "1", container)
    assert 0.9 < time.monotonic() - begin < 6
    assert rl.inspect(container)["State"]["ExitCode"] == 137


def test_stop_uses_the_stop_signal_and_timeout_of_run(rl: Rl) -> None:
    container = rl.start("--stop-signal", "USR1", "--stop-timeout", "1",
                         command=LOOP.replace("NAME", "USR1"))  # fmt: skip
    rl.wait_log(container, "up")
    rl.run("stop", container)
    assert rl.inspect(container)["State"]["ExitCode"] == 4


def test_stop_of_a_stopped_container_is_fine(rl: Rl) -> None:
    container = rl.start()
    rl.run("stop", container)
    assert rl.out("stop", container) == container


def test_kill_is_sigkill_or_what_is_asked(rl: Rl) -> None:
    container = rl.start()
    assert rl.out("kill", container) == container
    assert rl.out("wait", container) == "137"
    rl.fails("kill", container, status=1)
    other = rl.start(command="trap 'exit 5' HUP; echo up; while :; do sleep 0.05; done")
    rl.wait_log(other, "up")
    rl.run("kill", "-s", "HUP", other)
    assert rl.out("wait", other) == "5"


def test_start_again_keeps_files_and_appends_the_log(rl: Rl) -> None:
    container = rl.start(command="echo run; echo x >>/count; wc -l </count; sleep 0.1")
    rl.run("wait", container)
    assert rl.out("start", container) == container
    rl.run("wait", container)
    assert rl.out("logs", container).split() == ["run", "1", "run", "2"]


def test_start_attached_gives_output_and_status(rl: Rl) -> None:
    container = rl.out("create", "busybox", "sh", "-c", "echo out; exit 9")
    assert rl.out("start", "-a", container, status=9) == "out"


def test_start_of_a_running_container_is_fine(rl: Rl) -> None:
    container = rl.start()
    assert rl.out("start", container) == container


def test_create_does_not_start(rl: Rl) -> None:
    container = rl.out("create", "busybox", "true")
    assert rl.inspect(container)["State"]["Status"] == "created"
    assert "Created" in rl.out("ps", "-a", "--filter", f"id={container}")


def test_wait_prints_statuses_in_order(rl: Rl) -> None:
    first, second = rl.start(command="sleep 0.5; exit 3"), rl.start(command="exit 4")
    assert rl.out("wait", first, second).split() == ["3", "4"]


def test_rm_refuses_a_running_container(rl: Rl) -> None:
    container = rl.start()
    rl.fails("rm", container, status=1)
    assert rl.running(container)
    assert rl.out("rm", "-f", container) == container
    rl.fails("inspect", container, status=1)


def test_rm_force_of_nothing_is_fine_and_rm_is_not(rl: Rl) -> None:
    rl.run("rm", "-f", "no-such-container")
    rl.fails("rm", "no-such-container", status=1)


def test_names_and_id_prefixes_find_a_container(rl: Rl) -> None:
    name = rl.name()
    container = rl.start("--name", name)
    for text in (name, container, container[:12], container[:8]):
        assert rl.out("inspect", "--format", "{{.Id}}", text) == container


def test_taken_name_is_an_error_before_anything_starts(rl: Rl) -> None:
    name = rl.name()
    rl.start("--name", name)
    line = rl.fails("run", "-d", "--name", name, "busybox", "true")
    assert name in line
    assert len(rl.out("ps", "-aq").split()) == 1


@pytest.mark.parametrize("command", ["stop", "start", "kill", "wait", "rm", "logs", "port", "exec"])
def test_unknown_container_is_one_clear_line(rl: Rl, command: str) -> None:
    args = [command, "nobody"] + (["true"] if command == "exec" else [])
    assert "nobody" in rl.fails(*args, status=1)


def test_the_supervisor_shows_no_secret_and_keeps_nothing_of_its_caller_open(rl: Rl) -> None:
    """Neither the words of the command line nor a lock that its caller holds outlive rl."""
    ours, theirs = os.pipe()
    words = ("run", "-d", "--network", "none", "-e", "PASSWORD=hidden", "busybox", "sleep", "100")
    name = rl.out(*words, pass_fds=[theirs])
    os.close(theirs)
    with open(f"{rl.store}/containers/{name}/state.json") as f:
        supervisor = json.load(f)["supervisor"]["pid"]
    assert traces.processes(rl.worker, rl.root)[supervisor] == f"rl-supervisor {name[:12]}"
    with open(f"/proc/{supervisor}/comm") as f:
        assert f.read() == "rl-supervisor\n"
    assert os.read(ours, 1) == b"", "somebody has the other end"
    os.close(ours)
    rl.run("rm", "-f", name)


def test_supervisor_killed_takes_its_container_along(rl: Rl) -> None:
    container = rl.start()
    with open(f"{rl.store}/containers/{container}/state.json") as f:
        state = json.load(f)
    os.kill(state["supervisor"]["pid"], signal.SIGKILL)
    wait_until(lambda: not rl.running(container), 5, "the container is seen as ended")
    wait_until(lambda: not os.path.exists(f"/proc/{state['pid']}"), 5)
    assert rl.inspect(container)["State"]["Status"] == "exited"
    rl.run("start", container)
    assert rl.running(container)


def test_init_of_the_container_killed_from_outside(rl: Rl) -> None:
    container = rl.start()
    os.kill(rl.inspect(container)["State"]["Pid"], signal.SIGKILL)
    assert rl.out("wait", container) == "137"


def test_detached_container_outlives_its_session(rl: Rl) -> None:
    terminal = rl.pty("run", "-d", "--network", "none", "busybox", "sleep", "100")
    container = terminal.expect(r"[0-9a-f]{64}").strip()
    assert terminal.wait() == 0
    terminal.close()
    assert rl.out("exec", container, "echo", "up") == "up" and rl.running(container)


def test_many_containers_at_once(rl: Rl) -> None:
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(rl.start())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(rl.out("ps", "-q", "--no-trunc").split()) == set(made) and len(made) == 8
    rl.run("rm", "-f", *made)
    assert rl.out("ps", "-aq") == ""
