"""Each limit, tried by a program that wants more: it allocates, forks, spins, writes."""

import json
import os
import subprocess
import time
from collections.abc import Callable

import pytest
from support import traces
from support.program import Rl, program

pytestmark = pytest.mark.host("systemd", "default-delegation", "qemu")

NO_NET = ("--network", "none")
HOST = os.environ["RL_LAB_HOST"]


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


def test_memory_and_swap_together_are_given_and_no_more(rl):
    """Half of what dd fills is swapped out; what is over both is death."""
    command = ("run", "--rm", *NO_NET, "-m", "24m", "--memory-swap", "64m", "busybox", "dd")
    numbers = ("if=/dev/zero", "of=/dev/null", "count=1")
    done = rl.run(*command, *numbers, "bs=40M")
    assert "Warning" not in done.stderr and "Note: " not in done.stderr
    killed = rl.run(*command, *numbers, "bs=80M", status=137)
    assert "killed: over its memory limit of 24 MiB, peak 24 MiB; raise -m" in killed.stderr


def test_memory_is_raised_while_it_runs(rl):
    name = rl.start("-m", "24m", "--memory-swap", "24m")
    dd = ("exec", name, "dd", "if=/dev/zero", "of=/dev/null", "bs=32M", "count=1")
    assert rl.run(*dd, check=False).returncode == 137
    assert rl.running(name)  # exec's process was the largest
    rl.run("update", "-m", "64m", "--memory-swap", "64m", "--memory-reservation", "16m", name)
    rl.run(*dd)
    assert value(rl, name, "memory.low") == str(16 << 20)
    assert rl.inspect(name)["HostConfig"]["Memory"] == 64 << 20
    line = rl.fails("update", "-m", "4m", name, code="RL-USAGE", status=125)
    assert "6m" in line and value(rl, name, "memory.max") == str(64 << 20)


def test_oom_score_is_adjusted(rl):
    name = rl.start("--oom-score-adj", "700")
    assert rl.out("exec", name, "cat", "/proc/1/oom_score_adj") == "700"


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


@pytest.mark.host("systemd", "qemu")
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


@pytest.mark.host("qemu")
def test_cpus_and_memory_nodes_are_those_that_were_named(rl):
    """Two that spin have one of the host's two CPUs, and then the other one, and then both."""
    spin = "while :; do :; done"
    name = rl.start("--cpuset-cpus", "1", "--cpuset-mems", "0", command=f"{spin} & {spin}")
    allowed = ("exec", name, "grep", "_allowed_list", "/proc/1/status")
    assert rl.out(*allowed).split() == ["Cpus_allowed_list:", "1", "Mems_allowed_list:", "0"]
    assert rate(group(rl, name), 10) == pytest.approx(1, rel=0.1)
    rl.run("exec", name, "taskset", "1", "true", status=1)  # the first CPU is none of its
    rl.run("update", "--cpuset-cpus", "0", name)
    assert rl.out(*allowed).split()[1] == "0"
    rl.run("update", "--cpuset-cpus", "0-1", name)
    assert rate(group(rl, name), 5) > 1.2


# Disks.


def root_disk() -> str:
    """The device that the root file system is on."""
    number = os.stat("/").st_dev
    return os.path.realpath(f"/dev/block/{os.major(number)}:{os.minor(number)}")


