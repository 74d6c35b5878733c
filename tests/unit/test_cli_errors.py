"""The command line as a program: its messages, its exit codes, and completion."""

import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Run:
    """rl in a store of its own."""

    def __init__(self, directory: str) -> None:
        self.environ = {
            "HOME": directory,
            "PATH": "/usr/bin:/bin",
            "RL_STORE": f"{directory}/store",
            "XDG_RUNTIME_DIR": directory,
            "RL_ALLOW_ROOT": "1",
            "PYTHONPATH": ROOT,
        }

    def __call__(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "rootless.cli.entry", *words],
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.fixture
def rl(tmp_path: object) -> Run:
    return Run(str(tmp_path))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "IMAGE is missing; see rl run --help [RL-USAGE]"),
        (["run", "--qqq", "x"], "unknown option --qqq; see rl run --help [RL-USAGE]"),
        (["run", "--nam", "x"], "unknown option --nam (did you mean --name?)"),
        (["rnu"], "unknown command: rl rnu (did you mean run?); see rl --help [RL-USAGE]"),
        (["container", "stat"], "unknown command: rl container stat (did you mean stats?)"),
        (["stop", "-t"], "option '-t' requires an argument; see rl stop --help"),
        (["stop", "-t", "x", "c"], "see rl stop --help [RL-USAGE]"),
        (["ps", "--format", "table {{.Foo}}"], "there is no field Foo"),
        (["ps", "-f", "stauts=x"], "did you mean status? [RL-FILTER]"),
        (["explain", "port-take"], "did you mean RL-PORT-TAKEN?"),
    ],
)
def test_a_failure_is_one_line_with_a_remedy_and_a_code(
    rl: Run, words: list[str], message: str
) -> None:
    done = rl(*words)
    assert done.returncode == 125
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("Error: ")
    assert message in done.stderr


def test_a_file_in_the_place_of_the_store_is_told(rl: Run) -> None:
    done = rl("ps", RL_STORE="/etc/passwd")
    assert done.returncode == 1
    assert "/etc/passwd" in done.stderr and "[RL-STORE-UNWRITABLE]" in done.stderr


def test_what_is_not_there_has_status_1_as_dockers(rl: Run) -> None:
    done = rl("port", "nothing")
    assert done.returncode == 1
    assert done.stderr.endswith("[RL-CONTAINER-NOT-FOUND]\n")


def test_inspect_of_nothing_prints_an_empty_list(rl: Run) -> None:
    done = rl("inspect", "nothing")
    assert (done.returncode, done.stdout) == (1, "[]\n")
    assert "[RL-NOT-FOUND]" in done.stderr


@pytest.mark.parametrize(
    "words", [["--help"], [], ["-h"], ["help"], ["run", "--help"], ["ps", "-h"]]
)
def test_help(rl: Run, words: list[str]) -> None:
    done = rl(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: rl")


def test_a_traceback_only_for_who_asks(rl: Run) -> None:
    assert "Traceback" not in rl("port", "x").stderr
    assert "Traceback" in rl("port", "x", RL_DEBUG="1").stderr
    assert "Traceback" in rl("--debug", "port", "x").stderr


def test_a_reader_that_leaves_is_no_error(rl: Run) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m rootless.cli.entry explain | head -1"],
        env=rl.environ,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""


@pytest.mark.parametrize("words", [["explain"], ["--help"], ["run", "--help"]], ids=" ".join)
def test_a_full_disk_for_the_output_is_said(rl: Run, words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "rootless.cli.entry", *words],
            env=rl.environ,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == (125 if words[0] == "run" else 1)
    assert "[RL-OUTPUT]" in done.stderr and done.stderr.count("\n") == 1


def test_a_message_that_cannot_be_written_does_not_change_the_status(rl: Run) -> None:
    with open("/dev/full", "w") as full:
        for words, status in ((["rm", "nosuch"], 1), (["ps", "-f", "x=y"], 125)):
            command = [sys.executable, "-m", "rootless.cli.entry", *words]
            assert subprocess.run(command, env=rl.environ, stderr=full).returncode == status


def test_closed_descriptors_do_no_harm(rl: Run) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m rootless.cli.entry ps <&- >&-"],
        env=rl.environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_runtime_directory_must_be_ours_alone(rl: Run, tmp_path: object) -> None:
    os.mkdir(f"{tmp_path}/rl", 0o777)
    os.chmod(f"{tmp_path}/rl", 0o777)
    done = rl("ps")
    # Another rung may be there on this host; this one is not taken.
    assert "RL-HOST-RUNTIME-DIR" in done.stderr or done.returncode == 0
    done = rl("info", "--format", "{{.RuntimeDir}}")
    assert f"{tmp_path}/rl\n" != done.stdout


def test_a_broken_configuration_is_said(rl: Run, tmp_path: object) -> None:
    path = f"{tmp_path}/config.toml"
    with open(path, "w") as file:
        file.write("network = \n")
    done = rl("ps", RL_CONFIG=path)
    assert done.returncode == 125
    assert f"{path} is not TOML" in done.stderr and "[RL-CONFIG]" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(rl: Run, shell: str) -> None:
    done = rl(_RL_COMPLETE=f"source_{shell}")
    assert done.returncode == 0
    assert "_RL_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rl in", ["inspect", "info"]),
        ("rl container p", ["pause", "port", "prune", "ps"]),
        ("rl run --net", ["--net", "--net-alias", "--network", "--network-alias"]),
        ("rl run --network ho", ["host"]),
        ("rl explain port-t", ["port-taken"]),
        ("rl bootstrap deb", ["debian"]),
        ("rl stop ", []),
    ],
)
def test_completion(rl: Run, line: str, expected: list[str]) -> None:
    words = line.split(" ")
    done = rl(_RL_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1))
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.split()) == sorted(expected)
