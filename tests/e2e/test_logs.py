"""rl logs: drivers, rotation, and every form of its options."""

import gzip
import hashlib
import json
import os
import subprocess
import time

from support.program import Rl, program
from support.traces import wait_until


def test_since_until_tail_and_times_in_dockers_forms(rl: Rl) -> None:
    name = rl.start(command="for i in 1 2 3 4 5; do echo line $i; sleep 0.1; done")
    assert rl.out("wait", name) == "0"
    stamped = [line.split(" ", 1) for line in rl.out("logs", "-t", name).splitlines()]
    assert [text for _, text in stamped] == [f"line {i}" for i in range(1, 6)]
    third = stamped[2][0]
    seconds = time.strptime(third[:19], "%Y-%m-%dT%H:%M:%S")
    unix = f"{int(time.mktime(seconds)) - time.timezone}{third[19:-1]}"
    for form in (third, unix, third[:-1] + "+00:00"):
        assert rl.out("logs", "--since", form, name) == "line 3\nline 4\nline 5", form
        assert rl.out("logs", "--until", form, name) == "line 1\nline 2\nline 3", form
    assert rl.out("logs", "--since", third, "--until", third, name) == "line 3"
    assert rl.out("logs", "--until", third, "--tail", "1", name) == "line 3"
    assert rl.out("logs", "--since", third, "-n", "2", name) == "line 4\nline 5"
    assert rl.out("logs", "--since", "1h30m", "--tail", "all", name).count("\n") == 4
    assert rl.out("logs", "--until", "1h", name) == "" == rl.out("logs", "-n", "0", name)
    assert rl.out("logs", "--since", "2020-01-01", name).startswith("line 1")


def test_details_are_labels_variables_and_tag(rl: Rl) -> None:
    name = rl.start(
        "--name", "detailed", "--label", "a=1", "--label", "bc=2 &", "-e", "V=x", "-e", "W=y",
        "--log-opt", "labels=a,nothing", "--log-opt", "labels-regex=^b", "--log-opt", "env=V",
        "--log-opt", "tag={{.Name}}/{{ .ImageName }}", command="echo x",
    )  # fmt: skip
    rl.run("wait", name)
    assert rl.out("logs", "--details", name) == "V=x,a=1,bc=2+%26,tag=detailed%2Fbusybox x"
    with open(f"{rl.store}/containers/{name}/log") as file:
        attributes = json.loads(file.readline())["attrs"]
    assert attributes == {"V": "x", "a": "1", "bc": "2 &", "tag": "detailed/busybox"}
    rl.run("rm", name)


def test_a_rotated_log_is_compressed_and_read_whole(rl: Rl) -> None:
    script = "i=0; while [ $i -lt 4000 ]; do echo $i padding padding padding; i=$((i+1)); done"
    options = ["--log-opt", "max-size=100k", "--log-opt", "max-file=50"]
    options += ["--log-opt", "compress=true"]
    name = rl.start(*options, command=script)
    following = rl.popen("logs", "-f", name)
    followed = following.communicate(timeout=60)[0]
    expected = [f"{i} padding padding padding" for i in range(4000)]
    assert followed.splitlines() == expected
    assert rl.out("logs", name).splitlines() == expected
    assert rl.out("logs", "--tail", "2500", name).splitlines() == expected[-2500:]
    directory = f"{rl.store}/containers/{name}"
    wait_until(lambda: os.path.exists(f"{directory}/log.1.gz"), what="the compressed log")
    with gzip.open(f"{directory}/log.1.gz") as packed:
        assert json.loads(packed.readline())["stream"] == "stdout"
    # The number of files is kept, too.
    few = rl.start("--log-driver", "local", "--log-opt", "max-size=20k", "--log-opt", "max-file=3",
                   command=script)  # fmt: skip
    rl.run("wait", few)
    files = [one for one in os.listdir(f"{rl.store}/containers/{few}") if one.startswith("log")]
    assert len(files) <= 3 and rl.out("logs", few).endswith("3999 padding padding padding")


def test_following_goes_on_over_restarts(rl: Rl) -> None:
    name = rl.start("--restart", "on-failure:3", command="echo run; exit 1")
    done = rl.run("logs", "-f", name)
    assert done.stdout == "run\n" * 4


def test_follow_ends_at_until(rl: Rl) -> None:
    name = rl.start(command="while :; do echo tick; sleep 0.05; done")
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    assert "tick" in rl.out("logs", "-f", "--until", end, name)
    rl.run("rm", "-f", name)


def test_drivers_that_cannot_be_are_refused_with_the_reason(rl: Rl) -> None:
    name = rl.start("--log-driver", "none", command="echo lost")
    rl.fails("logs", name, status=1, code="RL-NO-LOG")
    for driver in ("syslog", "fluentd", "gelf", "nonsense"):
        done = rl.run("create", "--log-driver", driver, "busybox", "true", status=125)
        assert f"cannot use the log driver {driver}" in done.stderr
    rl.run("create", "--log-opt", "tag={{.Nope}}", "busybox", "true", status=125)
    rl.run("create", "--log-opt", "labels-regex=(", "busybox", "true", status=125)
    rl.run("create", "--log-driver", "local", "--log-opt", "labels=a", "busybox", status=125)
    if not os.path.exists("/run/systemd/journal/socket"):
        rl.fails("run", "--rm", "--network", "none", "--log-driver", "journald", "busybox", "true",
                 status=125, code="RL-LOG-JOURNALD")  # fmt: skip


def test_two_hundred_megabytes_are_logged_and_shown_whole(rl: Rl) -> None:
    """Through the foreground, and through an attached client, with the log beside them."""
    short, long = (
        "0123456789abcdef" * 2,
        "x" * 8191,
    )  # a last line that is cut short, and whole ones
    script = f"yes {short} | head -c 10m; yes {long} | head -c 190m"
    expected = hashlib.md5((f"{short}\n" * (1 << 19)).encode()[: 10 << 20])
    for _ in range(190):
        expected.update(f"{long}\n".encode() * 128)
    name = rl.name()
    rl.run("create", "--name", name, "--network", "none", "busybox", "sh", "-c", script)
    for words in (("start", "-a", name), ("logs", name)):
        with subprocess.Popen([program(), *words], env=rl.environment(), stdout=subprocess.PIPE,
                              stdin=subprocess.DEVNULL) as process:  # fmt: skip
            seen = hashlib.md5()
            assert process.stdout is not None
            while data := process.stdout.read(1 << 20):
                seen.update(data)
        assert (process.returncode, seen.hexdigest()) == (0, expected.hexdigest()), words
    rl.run("rm", name)
