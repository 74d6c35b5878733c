"""rl events: what has happened, and what happens."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

from support.program import Rl
from support.traces import wait_until


def told(rl: Rl, *args: str) -> list[dict[str, object]]:
    """The events so far."""
    lines = rl.out("events", "--since", "1", "--until", "0s", "--format", "json", *args)
    return [json.loads(line) for line in lines.splitlines()]


def actions(rl: Rl, *args: str) -> list[object]:
    return [event["Action"] for event in told(rl, *args)]


def test_a_containers_life_is_told_with_dockers_names(rl: Rl) -> None:
    name, other = rl.name(), rl.name()
    rl.run("create", "--name", name, "--label", "k=v", "--network", "none", "busybox",
           "sleep", "100")  # fmt: skip
    rl.run("rename", name, other)
    rl.run("start", other)
    rl.run("stop", "-t", "0", other)
    rl.run("rm", other)
    expected = ["create", "rename", "start", "kill", "kill", "die", "stop", "destroy"]
    assert actions(rl, "--filter", f"container={name}") == ["create"]
    events = told(rl, "--filter", "label=k=v", "--filter", "type=container")
    assert [event["Action"] for event in events][-8:] == expected
    died = events[-3]
    actor = died["Actor"]
    assert isinstance(actor, dict)
    assert actor["Attributes"] | {"execDuration": ""} == {
        "k": "v", "image": "busybox", "name": other, "exitCode": "137", "execDuration": "",
    }  # fmt: skip
    assert (died["status"], died["from"], died["scope"]) == ("die", "busybox", "local")
    line = rl.out("events", "--since", "1", "--until", "0s", "-f", "event=destroy",
                  "-f", f"container={other}")  # fmt: skip
    assert line.split(" ", 2)[1:] == [
        "container", f"destroy {actor['ID']} (image=busybox, k=v, name={other})",
    ]  # fmt: skip
    form = "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}"
    text = rl.out("events", "--since", "1", "--until", "0s", "--format", form,
                  "-f", "event=rename", "-f", f"container={other}")  # fmt: skip
    assert text == f"container rename {other}"


def test_images_and_volumes_are_told(rl: Rl) -> None:
    tag, volume = rl.name("t"), rl.name("v")
    rl.run("tag", "busybox", tag)
    rl.run("rmi", tag)
    rl.run("run", "--rm", "-v", f"{volume}:/v", "--network", "none", "busybox", "true")
    rl.run("run", "--rm", "-v", "/v", "--network", "none", "busybox", "true")
    assert actions(rl, "-f", f"image={tag}") == ["tag", "untag"]
    assert actions(rl, "-f", f"volume={volume}") == ["create", "mount", "unmount"]
    assert actions(rl, "-f", "type=volume")[-2:] == ["unmount", "destroy"]


def test_events_are_followed_over_a_rotation(rl: Rl) -> None:
    first, last = rl.name(), rl.name()
    watching = rl.popen("events", "-f", f"container={first}", "-f", f"container={last}")
    seen: list[str] = []
    assert watching.stdout is not None
    reader = threading.Thread(target=lambda: seen.extend(watching.stdout or ()))
    reader.start()
    noise = json.dumps({"timeNano": 1, "Type": "image", "Action": "x", "ID": "y" * 4000,
                        "Attributes": {}})  # fmt: skip
    while not seen:  # until it watches
        rl.run("run", "--rm", "--name", first, "--network", "none", "busybox", "true")
    with open(f"{rl.store}/events", "a") as file:
        file.write(f"{noise}\n" * 1100)
    rl.run("run", "--rm", "--name", last, "--network", "none", "busybox", "true")
    rl.run("run", "--rm", "--name", last, "--network", "none", "busybox", "true")
    assert os.path.getsize(f"{rl.store}/events") < 1 << 20

    def words() -> list[str]:
        return [line.split(" ")[2] for line in seen if f"name={last}" in line]

    wait_until(lambda: words().count("destroy") == 2, what="two ends")
    watching.kill()
    reader.join()
    assert words() == ["create", "start", "die", "destroy"] * 2


def test_filters_that_are_none_are_refused(rl: Rl) -> None:
    rl.fails("events", "-f", "colour=red", status=125, code="RL-FILTER")
    rl.fails("events", "-f", "type=planet", status=125, code="RL-FILTER")
    done = rl.run("events", "--since", "soon", status=125)
    assert "neither a time nor an age" in done.stderr


def test_work_on_files_is_told(fresh_store: Callable[..., Rl], tmp_path: Path) -> None:
    rl = fresh_store(busybox=True)
    name, copy = rl.name(), rl.name()
    rl.run("create", "--name", name, "--network", "none", "busybox", "true")
    (tmp_path / "f").write_text("x")
    rl.run("cp", "-q", f"{tmp_path}/f", f"{name}:/root/f")
    rl.run("export", "-o", f"{tmp_path}/all.tar", name)
    image = rl.out("commit", name)
    rl.run("snapshot", name, "before")
    rl.run("rollback", name, "before")
    rl.run("fork", name, copy)
    done = told(rl, "-f", f"container={name}")
    assert [one["Action"] for one in done] == [
        "create", "copy", "export", "commit", "snapshot", "rollback", "fork",
    ]  # fmt: skip
    attributes = [one["Actor"]["Attributes"] for one in done]  # type: ignore[index]
    assert attributes[1]["path"] == "/root/f" and attributes[3]["imageID"] == image
    assert attributes[4]["snapshot"] == attributes[5]["snapshot"] == "before"
    assert attributes[6]["forkID"] == rl.inspect(copy)["Id"]
    rl.run("volume", "create", "kept")
    for what in ("container", "volume", "image"):
        rl.run(what, "prune", "-f", *(["-a"] if what == "volume" else []))
        (pruned,) = told(rl, "-f", "event=prune", "-f", f"type={what}")
        assert pruned["Actor"]["Attributes"]["reclaimed"].isdecimal()  # type: ignore[index]
    assert actions(rl, "-f", "volume=kept") == ["create", "destroy"]
