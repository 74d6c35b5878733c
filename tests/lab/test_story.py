"""What `rl` makes of a lab host: its own answer (`rl doctor`), and what then happens.

What comes out is the host's row of docs/hosts.md: scripts/lab_table.py writes it, and the last
test compares it.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from support.hosts_table import row_in, row_of
from support.program import CODE, program
from support.stores import remove_tree
from support.traces import PATIENCE

from lab.story import Story

# The story takes half a minute on an idle machine, and ten times that beside others.
pytestmark = pytest.mark.timeout(900)

HOST = os.environ.get("RL_LAB_HOST", "")
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Host:
    """The user's own rl and podman on this host, and what was found with them."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        names = ("PATH", "HOME", "USER", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "LANG")
        self.environment = {name: os.environ[name] for name in names if name in os.environ}
        self.found: dict[str, Any] = {
            "host": HOST, "description": os.environ["RL_LAB_DESCRIPTION"],
        }  # fmt: skip

    def call(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [program(), *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=100 * PATIENCE,
        )

    def runs(self, *words: str) -> str:
        """Run a container of busybox with these options: "" or the code of the error."""
        done = self.call("run", "--rm", *words, "busybox:lab", "true")
        if done.returncode == 0:
            return ""
        errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1, done.stderr
        code = CODE.search(errors[0])
        assert code, errors[0]
        return code.group(1)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    directory = tempfile.mkdtemp(prefix="story-", dir="/var/tmp")
    host = Host(directory)
    yield host
    with open(os.environ["RL_LAB_RESULT"], "w") as file:
        file.write(json.dumps(host.found) + "\n")
    remove_tree(directory)


@pytest.fixture(scope="module")
def doctor(host: Host) -> dict[str, Any]:
    done = host.call("doctor", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode == 0) == report["ok"]
    host.found["doctor"] = {
        ladder["need"]: ladder["chosen"]
        for ladder in report["ladders"]
        if ladder["need"] in ("ids", "root-filesystem", "network", "limits")
    }
    host.found["ok"] = report["ok"]
    return {"ok": report["ok"]} | {ladder["need"]: ladder for ladder in report["ladders"]}


def test_story_of_rl_passes_or_ends_in_one_line(host: Host, doctor: dict[str, Any]) -> None:
    story = Story([program()], host.directory, host.environment)
    host.found["rl"] = story.tell()
    assert bool(doctor["ok"]) == (story.steps[-1] != "bootstrap")
    if host.found["rl"]:
        line = host.found["rl"].split(": ", 1)[1]
        code = CODE.search(line)
        assert line.startswith("Error: ") and code, line
        assert host.call("explain", code.group(1)).returncode == 0
        if not doctor["ok"]:
            assert code.group(1) in codes(doctor)
        # Cause and remedy.
        assert re.search("[;:] .*[;:] ", line), line


def test_doctor_says_of_each_rung_what_it_does(host: Host, doctor: dict[str, Any]) -> None:
    if not doctor["ok"]:  # the story has ended at once, with doctor's code
        return
    wrong = []
    options = {"root-filesystem": "--storage-driver", "network": "--network"}
    for need, option in options.items():
        rungs = doctor[need]["rungs"]
        for rung in rungs:
            other = () if need == "network" else ("--network", "none")
            code = host.runs(option, rung["name"], *other)
            if rung["name"] == "netstack" and rung["state"] == "unavailable" and others(rungs):
                assert code == ""  # one of those takes its place
                continue
            if (code == "") != (rung["state"] == "available"):
                wrong.append(f"{need} {rung['name']}: {rung['why']}, but {code or 'it runs'}")
    code = host.runs("--network", "none", "-m", "64m")
    if (code == "") != (doctor["limits"]["chosen"] != "none"):
        why = [rung["why"] for rung in doctor["limits"]["rungs"]]
        wrong.append(f"limits: {doctor['limits']['chosen']} ({why}), but {code or 'it runs'}")
    code = host.runs("-p", "127.0.0.1:80:80")
    if (code == "") != (doctor["low-ports"]["chosen"] is not None):
        wrong.append(f"low ports: {doctor['low-ports']['chosen']}, but {code or 'it runs'}")
    maps = host.call("run", "--rm", "--network=none", "busybox:lab", "cat", "/proc/self/uid_map")
    one = len(maps.stdout.splitlines()) == 1
    if one != (doctor["ids"]["chosen"] == "one ID"):
        wrong.append(f"IDs: {doctor['ids']['chosen']}, but the map is {maps.stdout}")
    link = host.call(
        "run", "--rm", "--network=none", "busybox:lab", "readlink", "/proc/self"
    ).stdout
    if (link == "1\n") != (doctor["proc"]["chosen"] == "a new one"):
        wrong.append(f"/proc: {doctor['proc']['chosen']}, but /proc/self is {link}")
    info = json.loads(host.call("info", "--format", "json").stdout)
    for need, key in (("runtime-dir", "runtime"), ("store", "store")):
        if doctor[need]["chosen"] not in json.dumps(info):
            wrong.append(f"{need}: {doctor[need]['chosen']}, but info has no such {key}")
    assert not wrong


def others(rungs: list[dict[str, Any]]) -> bool:
    """Whether slirp4netns or pasta work here."""
    names = ("slirp4netns", "pasta")
    return any(rung["state"] == "available" for rung in rungs if rung["name"] in names)


def codes(doctor: dict[str, Any]) -> set[str]:
    """The codes of the required needs that nothing meets."""
    ladders = [x for x in doctor.values() if isinstance(x, dict) and x["required"]]
    return {
        rung["code"] for ladder in ladders if not ladder["chosen"] for rung in ladder["rungs"]
    } - {""}


@pytest.mark.skipif(not os.environ.get("RL_LAB_PODMAN"), reason="scripts/lab run all asks for it")
def test_story_of_podman(host: Host) -> None:
    podman = shutil.which("podman")
    assert podman
    story = Story([podman], f"{host.directory}/podman", host.environment)
    os.mkdir(f"{host.directory}/podman")
    host.found["podman"] = story.tell()
    remove_tree(os.path.expanduser("~/.local/share/containers"))


@pytest.mark.skipif(HOST == "qemu", reason="it is the host systemd on another kernel")
def test_docs_say_what_happened(host: Host) -> None:
    with open(f"{ROOT}/docs/hosts.md") as file:
        said = row_in(file.read(), HOST)
    happened = row_of(host.found)
    if "podman" not in host.found:
        said, happened = said[:-1], happened[:-1]
    assert said == happened
