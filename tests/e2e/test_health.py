"""Health checks: of images and of --health-*, asked by the container's parent."""

import json
import os
import signal
import subprocess
from typing import Any

from support.builds import Project
from support.program import Rl, program
from support.traces import processes, wait_until


def health(rl: Rl, name: str) -> dict[str, Any]:
    return dict(rl.inspect(name)["State"]["Health"])


def becomes(rl: Rl, name: str, status: str) -> dict[str, Any]:
    wait_until(lambda: health(rl, name)["Status"] == status, what=f"{name} is {status}")
    return health(rl, name)


def test_status_follows_the_answers_and_is_told(rl: Rl) -> None:
    name = rl.start("--health-cmd", "cat /ok; echo no >&2; test -e /ok", "--health-interval",
                    "100ms", "--health-retries", "2", "--label", "app=x")  # fmt: skip
    assert rl.out("ps", "--format", "{{.Status}}", "-f", f"id={name}").endswith(
        "(health: starting)"
    )
    found = becomes(rl, name, "unhealthy")
    assert found["FailingStreak"] >= 2
    last = found["Log"][-1]
    assert last["ExitCode"] == 1
    assert last["Output"] == "cat: can't open '/ok': No such file or directory\nno\n"
    assert last["Start"] < last["End"]
    rl.run("exec", name, "touch", "/ok")
    found = becomes(rl, name, "healthy")
    wait_until(lambda: len(health(rl, name)["Log"]) == 5, what="five answers, and no more")
    assert found["FailingStreak"] == 0
    assert rl.out("ps", "--format", "{{.Status}}", "-f", f"id={name}").endswith("(healthy)")
    assert rl.out("ps", "-q", "--no-trunc", "-f", "health=healthy") == name
    assert rl.out("ps", "-q", "-f", "health=unhealthy") == ""
    told = rl.out("events", "--since", "1", "--until", "0s", "--format", "{{.Action}}",
                  "-f", f"container={name}", "-f", "event=health_status")  # fmt: skip
    assert told == "health_status: unhealthy\nhealth_status: healthy"
    assert rl.inspect(name)["Config"]["Healthcheck"] == {
        "Test": ["CMD-SHELL", "cat /ok; echo no >&2; test -e /ok"],
        "Interval": 10**8, "Retries": 2,
    }  # fmt: skip


def test_a_probe_that_takes_too_long_is_killed(rl: Rl) -> None:
    name = rl.start("--health-cmd", "echo begun; sleep 4711", "--health-interval", "100ms",
                    "--health-timeout", "300ms", "--health-retries", "1")  # fmt: skip
    last = becomes(rl, name, "unhealthy")["Log"][0]
    assert (last["ExitCode"], last["Output"]) == (
        -1, "Health check exceeded timeout (300ms): begun\n",
    )  # fmt: skip
    rl.run("stop", "-t", "0", name)
    assert not [line for line in processes(rl.worker, rl.root).values() if "4711" in line]


def test_the_start_period_forgives_and_long_output_is_cut(rl: Rl) -> None:
    name = rl.start("--health-cmd", "yes | head -c 5000; exit 1", "--health-interval", "100ms",
                    "--health-start-period", "100s", "--health-start-interval", "100ms",
                    "--health-retries", "1")  # fmt: skip
    wait_until(lambda: len(health(rl, name)["Log"]) >= 3, what="three answers")
    found = health(rl, name)
    assert (found["Status"], found["FailingStreak"]) == ("starting", 0)
    assert found["Log"][0]["Output"] == "y\n" * 2048 + "..."


def test_a_probe_that_cannot_run_is_unhealthy_with_the_reason(rl: Rl, project: Project) -> None:
    project.write({"Dockerfile": 'FROM busybox\nHEALTHCHECK --interval=100ms --retries=1 '
                   'CMD ["/no/such"]\nCMD sleep 1000\n'})  # fmt: skip
    image = rl.name("sick")
    project.run("-t", image)
    name = rl.out("run", "-d", "--network", "none", image)
    assert "/no/such" in becomes(rl, name, "unhealthy")["Log"][0]["Output"]
    # The image's times, with another command, and without any.
    other = rl.out("run", "-d", "--network", "none", "--health-cmd", "true", image)
    becomes(rl, other, "healthy")
    assert rl.inspect(other)["Config"]["Healthcheck"]["Interval"] == 10**8
    none = rl.out("run", "-d", "--network", "none", "--no-healthcheck", image)
    assert "Health" not in rl.inspect(none)["State"]
    rl.run("rm", "-f", name, other, none)
    rl.run("rmi", image)


