"""--trace: the phases of a start and of a build, in order, nested, with times that add up."""

import json
import os
from typing import Any

import pytest
from support.builds import Project
from support.program import Rl
from support.traces import wait_until

Event = dict[str, Any]
# What a start is made of, in the order in which it begins.
PHASES = (
    "Python and rl started",
    "found the image busybox",
    "made the container",
    "started ",
    "chose the network",
    "wrote the container's /etc/hosts",
    "new namespaces: user, mount, pid, network, ipc, uts, cgroup",
    "waited for the ID maps",
    "mapped IDs with newuidmap",
    "became root of the user namespace",
    "built the root file system",
    "mounted an overlay of 1 layer (lowerdir=layers/",
    "mount proc on /proc",
    "pivot_root(2)",
    "network is up",
    "found the program",
    "set limits",
    "gave up all capabilities but",
    "recorded it as running",
)
END = ("the program ran, and ended with", "cleaned up", "with its last process")


def read(path: str) -> list[Event]:
    """The complete events of a file that Chrome and Perfetto accept, by their begin."""
    with open(path) as file:
        document = json.load(file)
    assert document["displayTimeUnit"] == "ms"
    found = []
    names = {}
    for event in document["traceEvents"]:
        assert isinstance(event["name"], str) and event["name"]
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int)
        assert isinstance(event["args"], dict)
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name")
            names[event["tid"]] = event["args"]["name"]
        else:
            assert event["ph"] == "X" and event["dur"] >= 0 and event["ts"] > 0
            found.append(event)
    assert {event["tid"] for event in found} <= set(names)
    for event in found:
        event["track"] = names[event["tid"]]
    return found


def in_order(events: list[Event], *begins: str) -> list[Event]:
    """Those events whose names begin so; they are there, and begin in this order."""
    found = []
    for words in begins:
        matching = [one for one in events if one["name"].startswith(words)]
        assert matching, (words, [one["name"] for one in events])
        found.append(matching[0])
    times = [one["ts"] for one in found]
    assert times == sorted(times), [(one["name"], one["ts"]) for one in found]
    return found


def nested(events: list[Event]) -> None:
    """On each track an event lies in another one, or beside it: never across its end."""
    for track in {one["track"] for one in events}:
        open_ends: list[float] = []
        mine = [one for one in events if one["track"] == track]
        for one in sorted(mine, key=lambda one: (one["ts"], -one["dur"])):
            end = one["ts"] + one["dur"]
            while open_ends and open_ends[-1] <= one["ts"] + 0.001:
                open_ends.pop()
            assert not open_ends or end <= open_ends[-1] + 0.001, one
            open_ends.append(end)


def test_run(rl: Rl, tmp_path: object) -> None:
    path = f"{tmp_path}/trace.json"
    port = "127.0.0.1::80"
    shown = rl.run(
        "run", f"--trace={path}", "--rm", "-p", port, "--ulimit", "nofile=99", "busybox", "id", "-u"
    )
    assert shown.stdout == "0\n"
    events = read(path)
    in_order(events, *PHASES, *END, "ended its helpers: slirp4netns", "removed the container")
    nested(events)
    start, *_ = in_order(events, "started ")
    parts = [one for one in events if one["track"] == "rl"
             and start["ts"] <= one["ts"] and one["ts"] + one["dur"] <= start["ts"] + start["dur"]
             and one is not start]  # fmt: skip
    total = sum(one["dur"] for one in parts)
    assert total <= start["dur"] + 1
    assert total >= 0.9 * start["dur"], "every moment is some phase's"
    facts = {one["name"].partition(" ")[0]: one["args"] for one in events}
    assert facts["mapped"]["uids"][0][0] == 0 and facts["mapped"]["uids"][0][2] == 1
    assert facts["network"]["ports"][0]["container_port"] == 80
    assert facts["gave"]["argv"] == ["id", "-u"] and "CAP_CHOWN" in facts["gave"]["capabilities"]
    assert facts["mounted"]["lower"][0].startswith("layers/")
    tree = shown.stderr.splitlines()
    assert tree[0].split() == ["at", "ms", "took", "ms"]
    assert any("│  ├─ mount proc on /proc" in line for line in tree)
    assert any("nofile=99" in line for line in tree)
    begins = [float(line.split()[0]) for line in tree[1:] if "  ├─" not in line and "└" not in line]
    assert begins == sorted(begins)


