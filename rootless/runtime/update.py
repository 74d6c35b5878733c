"""`rl update`: other limits and another restart policy for a container, also while it runs."""

import os

from rootless.errors import ContainerError, KernelError, LimitError, UsageError
from rootless.linux import cgroup
from rootless.runtime import (
    limit_groups,
    limit_values,
    limits,
    options_limits,
    spec,
    stop,
)
from rootless.runtime.options import RunOptions
from rootless.runtime.options_life import parse_restart
from rootless.runtime.options_text import number, text
from rootless.store import atomic, events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rootless.context import Context
    from rootless.store.containers import Container

NAMES = (*(name for name in limits.NAMES if not name.startswith("cgroup_")), "restart")


def update(ctx: "Context", container: "Container", values: "Mapping[str, object]") -> None:
    """Change what is given in `values` (raw, by NAMES); all of it or nothing.

    Raises UsageError, LimitError where a limit cannot be held, ContainerError.
    """
    container.read_config()
    before = RunOptions.from_dict(container.config["options"])
    after = RunOptions.from_dict({**before.to_dict(), **_parse(values, before)})
    if after.restart["name"] != "no" and container.config["auto_remove"]:
        raise UsageError(
            f"{container.name} was made with --rm: it cannot have a restart policy",
            remedy="make it again without --rm",
        )
    old, new = limits.resources(before), limits.resources(after)
    if old != new:
        policy = after.limits or str(ctx.config.get("limits", "strict"))
        if container.pidfd() >= 0:
            _apply(container, old, new)
        else:
            # Refused now, not at the next start.
            group = limits.prepare(ctx, container.id, new, policy)
            if group is not None:
                group.remove()
        config = container.runtime_config()
        config["rl"] |= {"resources": new, "limits": policy}
        config["linux"]["resources"] = spec.resources(after)
        atomic.write_json(f"{container.directory}/config.json", config, sync=False)
    container.config |= {"options": after.to_dict(), "restart": after.restart}
    atomic.write_json(f"{container.directory}/container.json", container.config, sync=False)
    stop.nudge(container)
    events.record_container(ctx.paths, container, "update")


def _parse(values: "Mapping[str, object]", before: RunOptions) -> "dict[str, Any]":
    """The fields of RunOptions that change."""
    changed: dict[str, Any] = {}
    memory, swap = text(values, "memory"), text(values, "memory_swap")
    if memory or swap:
        kept = before.memory_swap
        changed["memory"], changed["memory_swap"] = options_limits.parse_memory(
            memory or str(before.memory), swap or (str(kept) if kept else "")
        )
    limit = changed.get("memory", before.memory)
    if text(values, "memory_reservation"):
        asked = text(values, "memory_reservation")
        changed["memory_reservation"] = options_limits.parse_reservation(asked, limit)
    changed.update(_parse_cpu(values, before))
    if values.get("pids_limit") is not None:
        changed["pids_limit"] = options_limits.parse_pids_limit(number(values, "pids_limit"))
    devices: dict[str, Any] = {}
    options_limits.parse_devices(devices, values)
    for name, value in devices.items():
        if values.get(name) is not None:
            # Those of other devices stay; a rate of 0 takes one away.
            changed[name] = {**getattr(before, name), **value} if isinstance(value, dict) else value
    if text(values, "restart"):
        changed["restart"] = parse_restart(text(values, "restart"))
    return changed


def _parse_cpu(values: "Mapping[str, object]", before: RunOptions) -> "dict[str, Any]":
    changed: dict[str, Any] = {}
    if text(values, "cpus"):
        changed["cpus"] = options_limits.parse_cpus(text(values, "cpus"))
    time: dict[str, Any] = {"cpus": changed.get("cpus", before.cpus)}
    options_limits.parse_cpu_time(time, values)
    for name in ("cpu_quota", "cpu_period", "cpu_shares"):
        if values.get(name) is not None:
            changed[name] = time[name]
    if changed.get("cpus"):
        changed |= {"cpu_quota": 0, "cpu_period": 0}  # Docker: one way at a time
    for name in ("cpuset_cpus", "cpuset_mems"):
        if values.get(name) is not None:
            option = "--" + name.replace("_", "-")
            changed[name] = options_limits.parse_cpuset(text(values, name), option)
    return changed


def _apply(container: "Container", old: "dict[str, Any]", new: "dict[str, Any]") -> None:
    """Set the limits of a running container; those set already are set back when one fails."""
    before, after = limit_values.cgroup_settings(old), limit_values.cgroup_settings(new)
    group = container.state.get("cgroup") or {}
    path = str(group.get("path", ""))
    needed = {name.partition(".")[0] for name in after}
    if not path or needed - cgroup.controllers(path):
        raise ContainerError(
            f"cannot change the limits of {container.name} while it runs: it was started without "
            "a control group that can hold them",
            remedy=f"stop it first: rl stop {container.name}; they hold from its next start on",
            code="RL-UPDATE-RUNNING",
        )
    held = limit_groups.from_dict(group)
    changes = {
        name: after.get(name) for name in {**before, **after} if before.get(name) != after.get(name)
    }
    done: list[str] = []
    try:
        for name, value in changes.items():
            held.set(name, value)
            done.append(name)
    except KernelError as e:
        for name in done:
            held.set(name, before.get(name))
        raise LimitError(
            f"{os.path.basename(e.target)} of {container.name} cannot be set: "
            f"{os.strerror(e.errno)}",
            remedy="stop the container first, or ask for another limit",
            code="RL-LIMIT-ENTER",
        ) from e