def seconds(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


@pytest.mark.host("systemd", "qemu")
def test_writing_to_a_disk_is_held_back(rl):
    name = rl.start("--device-write-bps", f"{root_disk()}:2mb")
    assert "wbps=2097152" in value(rl, name, "io.max")
    write = "dd if=/dev/zero of=/file bs=1M count=8 conv=fsync"
    assert seconds(lambda: rl.run("exec", name, "sh", "-c", write, timeout=120)) > 3


@pytest.mark.host("systemd", "qemu")
def test_operations_and_reading_are_held_back(rl):
    """Past the page cache: 40 operations of 4 KiB at 10 a second, then 4 MiB at 1 MiB a second."""
    disk = root_disk()
    name = rl.start("--device-write-iops", f"{disk}:10", "--device-read-bps", f"{disk}:1mb")
    write = "dd if=/dev/zero of=/file bs=4k count=40 oflag=direct"
    assert seconds(lambda: rl.run("exec", name, "sh", "-c", write, timeout=120)) > 3
    rl.run("update", "--device-write-iops", f"{disk}:0", name)
    fill = "dd if=/dev/zero of=/file bs=1M count=4 conv=fsync"
    rl.run("exec", name, "sh", "-c", fill, timeout=120)
    read = "dd if=/file of=/dev/null bs=256k iflag=direct"
    assert seconds(lambda: rl.run("exec", name, "sh", "-c", read, timeout=120)) > 3
    rl.run("update", "--device-read-bps", f"{disk}:0", "--device-read-iops", f"{disk}:10", name)
    assert value(rl, name, "io.max").split(" ", 1)[1] == "rbps=max wbps=max riops=10 wiops=max"
    read = "dd if=/file of=/dev/null bs=4k count=40 iflag=direct"
    assert seconds(lambda: rl.run("exec", name, "sh", "-c", read, timeout=120)) > 3


@pytest.mark.host("qemu")
def test_weight_of_the_disk_is_given_to_both_that_can_hold_it(rl):
    """The cost model and BFQ, which this host has on; the disk is too fast to be short of."""
    name = rl.start("--blkio-weight", "800")
    for file in ("io.weight", "io.bfq.weight"):
        assert value(rl, name, file) == "default 800"
    rl.run("update", "--blkio-weight", "50", name)
    for file in ("io.weight", "io.bfq.weight"):
        assert value(rl, name, file) == "default 50"


# Usage.


@pytest.mark.host("qemu")
def test_pressure_is_what_had_to_wait(rl):
    """Spinning against a limit of a fifth of a CPU: something waits most of the time."""
    name = rl.start("--cpus", "0.2", command="while :; do :; done")

    def waits() -> float:
        shown = rl.out("stats", "--no-stream", "--format", "{{.Pressure}}", name)
        return float(shown.split("cpu ")[1].split("%")[0]) if "cpu " in shown else 0.0

    traces.wait_until(lambda: waits() > 40, 20, "a CPU pressure of 40 %")


def test_usage_is_that_of_the_group(rl):
    name = rl.start("-m", "64m", "--pids-limit", "30", command="dd if=/dev/zero of=/file bs=1M "
                    "count=4 conv=fsync; echo written; while :; do :; done")  # fmt: skip
    rl.wait_log(name, "written", 60)
    used = json.loads(rl.out("stats", "--no-stream", "--format", "json", name).splitlines()[0])
    assert used["PIDs"] == "1" and used["MemUsage"].endswith("/ 64MiB")
    assert float(used["MemPerc"].rstrip("%")) > 0
    if HOST != "default-delegation":
        assert used["Source"] == "cgroup"
        assert float(used["CPUPerc"].rstrip("%")) > 20
        assert used["BlockIO"].endswith("/ 4.19MB")


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


def test_group_is_below_ours_where_no_systemd_answers(rl, no_leftovers):
    """As in a batch job: a subtree that is ours, and no bus."""
    script = f"""
    export DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere
    rl() {{ {program()} "$@"; }}
    rl run -d --name held --network none -m 48m --memory-swap 48m --pids-limit 8 busybox sleep 1000
    rl inspect held --format '{{{{.State.Limits}}}} {{{{.State.CgroupPath}}}}'
    rl exec held sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 100 & echo $i; done'
    rl update --pids-limit 20 held >/dev/null
    rl exec held dd if=/dev/zero of=/dev/null bs=64M count=1; echo $?
    rl exec held cat /sys/fs/cgroup/pids.max
    rl rm -f held >/dev/null
    """
    done = subprocess.run(
        ["systemd-run", "--user", "--scope", "-q", "-p", "Delegate=yes", "bash", "-c", script],
        env={**os.environ, **rl.env, "XDG_RUNTIME_DIR": "/run/user/1000",
             "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/user/1000/bus"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    kind, path = lines[1].split()
    assert kind == "cgroupfs" and path.endswith(f"/rl-{lines[0][:12]}/container")
    # Of 8, one is init, one exec's shell.
    assert lines[2:] == ["1", "2", "3", "4", "5", "6", "137", "20"]
    assert "can't fork" in done.stderr
    assert not os.path.exists(os.path.dirname(path))


def test_namespace_of_the_host_shows_the_path(rl):
    name = rl.start("--pids-limit", "30", "--cgroupns", "host")
    shown = rl.out("exec", name, "cat", "/proc/1/cgroup")
    assert shown == "0::" + group(rl, name).removeprefix("/sys/fs/cgroup")


@pytest.mark.host("default-delegation")
def test_best_effort_is_weaker_and_says_so(rl):
    """All that is asked for, for one controller is missing."""
    flags = ("--limits=best-effort", "--cpus", "0.5", "--cpu-shares", "512", "-m", "48m",
             "--pids-limit", "8")  # fmt: skip
    name = rl.name()
    done = rl.run("run", "-d", "--name", name, *NO_NET, *flags, "busybox", "sleep", "1000")
    notes = [line for line in done.stderr.splitlines() if line.startswith("Note: ")]
    assert [note.split()[1] for note in notes] == ["--memory:", "--pids-limit:", "--cpus:",
                                                   "--cpu-shares:"]  # fmt: skip
    assert rl.inspect(name)["State"]["Limits"] == "best-effort"
    assert "(limits: best-effort)" in rl.out("ps")
    assert rl.out("exec", name, "cut", "-d ", "-f19", "/proc/self/stat") == "8"  # nice
    assert rl.run(
        "exec", name, "dd", "if=/dev/zero", "of=/dev/null", "bs=64M", check=False
    ).returncode
    many = rl.run(
        "exec", name, "sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 100 & done", check=False
    )
    assert "can't fork" in many.stderr


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