@pytest.mark.parametrize("how", [["-d"], ["-d", "--restart=on-failure:1"]])
def test_a_detached_one_completes_its_file_at_its_end(
    rl: Rl, tmp_path: object, how: list[str]
) -> None:
    path = f"{tmp_path}/trace.json"
    done = rl.run("run", *how, f"--trace={path}", "--network", "none", "busybox", "sh", "-c",
                  "read x; exit 3" if len(how) == 1 else "exit 3")  # fmt: skip
    assert "the supervisor, PID" in done.stderr
    container = done.stdout.strip()
    rl.run("wait", container, check=False)
    wait_until(lambda: "cleaned up" in open(path).read())
    events = read(path)
    in_order(events, "found the image busybox", "the supervisor was ready", "new namespaces",
             "built the root file system", "gave up all", *END, "recorded its end")  # fmt: skip
    nested(events)
    assert {one["track"] for one in events} == {"rl", "supervisor", "container"}
    assert len([one for one in events if one["name"] == "cleaned up"]) == 1


def test_create_and_start(rl: Rl, tmp_path: object) -> None:
    path = f"{tmp_path}/trace.json"
    made = rl.run("create", "--trace", "--network", "none", "busybox", "true")
    container = made.stdout.strip()
    assert "made the container" in made.stderr and "namespaces" not in made.stderr
    shown = rl.run("start", "-a", f"--trace={path}", container).stderr
    events = read(path)
    in_order(events, "found the container", "new namespaces", "pivot_root", *END)
    nested(events)
    assert "was attached to the container" in shown and "recorded its end" in shown


def test_what_fails_is_shown_as_far_as_it_came(rl: Rl, tmp_path: object) -> None:
    path = f"{tmp_path}/trace.json"
    shown = rl.run("run", "--rm", f"--trace={path}", "--network", "none", "busybox", "/no/such",
                   check=False)  # fmt: skip
    assert shown.returncode == 127 and "RL-COMMAND-NOT-FOUND" in shown.stderr
    events = read(path)
    in_order(events, "new namespaces", "built the root file system", "failed: ")
    nested(events)
    assert not [one for one in events if one["name"].startswith("recorded it as running")]
    shown = rl.run("run", "--rm", "--trace", "--network", "none", "busybox", "false", check=False)
    assert shown.returncode == 1 and "the program ran, and ended with 1" in shown.stderr
    rl.fails("run", "--rm", f"--trace={tmp_path}/none/t", "busybox", "true", code="RL-USAGE")
    assert not os.path.exists(f"{tmp_path}/none")
    said = rl.fails("run", "--trace", "--pull=never", "none/such", code="RL-IMAGE-NOT-FOUND")
    assert "none/such" in said


def test_build(project: Project, tmp_path: object) -> None:
    path, rl = f"{tmp_path}/trace.json", project.rl
    os.makedirs(project.directory, exist_ok=True)
    with open(f"{project.directory}/Dockerfile", "w") as file:
        file.write("FROM busybox\nRUN echo one >/one\nRUN false\n")
    failed = rl.run("build", f"--trace={path}", project.directory, check=False)
    assert failed.returncode == 1
    events = read(path)
    in_order(events, "found the base images", "did the steps", "[2/3] RUN echo one >/one: cache m",
             "[3/3] RUN false: failed")  # fmt: skip
    nested(events)
    (step,) = [one for one in events if "echo one" in one["name"] and "cache" in one["name"]]
    inner = [one for one in events if one["track"] == step["track"]]
    in_order(inner, "[2/3]", "planned its container", "started its container", "new namespaces",
             "the command ran", "kept what was written")  # fmt: skip
    assert all(one["ts"] >= step["ts"] for one in inner)
    with open(f"{project.directory}/Dockerfile", "w") as file:
        file.write("FROM busybox\nRUN echo one >/one\nCOPY Dockerfile /\n")
    shown = rl.run("build", "--trace", project.directory).stderr
    assert "RUN echo one >/one: cache hit" in shown
    assert "COPY Dockerfile /: cache miss, done" in shown and "wrote the image sha256:" in shown


def test_with_one_id_and_an_image_that_is_mounted(one_id_rl: Rl) -> None:
    shown = one_id_rl.run(
        "run", "--rm", "--trace", "--network", "none", "--mount",
        "type=image,src=busybox,dst=/t,image-subpath=bin", "busybox", "/t/busybox", "id", "-u",
    )  # fmt: skip
    assert shown.stdout == "0\n"
    assert f"mapped one ID: 0 is {os.getuid()} here" in shown.stderr
    assert "bind bin of an overlay of 1 layers on /t" in shown.stderr
