"""RunOptions as a whole: defaults, conflicts, and what is kept for container.json."""

import json
import os
import subprocess
import sys

import pytest

from rootless.errors import UsageError
from rootless.runtime.options import RunOptions

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def parse(environ=None, cwd="/work", files=None, **values):
    def read(path):
        return (files or {})[path]

    return RunOptions.from_values(
        {"image": "busybox", **values}, environ=environ or {}, cwd=cwd, home="/home/me", read=read
    )


def refused(match, **values):
    with pytest.raises(UsageError, match=match) as caught:
        parse(**values)
    assert "\n" not in caught.value.one_line()
    return caught.value


def test_defaults():
    options = parse()
    assert options.image == "busybox"
    assert options.args == []
    assert options.entrypoint is None
    assert options.sig_proxy
    assert options.pull == "missing"
    assert options.log_driver == "json-file"
    assert options.shm_size == 64 << 20
    assert options.stop_timeout is None
    assert options.network == ""
    assert (options.ipc, options.pid, options.uts, options.cgroupns) == ("private",) * 4
    assert options.warnings == []
    assert not any((options.detach, options.tty, options.rm, options.privileged, options.init))


def test_options_survive_json():
    options = parse(
        environ={"HOME": "/h"},
        publish=["8080:80"],
        volume=["data:/data"],
        env=["A=1", "HOME"],
        ulimit=["nofile=1:2"],
        sysctl=["net.core.somaxconn=5"],
        security_opt=["no-new-privileges"],
        entrypoint="",
    )
    again = RunOptions.from_dict(json.loads(json.dumps(options.to_dict())))
    assert again.to_dict() == options.to_dict()
    assert again.entrypoint == []


def test_fields_that_an_older_rl_did_not_write_have_their_defaults():
    options = RunOptions.from_dict({"image": "x", "tty": True})
    assert options.tty
    assert options.stop_timeout is None
    assert options.to_dict().keys() == parse().to_dict().keys()


@pytest.mark.parametrize(
    ("given", "expected"), [(None, None), ("", []), ("sh", ["sh"]), ("sh -c", ["sh -c"])]
)
def test_entrypoint(given, expected):
    assert parse(entrypoint=given).entrypoint == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("TERM", "SIGTERM"),
        ("sigkill", "SIGKILL"),
        ("9", "SIGKILL"),
        ("RTMIN+3", "SIGRTMIN+3"),
        ("SIGRTMAX-2", "SIGRTMAX-2"),
        ("37", "SIGRTMIN+3"),
        ("SIGCHLD", "SIGCHLD"),
        ("17", "SIGCHLD"),
    ],
)
def test_stop_signal(given, expected):
    assert parse(stop_signal=given).stop_signal == expected


@pytest.mark.parametrize(
    "given", ["0", "65", "TREM", "RTMIN+31", "RTMIN-1", "SIG_DFL", "SIG", "-9"]
)
def test_bad_stop_signal(given):
    refused("invalid signal", stop_signal=given)


def test_a_misspelt_signal_gets_a_suggestion():
    assert refused("TREM", stop_signal="TREM").remedy == "did you mean TERM?"


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"workdir": "app"}, "needs to be an absolute path"),
        ({"name": "a"}, "invalid container name"),
        ({"name": "-x"}, "invalid container name"),
        ({"name": "a/b"}, "invalid container name"),
        ({"name": "x" * 129}, "invalid container name"),
        ({"hostname": "-x"}, "invalid hostname"),
        ({"hostname": "a b"}, "invalid hostname"),
        ({"hostname": "x" * 65}, "invalid hostname"),
        ({"hostname": "a..b"}, "invalid hostname"),
        ({"platform": "linux/arm/v7/x"}, "invalid --platform"),
        ({"platform": "linux//v7"}, "invalid --platform"),
        ({"pull": "newer"}, "invalid --pull"),
        ({"limits": "none"}, "invalid --limits"),
        ({"storage_driver": "zfs"}, "unknown storage driver"),
        ({"log_driver": "syslog"}, "cannot use the log driver"),
        ({"log_opt": ["max-sise=1m"]}, "unknown log opt"),
        ({"log_opt": ["max-size=x"]}, "invalid size"),
        ({"log_opt": ["max-file=0"]}, "invalid --log-opt"),
        ({"log_opt": ["max-file=3"]}, "max-file cannot be without max-size"),
        ({"log_driver": "none", "log_opt": ["max-size=1m"]}, "unknown log opt"),
        ({"attach": ["stdlog"]}, "valid streams"),
        ({"detach": True, "attach": ["stdout"]}, "conflicting options: -a and -d"),
        ({"uts": "host", "hostname": "x"}, "hostname and the UTS mode"),
        ({"uts": "host", "domainname": "x"}, "domainname and the UTS mode"),
        ({"stop_timeout": -2}, "invalid --stop-timeout"),
        ({"stop_timeout": "ten"}, "invalid value"),
        ({"detach_keys": "ctrl-1"}, "invalid detach keys"),
        ({"user": "a b"}, "invalid --user"),
        ({"user": "a:b:c"}, "invalid --user"),
        ({"user": "a:"}, "invalid --user"),
        ({"user": "4294967295"}, "invalid --user"),
        ({"group_add": ["x y"]}, "invalid --group-add"),
    ],
)
def test_refused(values, match):
    refused(match, **values)


def test_user_and_workdir_are_kept():
    options = parse(user="1000:users", workdir="/app/../srv/")
    assert options.user == "1000:users"
    assert options.workdir == "/srv"


def test_relative_files_are_from_the_working_directory():
    options = parse(cidfile="id", files={"/work/e": b"A=1\n", "/l": b"b=2\n"}, env_file=["e"])
    assert options.cidfile == "/work/id"
    assert options.env == ["A=1"]


def test_log_options_are_kept():
    options = parse(log_opt=["max-size=10m", "max-file=3"])
    assert options.log_options == {"max-size": "10m", "max-file": "3"}


@pytest.mark.parametrize("mode", ["host", "none"])
def test_ports_without_a_network_of_its_own_are_discarded_with_a_warning(mode):
    options = parse(network=mode, publish=["8080:80"], publish_all=True)
    assert options.ports == []
    assert not options.publish_all
    assert options.warnings == [f"published ports are discarded when using {mode} network mode"]


def test_privileged_opens_everything_but_an_explicit_profile():
    assert parse(privileged=True).security["seccomp"] == "unconfined"
    assert parse(privileged=True).security["system_paths"] == "unconfined"
    explicit = parse(privileged=True, security_opt=["seccomp=my.json"])
    assert explicit.security["seccomp"] == "/work/my.json"


def test_label_files_and_labels():
    files = {"/work/labels": b"# comment\na=1\nb\n"}
    options = parse(files=files, label_file=["labels"], label=["a=2", "c", "d=x=y"])
    assert options.labels == {"a": "2", "b": "", "c": "", "d": "x=y"}
    refused("empty name", label=["=x"])


def test_the_parser_imports_nothing_heavy():
    code = (
        f"import sys; sys.path.insert(0, {ROOT!r})\n"
        "from rootless.runtime import exec_options, options, seccomp, spec\n"
        "print(*sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"re", "enum", "typing", "dataclasses", "socket", "signal", "pathlib", "hashlib"}
    heavy |= {"collections", "functools", "contextlib", "difflib", "subprocess", "ipaddress", "csv"}
    assert not heavy & set(done.stdout.split())
