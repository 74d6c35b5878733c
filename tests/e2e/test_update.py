"""rl update: limits and restart policies of containers that are there already."""

import pytest
from support.program import Rl
from support.traces import wait_until


def test_update_gives_and_takes_a_restart_policy(rl: Rl) -> None:
    name = rl.name()
    rl.start("--name", name, command="trap 'exit 3' TERM; sleep 1000 & wait")
    assert rl.out("update", "--restart", "always", name) == name
    policy = rl.inspect(name)["HostConfig"]["RestartPolicy"]
    assert policy == {"Name": "always", "MaximumRetryCount": 0}
    first = rl.inspect(name)["State"]["Pid"]
    # The program ends by itself: what rl kill does is not for a policy to undo.
    rl.run("exec", name, "kill", "1", check=False)
    wait_until(
        lambda: (s := rl.inspect(name)["State"])["Running"] and s["Pid"] not in (0, first),
        what="its restart",
    )
    rl.run("container", "update", "--restart=no", name)
    rl.run("exec", name, "kill", "1", check=False)
    wait_until(lambda: not rl.running(name), what="its end")
    assert rl.inspect(name)["State"]["ExitCode"] == 3


def test_update_of_limits_is_as_strict_as_run(rl: Rl) -> None:
    name = rl.name()
    best = ("--limits", "best-effort", "--network", "none")
    rl.run("create", "--name", name, *best, "-m", "100m", "busybox", "true")
    rl.run("update", "-m", "200m", "--cpus", "0.5", "--pids-limit", "40", name)
    host = rl.inspect(name)["HostConfig"]
    limits = [host[key] for key in ("Memory", "NanoCpus", "PidsLimit")]
    assert limits == [200 << 20, 5 * 10**8, 40]
    done = rl.run("start", "-a", name)
    assert str(200 << 20) in done.stderr or not done.stderr
    rl.fails("update", "-m", "1m", name, status=125)
    rl.fails("update", "--memory-swap", "10m", name, status=125)
    assert rl.inspect(name)["HostConfig"]["Memory"] == 200 << 20


def test_update_of_a_running_container_without_a_group(rl: Rl) -> None:
    name = rl.name()
    rl.start("--name", name)
    rl.fails("update", "--pids-limit", "100", name, status=1, code="RL-UPDATE-RUNNING")
    assert rl.inspect(name)["HostConfig"]["PidsLimit"] is None


@pytest.mark.parametrize(
    "options",
    [[], ["--restart", "sometimes"], ["--restart", "always:3"], ["--cpus", "-1"],
     ["--cpuset-cpus", "x"], ["--cpu-shares", "1"], ["--blkio-weight", "5"]],
    ids=" ".join,
)  # fmt: skip
def test_update_that_makes_no_sense(rl: Rl, options: list[str]) -> None:
    name = rl.name()
    rl.run("create", "--name", name, "busybox", "true")
    rl.fails("update", *options, name, status=125)


def test_update_knows_that_rm_and_restart_exclude_each_other(rl: Rl) -> None:
    name = rl.name()
    rl.run("create", "--rm", "--name", name, "busybox", "true")
    rl.fails("update", "--restart", "always", name, status=125)
