"""Two commands at once on the same container, image or name."""

import os
import subprocess
from collections.abc import Callable

import pytest
from support.images import Image, busybox_tar, tar
from support.program import Rl
from support.registry import Registry


def together(rl: Rl, *commands: list[str]) -> list[tuple[int, str, str]]:
    """Run the commands at once: status, stdout and stderr of each."""
    children = [rl.popen(*command, stdin=subprocess.DEVNULL) for command in commands]
    done = [(child.communicate(timeout=90), child.returncode) for child in children]
    for (_, err), _ in done:
        assert "Traceback" not in err, err
    return [(status, out, err) for (out, err), status in done]


def test_one_of_many_gets_the_name(rl: Rl) -> None:
    name = rl.name()
    run = ["run", "-d", "--network", "none", "--name", name, "busybox", "sleep", "100"]
    results = together(rl, *[run] * 6)
    assert sorted(status for status, _, _ in results) == [0, 125, 125, 125, 125, 125]
    assert all(name in err for status, _, err in results if status)
    assert len(rl.out("ps", "-aq").split()) == 1


def test_rm_twice_at_once(rl: Rl) -> None:
    container = rl.start()
    results = together(rl, *[["rm", "-f", container]] * 4)
    assert 0 in [status for status, _, _ in results]
    assert rl.out("ps", "-aq") == ""


def test_start_twice_at_once_starts_one(rl: Rl) -> None:
    container = rl.out("create", "--network", "none", "busybox", "sleep", "100")
    results = together(rl, *[["start", container]] * 4)
    assert [status for status, _, _ in results] == [0] * 4
    assert rl.out("ps", "-q", "--no-trunc") == container
    assert rl.out("exec", container, "sh", "-c", "ls -d /proc/[0-9]* | wc -l").strip() in "234"


def test_stop_and_rm_and_exec_at_once(rl: Rl) -> None:
    for _ in range(3):
        container = rl.start()
        together(
            rl, ["stop", "-t", "1", container], ["rm", "-f", container],
            ["exec", container, "true"], ["kill", container], ["inspect", container],
        )  # fmt: skip
        rl.run("rm", "-f", container)
        assert rl.out("ps", "-aq") == ""


@pytest.mark.parametrize("options", [[], ["--restart", "always"]], ids=["once", "always"])
def test_stop_and_restart_at_once(rl: Rl, options: list[str]) -> None:
    """Each ends one run and waits for nobody else's."""
    container = rl.start(*options)
    for _ in range(3):
        commands = [["stop", "-t", "1", container], ["restart", "-t", "1", container]]
        results = together(rl, *commands * 3)
        assert [status for status, _, _ in results] == [0] * 6, results
    rl.run("restart", "-t", "1", container)
    rl.run("stop", "-t", "1", container)
    assert rl.inspect(container)["State"]["Status"] == "exited"


def test_restarts_at_once_keep_a_container_of_rm(rl: Rl) -> None:
    container = rl.start("--rm")
    results = together(rl, *[["restart", "-t", "1", container]] * 4)
    assert [status for status, _, _ in results] == [0] * 4, results
    assert rl.running(container)
    rl.run("stop", "-t", "1", container)
    assert rl.out("ps", "-aq") == ""


def test_rm_while_it_is_restarted(rl: Rl) -> None:
    container = rl.start("--restart", "always", command="exit 1")
    restart = ["restart", "-t", "1", container]
    results = together(rl, restart, restart, ["rm", "-f", container], restart, restart)
    assert results[2][0] == 0, results
    assert rl.out("ps", "-aq") == ""


def test_ps_while_containers_come_and_go(rl: Rl) -> None:
    run = ["run", "--rm", "--network", "none", "busybox", "true"]
    results = together(rl, *([run] * 6 + [["ps", "-a"]] * 6))
    assert [status for status, _, _ in results] == [0] * 12


def test_pull_twice_at_once(fresh_store: Callable[..., Rl], registry: Registry) -> None:
    rl = fresh_store()
    layers = [busybox_tar(), tar({"x": os.urandom(2_000_000)})]
    reference = registry.push("test/twice", Image(layers, {"Cmd": ["true"]}))
    results = together(rl, *[["pull", reference]] * 3)
    assert [status for status, _, _ in results] == [0, 0, 0]
    rl.run("run", "--rm", "--network", "none", reference)
    assert os.listdir(f"{rl.store}/tmp") == []


def test_rmi_while_it_is_run(rl: Rl, registry: Registry) -> None:
    reference = registry.push("test/race", Image([busybox_tar()], {"Cmd": ["sleep", "100"]}))
    for _ in range(3):
        rl.run("pull", reference)
        run, rmi = together(
            rl, ["run", "-d", "--network", "none", "--pull", "never", reference], ["rmi", reference]
        )
        # Whoever comes first: an image is never taken away from under a container.
        if run[0] == 0:
            assert rl.out("exec", run[1].strip(), "echo", "alive") == "alive"
        else:
            assert rmi[0] == 0
        rl.remove_containers()
