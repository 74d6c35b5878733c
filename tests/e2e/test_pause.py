"""pause, unpause, and what the other commands do with a paused container."""

import time

import pytest
from support.program import Rl
from support.traces import wait_until

COUNT = "trap 'exit 3' TERM; i=0; while true; do i=$((i+1)); echo $i > /count; sleep 0.02; done"


@pytest.fixture
def counting(rl: Rl) -> str:
    """A container that counts in /count."""
    name = rl.name()
    rl.start("--name", name, command=f"(while true; do date > /child; done) & {COUNT}")
    wait_until(lambda: rl.run("exec", name, "cat", "/count", check=False).stdout, what="a count")
    return name


def states(rl: Rl, name: str) -> set[str]:
    """The states of all its processes, as rl top sees them."""
    return set(rl.out("top", name, "-o", "s=").split())


def test_a_paused_container_stands_still_and_goes_on(rl: Rl, counting: str) -> None:
    done = rl.run("pause", counting)
    assert done.stdout == f"{counting}\n"
    pid = rl.inspect(counting)["State"]["Pid"]
    if "stopped by signals" in done.stderr:
        # What had ended before its parent could see it stays as it is.
        assert {"T"} <= states(rl, counting) <= {"T", "Z"}
    root = f"/proc/{pid}/root/count"
    with open(root) as before, open(root) as after:
        assert before.read() == after.read()
    state = rl.inspect(counting)["State"]
    assert (state["Status"], state["Paused"], state["Running"]) == ("paused", True, True)
    assert rl.out("ps", "--format", "{{.State}} {{.Status}}").endswith("(Paused)")
    assert rl.out("ps", "-q", "--no-trunc", "--filter", "status=paused")
    assert rl.out("ps", "-q", "--filter", "status=running") == ""
    assert rl.out("wait", "--condition", "paused", counting) == "-1"

    for command in (["exec", counting, "true"], ["attach", counting], ["pause", counting],
                    ["start", counting]):  # fmt: skip
        rl.fails(*command, status=1, code="RL-CONTAINER-PAUSED")
    rl.fails("rm", counting, status=1, code="RL-CONTAINER-RUNNING")

    assert rl.out("unpause", counting) == counting
    old = rl.out("exec", counting, "cat", "/count")
    wait_until(lambda: rl.out("exec", counting, "cat", "/count") != old, what="counting again")
    rl.fails("unpause", counting, status=1, code="RL-CONTAINER-NOT-PAUSED")


def test_stop_lets_a_paused_container_end_in_its_own_way(rl: Rl, counting: str) -> None:
    rl.run("pause", counting)
    rl.run("stop", "-t", "30", counting)
    assert rl.inspect(counting)["State"]["ExitCode"] == 3


def test_kill_and_rm_reach_a_paused_container(rl: Rl, counting: str) -> None:
    rl.run("pause", counting)
    rl.run("kill", "-s", "TERM", counting)
    assert rl.out("wait", counting) == "3"
    rl.run("start", counting)
    assert rl.inspect(counting)["State"]["Status"] == "running"
    rl.run("pause", counting)
    rl.run("rm", "-f", counting)
    rl.fails("inspect", counting, status=1)


def test_what_was_stopped_before_stays_stopped(rl: Rl, counting: str) -> None:
    rl.run("exec", "-d", counting, "tail", "-f", "/dev/null")
    look = ("top", counting, "-o", "s=,args=")
    wait_until(lambda: "tail" in rl.out(*look), what="the tail")
    rl.run("exec", counting, "killall", "-STOP", "tail")
    rl.run("pause", counting)
    rl.run("unpause", counting)
    lines = rl.out(*look).splitlines()
    assert [line for line in lines if line.startswith("T")] == ["T   tail -f /dev/null"], lines


def test_what_a_killed_pause_leaves_can_be_unpaused(rl: Rl, counting: str) -> None:
    for step in range(10):
        pausing = rl.popen("pause", counting)
        time.sleep(step * 0.01)  # a point of its work, whichever it is
        pausing.kill()
        pausing.communicate(timeout=20)
        if rl.inspect(counting)["State"]["Paused"]:
            rl.run("unpause", counting)
        old = rl.out("exec", counting, "cat", "/count")
        wait_until(lambda o=old: rl.out("exec", counting, "cat", "/count") != o, what="counting")


def test_only_a_running_container_is_paused(rl: Rl) -> None:
    name = rl.name()
    rl.run("create", "--name", name, "busybox", "true")
    rl.fails("pause", name, status=1, code="RL-CONTAINER-NOT-RUNNING")
    rl.fails("unpause", name, status=1, code="RL-CONTAINER-NOT-RUNNING")


def test_tasks_of_a_swarm_are_not_there(rl: Rl) -> None:
    assert "swarm" in rl.fails("ps", "--filter", "is-task=true", code="RL-FILTER")
