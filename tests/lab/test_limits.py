"""Each limit, tried by a program that wants more: it allocates, forks, spins, writes."""

import json
import os
import time

import pytest
from support import traces
from support.program import Rl

NO_NET = ("--network", "none")


def group(rl: Rl, name: str) -> str:
    """The directory of a running container's control group."""
    return str(rl.inspect(name)["State"]["CgroupPath"])


def value(rl: Rl, name: str, file: str) -> str:
    with open(f"{group(rl, name)}/{file}") as opened:
        return opened.read().strip()


# Memory.


def test_memory_below_the_limit_is_given_and_above_it_is_death(rl, no_leftovers):
    command = ("run", "--rm", *NO_NET, "-m", "48m", "--memory-swap", "48m", "busybox", "dd")
    numbers = ("if=/dev/zero", "of=/dev/null", "count=1")
    rl.run(*command, *numbers, "bs=32M")
    killed = rl.run(*command, *numbers, "bs=64M", status=137)
    assert "killed: over its memory limit of 48 MiB, peak 48 MiB; raise -m" in killed.stderr


def test_death_for_memory_is_told_as_such(rl):
    name = rl.name()
    rl.run(
        "run", "--name", name, *NO_NET, "-m", "16m", "--memory-swap", "16m", "-d",
        "busybox", "tail", "/dev/zero",
    )  # fmt: skip
    assert rl.out("wait", name) == "137"
    state = rl.inspect(name)["State"]
    assert state["OOMKilled"] is True
    assert state["Error"] == "killed: over its memory limit of 16 MiB, peak 16 MiB; raise -m"
    assert "Exited (137)" in rl.out("ps", "-a") and "out of memory" in rl.out("ps", "-a")


def test_swap_is_part_of_the_limit(rl):
    name = rl.start("-m", "32m", "--memory-swap", "40m", "--memory-reservation", "8m")
    assert value(rl, name, "memory.max") == str(32 << 20)
    assert value(rl, name, "memory.swap.max") == str(8 << 20)
    assert value(rl, name, "memory.low") == str(8 << 20)
    assert rl.out("exec", name, "cat", "/sys/fs/cgroup/memory.max") == str(32 << 20)


# Processes.


def test_number_of_processes_is_exact(rl):
    script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 100 & echo $i; done"
    done = rl.run(
        "run", "--rm", *NO_NET, "--pids-limit", "8", "busybox", "sh", "-c", script, check=False
    )
    assert done.stdout.split()[-1] == "7"  # and the shell
    assert "can't fork" in done.stderr


def test_exec_counts_in_the_container(rl):
    name = rl.start("--pids-limit", "3")  # the shell and its sleep
    rl.fails("exec", name, "true", code="RL-LIMIT-PIDS", status=1)
    rl.run("update", "--pids-limit", "4", name)
    two = ("exec", name, "sh", "-c", "(sleep 1; true) & (sleep 1; true) & wait")
    assert "can't fork" in rl.run(*two, check=False).stderr
    rl.run("update", "--pids-limit", "-1", name)
    assert rl.run(*two).stderr == ""


# CPU time.


def used_s(directory: str) -> float:
    with open(f"{directory}/cpu.stat") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("usage_usec")) / 1e6


def rate(directory: str, seconds: float) -> float:
    """The CPUs that a group uses, over some seconds."""
    began, before = time.monotonic(), used_s(directory)
    traces.wait_until(lambda: time.monotonic() - began >= seconds, seconds + 5)
    return (used_s(directory) - before) / (time.monotonic() - began)


@pytest.mark.host("systemd")
@pytest.mark.parametrize(
    "flags", [["--cpus", "0.3"], ["--cpu-quota", "6000", "--cpu-period", "20000"]],
    ids=["cpus", "quota"],
)  # fmt: skip
def test_cpu_time_stays_within_the_limit(rl, flags):
    name = rl.start(*flags, command="while :; do :; done")
    assert rate(group(rl, name), 10) == pytest.approx(0.3, rel=0.1)
    rl.run("update", "--cpu-quota", "-1", name) if "--cpu-quota" in flags else rl.run(
        "update", "--cpus", "0.6", name
    )
    assert rate(group(rl, name), 3) > 0.5


@pytest.mark.host("systemd")
def test_shares_divide_the_cpu(rl):
    """On a host with one CPU: 3 to 1."""
    few = rl.start("--cpu-shares", "256", command="while :; do :; done")
    many = rl.start("-c", "768", command="while :; do :; done")
    groups = [group(rl, name) for name in (few, many)]
    began = [used_s(one) for one in groups]
    start = time.monotonic()
    traces.wait_until(lambda: time.monotonic() - start > 6, 20)
    used = [used_s(one) - before for one, before in zip(groups, began, strict=True)]
    assert used[1] / used[0] == pytest.approx(3, rel=0.2)


