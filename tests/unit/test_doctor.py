"""Ladders, their text, and probes that hang, die or talk nonsense."""

import json
import os
import time

import pytest

from rootless.cli.actions import doctor as action
from rootless.context import Context
from rootless.doctor import host, isolate, network, render, storage
from rootless.doctor.verdict import UNAVAILABLE, UNTESTED, Ladder, Report, Rung
from rootless.errors import HostError, StoreError, UsageError
from rootless.linux.hostread import HostProblem
from rootless.paths import Paths

HOST = {
    "system": "Debian GNU/Linux 12",
    "kernel": "6.1.0",
    "machine": "x86_64",
    "python": "3.11.2",
    "user": "ann",
    "uid": "1000",
}
GOOD = Rung("overlay", why="fast")
BAD = Rung("pasta", UNAVAILABLE, "not there", "install it", "sudo apt-get install passt", "RL-X")
UNKNOWN = Rung("copy", UNTESTED, "not tried")


def context(environ=None):
    return Context(
        paths=Paths("/nowhere/store", "/nowhere/run"),
        uid=os.getuid(),
        gid=os.getgid(),
        home="/nowhere",
        environ=environ or {},
        config={},
        debug=False,
    )


def test_first_rung_that_works_is_chosen():
    assert Ladder("x", "X", [BAD, GOOD, Rung("later")]).chosen is GOOD
    assert Ladder("x", "X", [BAD, UNKNOWN]).chosen is None


def test_configured_rung_is_chosen_or_none():
    later = Rung("later")
    assert Ladder("x", "X", [GOOD, later], pick="later").chosen is later
    assert Ladder("x", "X", [GOOD, BAD], pick="pasta").chosen is None


def test_only_better_rungs_are_wanting():
    assert Ladder("x", "X", [GOOD, BAD]).wanting() == []
    assert Ladder("x", "X", [BAD, GOOD]).wanting() == [BAD]
    assert Ladder("x", "X", [UNKNOWN, BAD]).wanting() == [BAD]


def test_rung_of_an_error_keeps_all_of_it():
    rung = Rung.failed("x", HostProblem("no", code="RL-Y", remedy="do", admin="sudo do"))
    assert (rung.state, rung.why, rung.remedy, rung.admin, rung.code) == (
        "unavailable", "no", "do", "sudo do", "RL-Y"
    )  # fmt: skip
    assert Rung.failed("x", HostError("no")).admin == ""


def test_report_is_ok_when_required_needs_are_met():
    optional = Ladder("y", "Y", [BAD])
    assert Report(HOST, [Ladder("x", "X", [GOOD], required=True), optional], 0.1).ok
    assert not Report(HOST, [Ladder("x", "X", [BAD], required=True)], 0.1).ok


def test_text_marks_rungs_and_says_what_to_do():
    ladders = [
        Ladder("x", "Root file system", [GOOD, UNKNOWN], required=True),
        Ladder("y", "Network", [BAD], required=True),
    ]
    text = render.as_text(Report(HOST, ladders, 0.1))
    lines = text.splitlines()
    assert lines[0] == "Debian GNU/Linux 12, Linux 6.1.0 x86_64, Python 3.11.2, user ann (1000)"
    assert "Root file system      ▸ ✓ overlay  fast" in lines
    assert "                        ? copy  not tried" in lines
    assert "Network                 ✗ pasta  not there" in lines
    assert "                          → install it  [RL-X]" in lines
    assert "Containers cannot run here yet: network." in lines
    assert "\x1b" not in text
    coloured = render.as_text(Report(HOST, ladders, 0.1), colour=True)
    assert f"{render.GREEN}✓" in coloured and f"{render.RED}✗" in coloured


def test_same_remedy_is_said_once():
    twice = Rung("other", UNAVAILABLE, "too", "install it", "sudo x", "RL-X")
    text = render.as_text(Report(HOST, [Ladder("y", "Network", [BAD, twice])], 0.1))
    assert text.count("→ install it") == 1


def test_request_starts_with_what_is_needed_to_run_at_all():
    ping = Rung("ping", UNAVAILABLE, "off", "", "sudo sysctl ping", "RL-P")
    ladders = [
        Ladder("p", "Ping", [ping]),
        Ladder("y", "Network", [BAD], required=True),
        Ladder("z", "Again", [BAD]),
    ]
    text = render.as_request(Report(HOST, ladders, 0.1))
    assert text.index("apt-get install passt") < text.index("sysctl ping")
    assert text.count("apt-get install passt") == 1
    # It can be pasted whole: everything is a comment or a command.
    for line in text.splitlines():
        assert not line or line.startswith(("#", "sudo "))


