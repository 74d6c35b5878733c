"""Options of run that Docker or podman have beside the usual ones."""

import os
import resource
import subprocess

import pytest
from support.program import Rl, program

RUN = ("run", "--rm", "--network", "none")


def test_variables_from_the_host_and_the_image(rl: Rl, entry_image: str) -> None:
    shell = ("--entrypoint", "sh", "--user", "0")
    script = ("-c", 'echo "$FROM_IMAGE|$BOTH|$PATH|$ONLY_HERE|$https_proxy"')
    env: dict[str, str | None] = {"ONLY_HERE": "h", "https_proxy": "http://p:1"}

    def look(*options: str) -> str:
        return rl.out(*RUN, *shell, *options, entry_image, *script, env=env)

    assert look() == "yes|image|/bin||"
    assert look("--env-host") == "yes|image|/bin|h|http://p:1"
    assert look("--http-proxy") == "yes|image|/bin||http://p:1"
    assert look("--unsetenv", "BOTH") == "yes||/bin||"
    assert look("--unsetenv", "BOTH", "-e", "BOTH=mine") == "yes|mine|/bin||"
    assert look("--unsetenv-all").startswith("||/usr/local/sbin:")
    assert look("--env-merge", "BOTH=${BOTH}-${GONE}x$FROM_IMAGE") == "yes|image-xyes|/bin||"
    rl.fails(*RUN, "--env-merge", "BOTH", entry_image)


def test_umask_time_zone_oom_score_and_annotations(rl: Rl) -> None:
    name = rl.name()
    script = "umask; date +%Z; cat /proc/self/oom_score_adj; touch f; stat -c %a f; sleep 1000"
    container = rl.start(
        "--name", name, "--umask", "0137", "--tz", "Asia/Tokyo", "--oom-score-adj", "700",
        "--annotation", "org.example=1", command=script,
    )  # fmt: skip
    assert rl.wait_log(container, "640").split() == ["0137", "JST", "700", "640"]
    script = "umask; cat /proc/self/oom_score_adj"
    assert rl.out("exec", name, "sh", "-c", script).split() == ["0137", "700"]
    host = rl.inspect(name)["HostConfig"]
    assert host["OomScoreAdj"] == 700
    assert host["Annotations"] == {"org.example": "1"}


@pytest.mark.parametrize(
    "options",
    [
        ["--umask", "9"], ["--umask", "1777"], ["--tz", "Nowhere/Else"], ["--tz", "../x"],
        ["--oom-score-adj", "1001"], ["--annotation", "x"], ["--annotation", "=x"],
        ["--unsetenv", "A=b"], ["--replace"], ["--init-path", "/bin/true"],
        ["--group-add", "keep-groups", "--group-add", "1"], ["--tmpfs", "/proc"],
        ["--tmpfs", "/proc/x"], ["-v", "/tmp:/proc"], ["-v", "vol:/proc/sys"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_makes_no_sense_is_refused(rl: Rl, no_leftovers: None, options: list[str]) -> None:
    rl.fails(*RUN, *options, "busybox", "true", code="RL-USAGE")


def test_what_only_root_may_is_refused(rl: Rl, no_leftovers: None) -> None:
    with open("/proc/self/oom_score_adj") as file:
        lower = int(file.read()) - 500
    rl.fails(*RUN, "--oom-score-adj", str(lower), "busybox", "true", code="RL-NEEDS-ROOT")
    rl.fails(*RUN, "--device-cgroup-rule", "c 1:3 r", "busybox", "true", code="RL-NEEDS-ROOT")
    rl.fails(*RUN, "--runtime=runc", "busybox", "true", code="RL-NOT-HERE")
    rl.fails("create", "--isolation", "default", "busybox", code="RL-NOT-HERE")


def test_single_files_of_proc_can_be_bound(rl: Rl) -> None:
    out = rl.out(*RUN, "-v", "/etc/hostname:/proc/uptime:ro", "busybox", "cat", "/proc/uptime")
    with open("/etc/hostname") as file:
        assert out == file.read().strip()


def test_keep_groups_keeps_the_groups_of_the_caller(rl: Rl) -> None:
    look = ("busybox", "grep", "Groups", "/proc/self/status")
    shown = rl.out(*RUN, "--group-add", "keep-groups", *look).split()[1:]
    # What is not mapped shows as 65534.
    assert len(shown) == len(os.getgroups()), (shown, os.getgroups())
    without = rl.out(*RUN, *look).split()[1:]
    assert len(without) == 0 or without == ["0"]


def test_replace_takes_the_place_of_a_container(rl: Rl) -> None:
    name = rl.name()
    first = rl.start("--name", name)
    rl.fails("run", "-d", "--name", name, "busybox", "true", code="RL-CONTAINER-NAME-TAKEN")
    second = rl.start("--name", name, "--replace")
    assert second != first and rl.inspect(name)["Id"] == second
    assert rl.out("create", "--replace", "--name", name, "busybox", "true") != second
    rl.fails("inspect", first, status=1)
    # Of a name that is free, nothing is replaced.
    rl.start("--name", rl.name(), "--replace")


def test_few_descriptors_are_a_clear_error(rl: Rl, no_leftovers: None) -> None:
    line = ["sh", "-c", f"ulimit -n 8; exec {program()} run --rm busybox true"]
    done = subprocess.run(line, env=rl.environment(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 125
    assert "[RL-HOST-FILES]" in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_limits_of_another_session(rl: Rl) -> None:
    """What was made with high limits starts where they are lower, as after a boot."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 1

    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    show = "ulimit -Hn; ulimit -Sn; sleep 1000"
    names = [
        rl.out("create", "--network", "none", *options, "busybox", "sh", "-c", show)
        for options in ([], ["--ulimit", f"nofile={hard + 1}"], ["--ulimit", f"nofile=99:{hard}"])
    ]
    error = rl.fails("start", names[1], status=1, code="RL-ULIMIT", preexec_fn=lower)
    assert f"your own hard limit is {hard}" in error
    assert rl.inspect(names[1])["State"]["Error"]
    rl.run("start", names[0], names[2], preexec_fn=lower)
    rl.wait_log(names[0], f"{min(hard, 1 << 20)}\n{min(hard, 1 << 20)}\n")
    rl.wait_log(names[2], f"{hard}\n99\n")
    rl.run("start", names[1])
    assert rl.out("exec", names[1], "sh", "-c", "ulimit -Hn", preexec_fn=lower) == str(hard)
