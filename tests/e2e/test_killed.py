"""SIGKILL to any of a container's processes at any moment, full disks, reboots, many at once.

RL_TEST_FULL=1 kills every process at every point.
"""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support import traces
from support.needs import faketime
from support.program import Rl
from support.traces import wait_until

FULL = bool(os.environ.get("RL_TEST_FULL"))
COMMANDS = ("create", "start", "exec", "stop", "rm")
VICTIMS = ("rl", "supervisor", "helper", "init")
POINTS = (0.15, 0.4, 0.65, 0.9)  # of the time that the command takes


def words_for(command: str, name: str) -> list[str]:
    return {
        "create": ["create", "--name", name, "busybox", "sleep", "1000"],
        "start": ["start", name],
        "exec": ["exec", name, "sh", "-c", "exit 0"],
        "stop": ["stop", "-t", "0", name],
        "rm": ["rm", "-f", name],
    }[command]


def prepare(rl: Rl, command: str, name: str) -> None:
    if command == "start":
        rl.run("create", "--name", name, "busybox", "sleep", "1000")
    elif command != "create":
        rl.run("run", "-d", "--name", name, "busybox", "sleep", "1000")


def victim_pid(rl: Rl, who: str, cli: int) -> int:
    """The process to kill, 0 when there is none at this moment."""
    if who == "rl":
        return cli
    if who in ("supervisor", "helper"):
        word = "rl-supervisor" if who == "supervisor" else "slirp4netns"
        found = [pid for pid, line in traces.processes(rl.worker, rl.root).items() if word in line]
        return found[0] if found else 0
    for one in traces.entries(f"{rl.store}/containers") - {"by-name"}:
        try:
            with open(f"{rl.store}/containers/{one}/state.json") as file:
                return int(json.load(file).get("pid") or 0)
        except (OSError, ValueError):
            pass
    return 0


def kill(pid: int) -> None:
    if pid > 0:
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


def is_right(rl: Rl, name: str) -> bool:
    """Whether a container that is said to run does.  One that was killed takes time to end."""
    if "running" not in rl.out("ps", "-a", "--format", "{{.Names}} {{.State}}").split():
        return True
    return rl.run("exec", name, "echo", "well", check=False).stdout == "well\n"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("point", range(len(POINTS)))
def test_a_kill_leaves_a_store_that_is_right(rl: Rl, command: str, point: int) -> None:
    name = rl.name()
    prepare(rl, command, name)
    begun = time.monotonic()
    rl.run(*words_for(command, name))
    duration = time.monotonic() - begun
    rl.run("rm", "-f", name)
    chosen = VICTIMS if FULL else (VICTIMS[(point + COMMANDS.index(command)) % len(VICTIMS)],)
    for who in chosen:
        prepare(rl, command, name)
        process = rl.popen(*words_for(command, name))
        time.sleep(duration * POINTS[point])  # the point: nothing is waited for
        kill(victim_pid(rl, who, process.pid))
        _, said = process.communicate(timeout=60)
        assert "Traceback" not in said, said
        wait_until(lambda: is_right(rl, name), what=f"{name} is what ps says, without its {who}")
        assert "Traceback" not in rl.run("inspect", name, check=False).stderr
        rl.run("rm", "-f", name)
        assert rl.out("run", "--rm", "--name", name, "busybox", "echo", "next") == "next"


def test_many_containers_leave_nothing(rl: Rl) -> None:
    """run --rm, and run -d with stop and rm, eight at a time; the fixture looks what is left."""

    def one(number: int) -> None:
        if number % 2:
            assert rl.out("run", "--rm", "busybox", "echo", str(number)) == str(number)
        else:
            name = rl.out("run", "-d", "-v", "/anonymous", "busybox", "sleep", "1000")
            rl.run("rm", "-f", "-v", name)

    before = traces.entries(f"{rl.store}/volumes")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(200)))
    assert rl.out("ps", "-aq") == ""
    assert traces.entries(f"{rl.store}/volumes") - {".lock"} == before - {".lock"}
    wait_until(lambda: not traces.entries(rl.runtime + "/rl"), what="no socket")


def reboot(rl: Rl, states: dict[str, dict[str, Any]]) -> None:
    """What an unclean reboot leaves: files that speak of processes of another boot."""
    for pid in traces.processes(rl.worker, rl.root):
        kill(pid)
    wait_until(lambda: not traces.processes(rl.worker, rl.root), what="the end of all processes")
    for name, changes in states.items():
        path = f"{rl.store}/containers/{name}/state.json"
        with open(path) as file:
            state = json.load(file)
        with open(path, "w") as file:
            json.dump(state | changes, file)


def test_after_an_unclean_reboot_all_is_exited_and_startable(rl: Rl) -> None:
    names = {}
    for kind, options in (("plain", []), ("policy", ["--restart", "always"]), ("health", [
        "--health-cmd", "true"])):  # fmt: skip
        names[kind] = rl.out("run", "-d", *options, "busybox", "sleep", "1000")
    # PIDs begin again: another process, ours, has the number by now, and must be left alone.
    with open("/proc/self/stat") as file:
        started = int(file.read().rpartition(")")[2].split()[19])
    other: dict[str, Any] = {"pid": os.getpid(), "start_time": started}
    other |= {"helpers": [dict(other)], "supervisor": dict(other)}
    other["boot_id"] = "00000000-1111-2222-3333-444444444444"
    status = {"policy": "restarting"}
    reboot(rl, {name: {**other, "status": status.get(kind, "running")}
                for kind, name in names.items()})  # fmt: skip
    shown = rl.out("ps", "-a", "--format", "{{.State}}").split()
    assert shown == ["exited"] * 3
    for name in names.values():
        rl.run("start", name)
        assert rl.out("exec", name, "echo", "up") == "up"
    rl.run("rm", "-f", *names.values())