def test_in_the_foreground_over_a_restart_and_paused(rl: Rl) -> None:
    name = rl.name()
    process = rl.popen("run", "--rm", "--name", name, "--network", "none", "--health-cmd", "true",
                       "--health-interval", "100ms", "busybox", "sleep", "1000")  # fmt: skip
    wait_until(lambda: rl.run("inspect", name, check=False).returncode == 0, what="the container")
    becomes(rl, name, "healthy")
    rl.run("pause", name)
    count = len(health(rl, name)["Log"])
    rl.run("unpause", name)
    wait_until(lambda: health(rl, name)["Log"][-1]["ExitCode"] == 0 and count, what="an answer")
    rl.run("kill", name)
    assert process.wait(timeout=30) == 137
    again = rl.start("--health-cmd", "true", "--health-interval", "200ms", "--restart", "always",
                     command="sleep 1000")  # fmt: skip
    becomes(rl, again, "healthy")
    os.kill(rl.inspect(again)["State"]["Pid"], signal.SIGKILL)
    wait_until(lambda: rl.inspect(again)["RestartCount"] == 1, what="the restart")
    assert json.loads(rl.out("events", "--since", "1", "--until", "0s", "--format", "json",
                             "-f", f"container={again}").splitlines()[-1])  # fmt: skip
    becomes(rl, again, "healthy")
    rl.run("rm", "-f", again)


def test_options_that_cannot_be_are_refused(rl: Rl) -> None:
    for words in (
        ("--no-healthcheck", "--health-cmd", "true"),
        ("--health-interval", "soon"),
        ("--health-interval", "10us"),
        ("--health-retries", "-1"),
    ):
        done = rl.run("run", *words, "--network", "none", "busybox", "true", status=125)
        assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr, done.stderr


def test_asked_out_of_turn(rl: Rl) -> None:
    name = rl.start("--health-cmd", "test -e /ok", "--health-interval", "1h",
                    "--health-retries", "2")  # fmt: skip
    assert rl.out("healthcheck", "run", name, status=1) == "starting"
    assert health(rl, name)["FailingStreak"] == 1
    assert rl.out("healthcheck", "run", name, status=1) == "unhealthy"
    assert health(rl, name)["Status"] == "unhealthy"
    rl.run("exec", name, "touch", "/ok")
    assert rl.out("healthcheck", "run", name) == ""
    assert [one["ExitCode"] for one in health(rl, name)["Log"]] == [1, 1, 0]
    rl.run("pause", name)
    rl.fails("healthcheck", "run", name, code="RL-CONTAINER-PAUSED")
    rl.run("unpause", name)
    rl.run("stop", "-t", "0", name)
    rl.fails("healthcheck", "run", name, code="RL-CONTAINER-NOT-RUNNING")
    rl.fails("healthcheck", "run", rl.start(), code="RL-HEALTH-NONE")
    rl.fails("healthcheck", "run", "nobody", code="RL-CONTAINER-NOT-FOUND")


def test_wait_for_health(rl: Rl) -> None:
    check = ("--health-cmd", "test -e /ok", "--health-interval", "100ms", "--health-retries", "1")
    name = rl.start(*check)
    assert rl.out("wait", "--condition", "unhealthy", name) == "-1"
    waiting = rl.popen("wait", "--condition=healthy", name)
    rl.run("exec", name, "touch", "/ok")
    assert waiting.communicate(timeout=30) == ("-1\n", "")
    # What has ended is never healthy again by itself.
    waiting = rl.popen("wait", "--condition=starting", name)
    either = rl.popen("wait", "--condition=starting", "--condition=exited", name)
    rl.run("kill", name)
    assert "RL-CONTAINER-NOT-RUNNING" in waiting.communicate(timeout=30)[1]
    assert waiting.returncode == 1
    assert either.communicate(timeout=30) == ("137\n", "")
    rl.fails("wait", "--condition=healthy", name, status=1, code="RL-CONTAINER-NOT-RUNNING")
    rl.fails("wait", "--condition=healthy", rl.start(), status=1, code="RL-HEALTH-NONE")


def test_several_ask_and_the_container_ends(rl: Rl) -> None:
    name = rl.start("--health-cmd", "echo >> /asked; sleep 4712", "--health-interval", "1h",
                    "--health-timeout", "1h")  # fmt: skip
    words = [program(), "healthcheck", "run", name]
    asking = [
        subprocess.Popen(words, env=rl.environment(), stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    wait_until(lambda: rl.run("exec", name, "test", "-e", "/asked", check=False).returncode == 0)
    assert rl.out("exec", name, "cat", "/asked") == "", "one question at a time"
    rl.run("rm", "-f", name)
    for one in asking:
        assert "RL-CONTAINER-NOT" in one.communicate(timeout=30)[1]
        assert one.returncode == 125
