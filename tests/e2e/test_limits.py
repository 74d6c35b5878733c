"""-m, --cpus, --pids-limit where no control group is delegated: an error with its remedy."""

import os
from pathlib import Path

import pytest
from support.program import Rl


def delegated() -> bool:
    """Whether this process may make child control groups (then the limits just hold)."""
    try:
        with open("/proc/self/cgroup") as f:
            path = next(x.split(":", 2)[2].strip() for x in f if x.startswith("0::"))
    except (OSError, StopIteration):
        return False
    return any(
        os.access(f"{root}{path}/cgroup.procs", os.W_OK)
        for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
    )


FLAGS = [["-m", "64m"], ["--cpus", "0.5"], ["--pids-limit", "50"], ["--cpuset-cpus", "0"]]


@pytest.mark.parametrize("flags", FLAGS, ids=lambda flags: flags[0])
def test_limit_that_cannot_hold_is_an_error(rl: Rl, no_leftovers: None, flags: list[str]) -> None:
    if delegated() or "DBUS_SESSION_BUS_ADDRESS" in os.environ:
        rl.run("run", "--rm", *flags, "busybox", "true")
        return
    line = rl.fails("run", "--rm", *flags, "busybox", "true", code="RL-LIMIT")
    assert "--limits=best-effort" in line


@pytest.mark.parametrize("flags", FLAGS, ids=lambda flags: flags[0])
def test_best_effort_says_what_it_does_instead(rl: Rl, flags: list[str]) -> None:
    done = rl.run("run", "--rm", "--limits", "best-effort", *flags, "busybox", "true")
    assert delegated() or "DBUS_SESSION_BUS_ADDRESS" in os.environ or done.stderr.strip()


@pytest.mark.parametrize("flags", [["-m", "1k"], ["--cpus", "-1"], ["--cpus", "9999"]])
def test_limit_that_makes_no_sense(rl: Rl, no_leftovers: None, flags: list[str]) -> None:
    rl.fails("run", "--rm", *flags, "busybox", "true")


@pytest.mark.skipif(delegated(), reason="the kernel holds it here")
def test_best_effort_stops_a_tree_whose_sum_is_over_the_limit(rl: Rl) -> None:
    """No process of it is over the limit: dd holds 12 MiB while it waits for its reader."""
    one = "dd if=/dev/zero bs=12M count=1 | sleep 100"
    name = rl.start("--limits", "best-effort", "-m", "24m", command=f"{one} & {one} & {one} & wait")
    assert "(limits: best-effort)" in rl.out("ps") or not rl.running(name)
    assert rl.out("wait", name) == "137"
    state = rl.inspect(name)["State"]
    assert state["OOMKilled"] is True
    assert state["Error"].startswith("killed: over its memory limit of 24 MiB, peak ")


@pytest.mark.skipif(delegated(), reason="the kernel holds it here")
def test_best_effort_holds_what_is_executed_later(rl: Rl) -> None:
    name = rl.start("--limits", "best-effort", "-m", "24m", "--pids-limit", "6")
    script = (
        "grep -E 'data|processes' /proc/self/limits; for i in 1 2 3 4 5 6 7; do sleep 100 & done"
    )
    done = rl.run("exec", name, "sh", "-c", script, check=False)
    data, processes = (line.split()[3] for line in done.stdout.splitlines())
    assert (data, processes) == (str(24 << 20), "6")
    assert "can't fork" in done.stderr


@pytest.mark.skipif(delegated(), reason="the kernel holds it here")
def test_best_effort_holds_the_steps_of_a_build(rl: Rl, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        "FROM busybox\nRUN grep -E 'data|processes' /proc/self/limits\n"
        "RUN for i in 1 2 3 4 5 6 7; do sleep 100 & done\n"
    )
    failed = rl.run(
        "build", "--limits=best-effort", "-m", "24m", "--pids-limit", "6", "--network=none",
        "--progress=plain", str(tmp_path), status=1,
    )  # fmt: skip
    assert "Max processes             6 " in failed.stderr
    assert f"Max data size             {24 << 20} " in failed.stderr
    assert "can't fork" in failed.stderr