def test_a_full_disk_costs_lines_and_never_the_container(small_rl: tuple[Rl, str]) -> None:
    rl, place = small_rl
    script = (
        "echo first; while [ ! -e /dev/shm/fill ]; do sleep 0.05; done; "
        "cat /dev/zero >/filling; touch /dev/shm/full; "
        "while [ ! -e /dev/shm/go ]; do head -c 9999 /dev/zero | tr '\\0' x; echo; "
        "echo >>/dev/shm/lines; sleep 0.02; "
        "done; echo last; sleep 1000"
    )
    name = rl.start(command=script)
    inside = ("exec", name, "sh", "-c")
    rl.wait_log(name, "first")
    rl.run(*inside, "touch /dev/shm/fill")
    wait_until(lambda: rl.run(*inside, "test -e /dev/shm/full", check=False).returncode == 0,
               what="the container's word")  # fmt: skip
    # More than the pipes hold, so that some are lost.
    wait_until(lambda: int(rl.out(*inside, "wc -l </dev/shm/lines")) > 20, what="many lines")
    rl.run(*inside, "rm /filling; touch /dev/shm/go")
    log = rl.wait_log(name, "last")
    rows = log.splitlines() + rl.run("logs", name).stderr.splitlines()
    assert rows[0] == "first" and "last" in rows
    notes = [row for row in rows if row.startswith("rl: ")]
    # More than one where a line found room between those that did not.
    said = "bytes of output are not in this log: the disk was full"
    assert notes and all(note.endswith(said) for note in notes), notes
    # The end is known, too, when there is no space to write it down.
    rl.run(*inside, "dd if=/dev/zero of=/filling bs=4k 2>/dev/null; dd if=/dev/zero of=/f bs=1 "
           "2>/dev/null; true")  # fmt: skip
    rl.run("kill", "-s", "KILL", name)
    assert rl.run("wait", name).stdout == "137\n"
    line = rl.out("ps", "-a", "--format", "{{.State}}", check=False)
    assert line in ("exited", ""), line
    rl.run("rm", name)
    assert os.statvfs(place).f_bavail > 0


@pytest.mark.needs("faketime")
def test_a_clock_that_jumps_breaks_no_health_check_and_no_restart(rl: Rl, tmp_path: object) -> None:
    """The supervisor's calendar is years ahead, and then years behind; timers go on as before."""
    clock = f"{tmp_path}/clock"

    def set_clock(offset: str) -> None:
        with open(f"{clock}.new", "w") as file:
            file.write(offset)
        os.rename(f"{clock}.new", clock)

    set_clock("+3000d")
    environment: dict[str, str | None] = {
        "LD_PRELOAD": faketime(), "FAKETIME_TIMESTAMP_FILE": clock, "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    name = rl.out(
        "run", "-d", "--health-cmd", "true", "--health-interval", "100ms", "--restart", "always",
        "--network", "none", "busybox", "sh", "-c", "sleep 2; exit 1", env=environment,
    )  # fmt: skip

    def health() -> Any:
        return rl.inspect(name)["State"]["Health"]

    wait_until(lambda: health()["Status"] == "healthy", what="health")
    assert health()["Log"][-1]["Start"] > "2030"
    set_clock("-3000d")
    wait_until(lambda: health()["Log"][-1]["Start"] < "2025", what="probes after the jump")
    wait_until(lambda: rl.inspect(name)["RestartCount"] >= 2, 20, "two restarts")
    assert rl.inspect(name)["State"]["StartedAt"] < "2025"
    rl.run("rm", "-f", name)


@pytest.mark.parametrize("options", [["-d"], []])
def test_what_a_container_of_the_hosts_pids_has_started_ends_with_it(
    rl: Rl, options: list[str]
) -> None:
    """No PID namespace ends it: daemons, children of children, those in sessions of their own."""
    script = "(setsid sleep 4243 &); sh -c 'sleep 4243 & sleep 4243' & sleep 1; exit 3"
    done = rl.run("run", *options, "--name", "shared", "--pid", "host", "--network", "none",
                  "busybox", "sh", "-c", script, status=0 if options else 3)  # fmt: skip
    assert done.stderr == ""
    assert rl.out("wait", "shared") == "3"
    left = [line for line in traces.processes(rl.worker, rl.root).values() if "4243" in line]
    assert not left
    rl.run("rm", "shared")


@pytest.mark.needs("pasta")
@pytest.mark.parametrize("network", ["slirp4netns", "pasta"])
def test_the_network_helper_ends_with_a_supervisor_that_is_killed(rl: Rl, network: str) -> None:
    """By itself: no command has to look first."""
    rl.run("run", "-d", "--network", network, "busybox", "sleep", "1000")
    processes = traces.processes(rl.worker, rl.root)
    (supervisor,) = [pid for pid, line in processes.items() if "rl-supervisor" in line]
    assert [line for line in processes.values() if network in line]
    kill(supervisor)
    wait_until(lambda: not traces.processes(rl.worker, rl.root), what="the end of all")
