"""The file that says that a container is paused: containers/<id>/paused.  Warm.

    <start time of the init> [held] <PID> <PID>…

"held": a command has paused it for as long as it lasts (runtime/still.py).
The PIDs are of processes that were stopped before, and are to stay so.  With another start time
it is of an earlier run and means nothing.  It is written before the first process is stopped and
removed after the last one goes on, so that what a killed command leaves can be unpaused.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.store.containers import Container


_HELD = b"held"


def path(container: "Container") -> str:
    return f"{container.directory}/paused"


def read(container: "Container") -> list[int] | None:
    """The processes that were stopped before the pause; None when it is not paused."""
    if container.state.get("status") != "running":
        return None
    try:
        with open(path(container), "rb") as file:
            words = file.read().split()
    except OSError:
        return None
    if not words or words[0] != b"%d" % int(container.state.get("start_time", 0)):
        return None
    return [int(word) for word in words[1:] if word != _HELD]


def is_paused(container: "Container") -> bool:
    return read(container) is not None


def is_held(container: "Container") -> bool:
    """Whether it is paused by a command, for its time."""
    try:
        with open(path(container), "rb") as file:
            return _HELD in file.read().split() and is_paused(container)
    except OSError:
        return False


def write(container: "Container", stopped: "list[int]", *, held: bool = False) -> None:
    words = [int(container.state["start_time"]), *[_HELD.decode()] * held, *stopped]
    temporary = f"{path(container)}.new"
    with open(temporary, "w") as file:
        file.write(" ".join(str(word) for word in words) + "\n")
    os.rename(temporary, path(container))


def clear(container: "Container") -> None:
    try:
        os.unlink(path(container))
    except FileNotFoundError:
        pass