# Disks.


@pytest.mark.host("systemd")
def test_writing_to_a_disk_is_held_back(rl):
    flags = ["--device-write-bps", "/dev/ubda:2mb", "--device-read-iops", "/dev/ubda:50"]
    script = "dd if=/dev/zero of=/file bs=1M count=8 conv=fsync"
    name = rl.start(*flags)
    assert "wbps=2097152" in value(rl, name, "io.max") and "riops=50" in value(rl, name, "io.max")
    began = time.monotonic()
    rl.run("exec", name, "sh", "-c", script, timeout=120)
    assert time.monotonic() - began > 3


# The group.


def test_container_is_in_a_scope_of_systemd_and_divides_its_group(rl):
    name = rl.start("--pids-limit", "30")
    assert f"rl-{name[:12]}.scope/" in group(rl, name)
    inside = "/sys/fs/cgroup"
    raised = rl.run("exec", name, "sh", "-c", f"echo 50 >{inside}/pids.max", check=False)
    assert raised.returncode != 0
    assert value(rl, name, "pids.max") == "30"
    # As systemd and podman do in a container: first out of the way, then hand out.
    script = (
        f"cd {inside} && mkdir leaf part && for p in $(cat cgroup.procs); do "
        "echo $p >leaf/cgroup.procs; done; echo '+pids +memory' >cgroup.subtree_control && "
        "echo 5 >part/pids.max && echo $$ >part/cgroup.procs && cat /proc/self/cgroup part/pids.max"
    )
    assert rl.out("exec", name, "sh", "-c", script) == "0::/part\n5"


def test_container_without_limits_has_no_group_to_divide(rl):
    name = rl.start()
    refused = rl.run("exec", name, "mkdir", "/sys/fs/cgroup/part", check=False)
    assert "Read-only file system" in refused.stderr


def test_group_is_where_it_was_asked_for(rl):
    name = rl.start("--cgroup-parent", "batch.slice", "--cgroup-conf", "memory.high=33554432")
    assert "/batch.slice/rl-" in group(rl, name)
    assert value(rl, name, "memory.high") == "33554432"


def test_scope_is_gone_with_the_container(rl):
    name = rl.start("--pids-limit", "30")
    directory = os.path.dirname(group(rl, name))
    rl.run("restart", "-t", "0", name)  # while systemd still knows the first one
    assert group(rl, name).startswith(directory)
    rl.run("rm", "-f", name)
    traces.wait_until(lambda: not os.path.exists(directory), 10, f"{directory} is gone")


def test_scope_is_gone_with_a_supervisor_that_is_killed(rl):
    name = rl.start("--pids-limit", "30")
    directory = os.path.dirname(group(rl, name))
    with open(f"{rl.store}/containers/{name}/state.json") as file:
        os.kill(json.load(file)["supervisor"]["pid"], 9)
    traces.wait_until(lambda: not os.path.exists(directory), 10, f"{directory} is gone")
    assert not rl.running(name)


@pytest.mark.host("default-delegation")
def test_missing_controller_is_named_with_the_drop_in_file(rl, no_leftovers):
    line = rl.fails("run", "--rm", "--cpus", "0.5", "busybox", "true", code="RL-LIMIT")
    assert "cpu" in line and "--limits=best-effort" in line
    assert "/etc/systemd/system/user@.service.d/delegate.conf" in line


# Builds.


def test_build_step_is_held_to_its_limits(rl, tmp_path):
    (tmp_path / "Dockerfile").write_text(
        "FROM busybox\nRUN cat /sys/fs/cgroup/pids.max >/limit\n"
        "RUN dd if=/dev/zero of=/dev/null bs=64M count=1\n"
    )
    failed = rl.run(
        "build", "--pids-limit", "20", "-m", "48m", "--memory-swap", "48m", "--network", "none",
        "--progress", "plain", str(tmp_path), status=1, timeout=120,
    )  # fmt: skip
    assert "killed: over its memory limit of 48 MiB" in failed.stderr
    (tmp_path / "Dockerfile").write_text(
        "FROM busybox\nRUN cat /sys/fs/cgroup/pids.max >/limit\nCMD cat /limit\n"
    )
    rl.run("build", "-q", "--pids-limit", "20", "-t", "limited", str(tmp_path), timeout=120)
    assert rl.out("run", "--rm", *NO_NET, "limited") == "20"
    rl.run("rmi", "limited")
