"""`rl exec`: inside a running container."""

import os
import signal

import pytest
from support.program import Rl
from support.traces import wait_until


@pytest.fixture
def container(rl: Rl) -> str:
    return rl.start("-e", "OF_RUN=1", "-w", "/tmp")


def test_exec_joins_all_namespaces(rl: Rl, container: str) -> None:
    pid = rl.inspect(container)["State"]["Pid"]
    for kind in ("pid", "net", "ipc", "uts", "mnt", "user", "cgroup"):
        inside = rl.out("exec", container, "readlink", f"/proc/self/ns/{kind}")
        assert inside == os.readlink(f"/proc/{pid}/ns/{kind}"), kind


def test_exec_status_and_streams(rl: Rl, container: str) -> None:
    done = rl.run("exec", container, "sh", "-c", "echo out; echo err >&2; exit 6", status=6)
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    rl.fails("exec", container, "no-such-program", status=127)
    rl.fails("exec", container, "/etc", status=126)
    rl.run("exec", container, "sh", "-c", "kill -KILL $$", status=137)


def test_exec_reads_stdin_with_interactive_only(rl: Rl, container: str) -> None:
    assert rl.out("exec", "-i", container, "cat", input="hello") == "hello"
    assert rl.out("exec", container, "cat", input="hello") == ""


def test_exec_has_the_containers_environment_and_directory(rl: Rl, container: str) -> None:
    out = rl.out("exec", "-e", "MINE=2", container, "sh", "-c", "echo $OF_RUN $MINE; pwd")
    assert out.split() == ["1", "2", "/tmp"]
    assert rl.out("exec", "-w", "/etc", container, "pwd") == "/etc"


@pytest.mark.needs("subids")
def test_exec_as_another_user_has_no_capabilities(rl: Rl, container: str) -> None:
    out = rl.out("exec", "-u", "1000:50", container, "sh", "-c",
                 "id -u; id -g; grep CapEff /proc/self/status")  # fmt: skip
    assert out.split() == ["1000", "50", "CapEff:", "0000000000000000"]


def test_exec_has_the_containers_capabilities_and_seccomp(rl: Rl, container: str) -> None:
    script = "grep -E '^(CapEff|CapBnd|Seccomp|NoNewPrivs):' /proc/self/status"
    assert rl.out("exec", container, "sh", "-c", script) == rl.out(
        "exec",
        container,
        "sh",
        "-c",
        "grep -E '^(CapEff|CapBnd|Seccomp|NoNewPrivs):' /proc/1/status",
    )


def test_exec_detached(rl: Rl, container: str) -> None:
    rl.run("exec", "-d", container, "sh", "-c", "echo x >/tmp/made; sleep 100")
    wait_until(lambda: rl.run("exec", container, "cat", "/tmp/made", check=False).stdout == "x\n")


def test_exec_processes_end_with_the_container(rl: Rl, container: str) -> None:
    rl.run("exec", "-d", container, "sleep", "100")
    rl.run("rm", "-f", container)  # the fixture then finds no process


def test_exec_in_a_stopped_container_is_an_error(rl: Rl, container: str) -> None:
    rl.run("stop", "-t", "2", container)
    rl.fails("exec", container, "true", status=1)


def test_exec_with_a_terminal(rl: Rl, container: str) -> None:
    terminal = rl.pty("exec", "-it", container, "sh", rows=30, columns=90)
    terminal.expect(r"[#$] ")
    terminal.send("stty size; tty; exit 3\n")
    terminal.expect("30 90")
    terminal.expect("/dev/pts/")
    assert terminal.wait() == 3
    terminal.close()


def test_killed_exec_leaves_the_container_running(rl: Rl, container: str) -> None:
    child = rl.popen("exec", container, "sh", "-c", "echo in; sleep 100")
    assert child.stdout is not None and child.stdout.readline() == "in\n"
    child.kill()
    child.wait()
    assert rl.running(container)


def test_many_execs_at_once(rl: Rl, container: str) -> None:
    children = [rl.popen("exec", container, "echo", str(n)) for n in range(8)]
    assert [c.communicate(timeout=30)[0] for c in children] == [f"{n}\n" for n in range(8)]


