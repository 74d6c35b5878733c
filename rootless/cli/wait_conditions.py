"""The conditions of `rl wait`: Docker's next-exit and removed, and podman's states."""

import os
import time

from rootless.cli import container_words as words
from rootless.errors import ContainerError, UsageError
from rootless.runtime import health
from rootless.store import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context
    from rootless.store.containers import Container

_STATES = ("created", "running", "paused", "restarting", "exited", "stopped")
_HEALTH = ("healthy", "unhealthy", "starting")
_KNOWN = ("not-running", "next-exit", "removed", *_STATES, *_HEALTH)
_INTERVAL_S = 0.05  # nobody tells us of a state: we look


def wait(ctx: "Context", container: "Container", conditions: list[str]) -> int:
    """Block until one of the conditions holds; the exit code, -1 where there is none."""
    for one in conditions:
        if one not in _KNOWN:
            raise UsageError(f"invalid --condition {one}", remedy=f"one of {', '.join(_KNOWN)}")
    if set(conditions) <= set(_HEALTH):
        health.need(container)
    began = dict(container.state)
    # The exit code stays readable through this descriptor when the directory has gone (--rm).
    with open(container.lock_path, "rb") as left:
        while True:
            gone = not os.path.exists(container.lock_path)
            if gone:
                if not {"removed", "not-running", "next-exit"} & set(conditions):
                    raise ContainerError(
                        f"{container.name} was removed before it was {' or '.join(conditions)}",
                        remedy="see when with: rl events",
                        code="RL-CONTAINER-NOT-FOUND",
                    )
                text = left.read(16).strip()
                return int(text) if text.isdigit() else 0
            found = containers.find(ctx, container.id) if not _is_removing(container) else None
            if found is not None and any(_holds(one, found, began) for one in conditions):
                return int(found.state.get("exit_code", 0)) if not found.running else -1
            if found is not None and set(conditions) <= set(_HEALTH):
                _need_hope(found, " or ".join(conditions))
            time.sleep(_INTERVAL_S)


def _need_hope(container: "Container", wanted: str) -> None:
    """What has ended is asked no more how it is.  Raises ContainerError."""
    if container.running or container.state.get("status") == "created":
        return
    raise ContainerError(
        f"{container.name} ended before it was {wanted}",
        remedy=f"see why: rl logs {container.name}",
        code="RL-CONTAINER-NOT-RUNNING",
    )


def _is_removing(container: "Container") -> bool:
    container.read_state()
    return container.state.get("status") == "removing"


def _holds(condition: str, found: "Container", began: "dict[str, Any]") -> bool:
    state = words.state(found)
    if condition == "not-running":
        return not found.running
    if condition == "next-exit":
        # Of the run that was going on (another start says so, too), or of the one that follows.
        now = found.state
        restarted = began.get("pid") and now.get("started_at") != began.get("started_at")
        ended = now.get("finished_at") and now["finished_at"] != began.get("finished_at")
        return bool(ended or restarted)
    if condition in _HEALTH:
        return found.running and found.state.get("health") == condition
    return state == ("exited" if condition == "stopped" else condition)
