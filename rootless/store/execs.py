"""What `rl exec` has run in a container: containers/<id>/execs/<exec ID>.json.  Warm.

    {"id", "container", "pid", "start_time", "started", "finished" (seconds since the epoch, 0 while
     it runs), "exit_code" (None: not known), "args", "user", "tty", "interactive", "privileged",
     "detach_keys"}

Written by the parent of the process: rl itself, or the keeper of a detached one.  A record stays
for five minutes after the end, as with Docker, or until the container goes.
"""

import os
import time

from rootless import ids
from rootless.errors import ContainerError, RlError
from rootless.linux import process
from rootless.store import atomic, events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context
    from rootless.store.containers import Container

KEPT_S = 300.0


def _directory(container: "Container") -> str:
    return f"{container.directory}/execs"


class Record:
    """One process that was executed.  A record that cannot be written is lost: the process ran."""

    __slots__ = ("_container", "_ctx", "document")

    def __init__(
        self, ctx: "Context", container: "Container", document: "dict[str, Any]", pid: int
    ) -> None:
        extension = document["rl"]
        self._ctx = ctx
        self._container = container
        self.document: dict[str, Any] = {
            "id": ids.new_container_id(),
            "container": container.id,
            "pid": pid,
            "start_time": process.start_time(pid),
            "started": time.time(),
            "finished": 0,
            "exit_code": None,
            "args": list(document["args"]),
            "user": extension["user"],
            "tty": document["terminal"],
            "interactive": extension["interactive"],
            "privileged": extension["privileged"],
            "detach_keys": extension["detach_keys"],
        }
        try:
            os.mkdir(_directory(container), 0o700)
        except FileExistsError:
            _forget_old(container)
        except OSError:
            pass
        self._write()
        command = " ".join(self.document["args"])
        self._record(f"exec_create: {command}")
        self._record(f"exec_start: {command}")

    def finish(self, exit_code: int) -> None:
        """The process has ended."""
        self.document |= {"finished": time.time(), "exit_code": exit_code}
        self._write()
        self._record("exec_die", exitCode=str(exit_code))

    def detached(self) -> None:
        """Nobody waits for the process any more, as its terminal was left."""
        self._record("exec_detach")

    def _record(self, action: str, **attributes: str) -> None:
        events.record_container(
            self._ctx.paths, self._container, action, execID=self.document["id"], **attributes
        )

    def _write(self) -> None:
        path = f"{_directory(self._container)}/{self.document['id']}.json"
        try:
            atomic.write_json(path, self.document, sync=False)
        except (OSError, RlError):
            pass


def list_all(container: "Container") -> "list[dict[str, Any]]":
    """The records of a container, the oldest first; one whose parent was killed has ended."""
    found = []
    try:
        names = os.listdir(_directory(container))
    except OSError:
        return []
    for name in names:
        if not name.endswith(".json") or name.startswith("."):
            continue
        try:
            record: dict[str, Any] = atomic.read_json(f"{_directory(container)}/{name}")
        except (OSError, RlError):
            continue
        record["running"] = not record["finished"] and process.is_alive(
            int(record["pid"]), int(record["start_time"])
        )
        found.append(record)
    found.sort(key=lambda record: float(record["started"]))
    return found


def find(everyone: "list[Container]", text: str) -> "dict[str, Any]":
    """The record whose ID is or begins with `text`.  Raises ContainerError RL-EXEC-NOT-FOUND."""
    matches = [
        record
        for container in everyone
        for record in list_all(container)
        if record["id"].startswith(text)
    ]
    if len(matches) != 1:
        raise ContainerError(
            f"no such exec instance: {text}",
            remedy="the ExecIDs in `rl inspect CONTAINER` are what can be looked at",
            code="RL-EXEC-NOT-FOUND",
        )
    return matches[0]


def _forget_old(container: "Container") -> None:
    """Remove what ended more than KEPT_S ago: a record is written at the start and at the end."""
    oldest = time.time() - KEPT_S
    try:
        with os.scandir(_directory(container)) as entries:
            old = {entry.name for entry in entries if entry.stat().st_mtime < oldest}
    except OSError:
        return
    for record in list_all(container) if old else ():
        name = f"{record['id']}.json"
        if name in old and not record["running"]:
            try:
                os.unlink(f"{_directory(container)}/{name}")
            except OSError:
                pass