def execs(rl: Rl, container: str) -> list[dict[str, object]]:
    """What `rl inspect` says about each exec of a container, the oldest first."""
    ids = rl.inspect(container)["ExecIDs"] or []
    return [rl.inspect(one) for one in ids]


def test_exec_can_be_inspected_and_keeps_its_exit_code(rl: Rl, container: str) -> None:
    rl.run("exec", "--user", "1:2", container, "sh", "-c", "exit 3", status=3)
    rl.run("exec", "-d", container, "sh", "-c", "while [ ! -e /go ]; do sleep 0.01; done; exit 4")
    first, second = execs(rl, container)
    assert (first["Running"], first["ExitCode"], first["Pid"]) == (False, 3, 0)
    assert first["ProcessConfig"] == {
        "arguments": ["-c", "exit 3"], "entrypoint": "sh", "privileged": False, "tty": False,
        "user": "1:2",
    }  # fmt: skip
    assert first["ContainerID"] == rl.inspect(container)["Id"]
    assert (second["Running"], second["ExitCode"]) == (True, None)
    assert os.path.isdir(f"/proc/{second['Pid']}")
    rl.run("exec", container, "touch", "/go")
    wait_until(lambda: not execs(rl, container)[1]["Running"], what="its end")
    assert rl.out("inspect", "--type", "exec", "-f", "{{.ExitCode}}", str(second["ID"])) == "4"
    rl.fails("inspect", "--type", "exec", "0" * 64, status=1, code="RL-EXEC-NOT-FOUND")
    rl.run("exec", "-d", container, "/nothing", status=127)
    events = rl.out(
        "events", "--since", "5m", "--until", "0s", "--filter", f"container={container}"
    )
    assert f"execID={second['ID']}, exitCode=4" in events


def test_exec_detached_with_a_terminal(rl: Rl, container: str) -> None:
    rl.run("exec", "-dt", container, "sh", "-c", "tty > /tmp/tty; seq 100000; exit 6")
    wait_until(lambda: execs(rl, container)[0]["ExitCode"] == 6, what="its end")
    assert rl.out("exec", container, "cat", "/tmp/tty").startswith("/dev/pts/")


def test_exec_goes_on_when_its_terminal_is_left(rl: Rl, container: str) -> None:
    rl.run("exec", container, "mkfifo", "/tmp/fifo")
    terminal = rl.pty("exec", "-it", "--detach-keys", "ctrl-x,q", container, "sh")
    terminal.expect(r"[#$] ")
    terminal.send("read x < /tmp/fifo; seq 100000; touch /tmp/end; read x < /tmp/fifo; exit 5\n")
    terminal.send("\x18q")
    assert terminal.wait() == 0
    terminal.close()
    rl.run("exec", container, "sh", "-c", "echo > /tmp/fifo", timeout=20)
    wait_until(lambda: rl.run("exec", container, "ls", "/tmp/end", check=False).returncode == 0)
    assert execs(rl, container)[1]["Running"] is True
    rl.run("exec", container, "sh", "-c", "echo > /tmp/fifo", timeout=20)
    wait_until(lambda: execs(rl, container)[1]["ExitCode"] == 5, what="its exit code")


def test_exec_with_a_terminal_hangs_up_with_rl(rl: Rl, container: str) -> None:
    script = "trap 'exit 7' HUP; echo up; sleep 100 & wait"
    terminal = rl.pty("exec", "-t", container, "sh", "-c", script)
    terminal.expect("up")
    os.kill(terminal.child.pid, signal.SIGKILL)
    wait_until(lambda: execs(rl, container)[0]["ExitCode"] == 7, what="its end")


def test_exec_is_forgotten_some_time_after_its_end(rl: Rl, container: str) -> None:
    rl.run("exec", container, "true")
    rl.run("exec", "-d", container, "sleep", "1000")
    directory = f"{rl.store}/containers/{rl.inspect(container)['Id']}/execs"
    for name in os.listdir(directory):
        os.utime(f"{directory}/{name}", (1, 1))  # as if ten minutes had passed
    rl.run("exec", container, "true")
    left = [record["ProcessConfig"]["entrypoint"] for record in execs(rl, container)]
    assert left == ["sleep", "true"]
