"""A store that several machines share: what runs on another one is left alone.

The other machine is this one under another machine-id(5): what it would have written is written
by hand.
"""

import json
import os
from collections.abc import Callable

from support.program import Rl

OTHER = {"id": "f" * 32, "host": "other"}


def as_other_machine(rl: Rl, container_id: str) -> dict[str, object]:
    """Make the state of a running container that of another machine; what it was."""
    path = f"{rl.store}/containers/{container_id}/state.json"
    with open(path) as file:
        state: dict[str, object] = json.load(file)
    write(path, {**state, "machine": OTHER, "boot_id": "another"})
    return state


def write(path: str, state: dict[str, object]) -> None:
    with open(f"{path}.new", "w") as file:
        json.dump(state, file)
    os.rename(f"{path}.new", path)


def test_a_container_of_another_machine_is_shown_and_not_touched(
    fresh_store: Callable[..., Rl],
) -> None:
    rl = fresh_store(busybox=True)
    name = rl.start("--restart", "always")
    path = f"{rl.store}/containers/{name}/state.json"
    before = as_other_machine(rl, name)
    assert "on other" in rl.out("ps", "--format", "{{.Status}}")
    for words in (["stop"], ["kill"], ["rm", "-f"], ["wait"], ["exec"], ["restart"], ["pause"]):
        error = rl.fails(
            *words, name, *(["true"] if words == ["exec"] else []),
            status=1, code="RL-CONTAINER-ELSEWHERE",
        )  # fmt: skip
        assert "machine other" in error
    rl.fails("system", "reset", "-f", status=1, code="RL-CONTAINER-ELSEWHERE")
    rl.run("container", "prune", "-f")
    assert rl.out("run", "--rm", "--network", "none", "busybox", "echo", "image") == "image"
    with open(path) as file:
        assert json.load(file)["machine"] == OTHER, "nobody has reconciled it"
    os.kill(int(str(before["pid"])), 0)
    write(path, before)
    assert rl.running(name)
    assert rl.inspect(name)["RestartCount"] == 0, "it ran all the while"


def test_what_another_machine_makes_is_not_swept(fresh_store: Callable[..., Rl]) -> None:
    rl = fresh_store(busybox=True)
    theirs, old, ours = (f"{rl.store}/tmp/{name}" for name in ("ffff-1", "ffff-2", "dead"))
    for directory in (theirs, old, ours):
        os.makedirs(f"{directory}/layer")
    os.utime(old, (0, 0))
    rl.run("run", "--rm", "--network", "none", "busybox", "true")
    assert os.path.exists(theirs), "its lock is not seen from here"
    assert not os.path.exists(old) and not os.path.exists(ours)
    rl.fails("system", "reset", "-f", status=1, code="RL-STORE-BUSY")
    os.utime(theirs, (0, 0))
    rl.run("system", "reset", "-f")
    os.mkdir(rl.store)