def test_request_when_nothing_is_missing():
    text = render.as_request(Report(HOST, [Ladder("x", "X", [GOOD])], 0.1))
    assert text == "# Nothing to ask for: this host has what rl needs.\n"


def test_probes_run_side_by_side_and_answer_in_order():
    def slow(name):
        def probe():
            time.sleep(0.3)
            return [Ladder(name, name, [Rung("x" * 100_000)])]

        return probe

    started = time.monotonic()
    answers = isolate.run([(name, slow(name)) for name in "abcd"])
    assert time.monotonic() - started < 0.9
    assert [ladders[0].need for ladders in answers] == list("abcd")
    assert len(answers[0][0].rungs[0].name) == 100_000  # more than a pipe holds


def test_probe_that_hangs_is_ended_with_its_children(tmp_path):
    mark = tmp_path / "pid"

    def hang():
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        mark.write_text(str(pid))
        time.sleep(60)
        return []

    started = time.monotonic()
    [[ladder]] = isolate.run([("slow", hang)], timeout_s=0.4)
    assert time.monotonic() - started < 3
    assert ladder.rungs[0].state == UNTESTED and "in time" in ladder.rungs[0].why
    child = int(mark.read_text())
    for _ in range(100):
        try:
            with open(f"/proc/{child}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    break
        except OSError:
            break
        time.sleep(0.02)
    else:
        pytest.fail("the probe's child lives on")


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        (lambda: (_ for _ in ()).throw(HostError("no luck")), "no luck"),
        (lambda: os.listdir("/nonexistent"), "nonexistent"),
        (lambda: os._exit(3), "no answer"),
    ],
)
def test_probe_that_fails_is_an_untested_rung(probe, words):
    [[ladder]] = isolate.run([("odd", probe)])
    assert ladder.rungs[0].state == UNTESTED and words in ladder.rungs[0].why


def test_runtime_directory_must_be_ours_and_private(tmp_path):
    private = tmp_path / "run"
    private.mkdir(mode=0o700)
    assert host._runtime_problem(str(private), os.getuid()) == ""
    assert host._runtime_problem(str(private / "rl"), os.getuid()) == ""
    assert "belongs to" in host._runtime_problem(str(private), os.getuid() + 1)
    private.chmod(0o777)
    assert "mode 0777" in host._runtime_problem(str(private), os.getuid())
    assert "does not exist" in host._runtime_problem(str(tmp_path / "a/b"), os.getuid())
    (tmp_path / "file").write_text("")
    assert "not a directory" in host._runtime_problem(str(tmp_path / "file"), os.getuid())


def test_linger_is_asked_for_when_no_runtime_directory_is_there(tmp_path):
    ctx = context({"XDG_RUNTIME_DIR": str(tmp_path / "gone")})
    [ladder] = host.probe_runtime_directory(ctx)
    if not os.path.isdir(f"/run/user/{ctx.uid}"):
        assert "loginctl enable-linger" in ladder.rungs[0].admin
    assert ladder.rungs[0].state == UNAVAILABLE and ladder.chosen is not None


def test_store_where_nothing_can_be_written():
    with pytest.raises(StoreError, match="cannot be written"), storage.Scratch("/proc/rl/store"):
        pass


def test_store_scratch_leaves_nothing(tmp_path):
    with storage.Scratch(str(tmp_path / "a/b/c")) as directory:
        assert os.path.dirname(directory) == str(tmp_path)
    assert os.listdir(tmp_path) == []


def test_unknown_driver_in_the_configuration_is_shown():
    ladder = storage.merge([Ladder("r", "R", [GOOD])], "zfs")
    assert ladder.chosen is None
    assert ladder.rungs[-1].name == "zfs" and ladder.rungs[-1].state == UNAVAILABLE
    assert network.merge([Ladder("n", "N", [GOOD, BAD])], "", False).rungs[-1].state == UNTESTED


def test_action_refuses_a_format_it_does_not_have():
    with pytest.raises(UsageError):
        action.main(context(), {"format": "yaml"})


def test_old_kernel_is_refused(monkeypatch):
    def uname():
        return os.uname_result(("Linux", "h", "4.18.0-553.el8", "v", "x86_64"))

    monkeypatch.setattr(host.os, "uname", uname)
    kernel = host.probe_kernel(context())[0]
    assert kernel.chosen is None and kernel.rungs[0].code == "RL-HOST-KERNEL"


def test_report_as_json():
    document = json.loads(json.dumps(Report(HOST, [Ladder("x", "X", [BAD, GOOD])], 1).to_dict()))
    [ladder] = document["ladders"]
    assert ladder["chosen"] == "overlay"
    assert [rung["chosen"] for rung in ladder["rungs"]] == [False, True]
