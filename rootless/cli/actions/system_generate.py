"""`rl system generate systemd`."""

import json
import os
from typing import Any

from rootless.cli import recreate
from rootless.cli.actions import several
from rootless.cli.output import write
from rootless.context import Context
from rootless.errors import ContainerError, UsageError
from rootless.quadlet import units, words
from rootless.runtime import user_systemd
from rootless.runtime.options_text import texts
from rootless.store import atomic
from rootless.store.containers import Container

_POLICIES = (
    "no", "always", "on-success", "on-failure", "on-abnormal", "on-abort", "on-watchdog",
)  # fmt: skip
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.@\\")


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Print the unit of a container, or write it into a file here."""
    if values["kind"] != "systemd":
        raise UsageError(
            f"rl system generate does not write {values['kind']}",
            remedy="rl system generate systemd CONTAINER",
        )
    if values["format"] not in (None, "", "json"):
        raise UsageError(f"there is no --format {values['format']}", remedy="use json, or none")
    container = several.find(ctx, str(values["container"]))
    wanted = _wanted(values, recreate.directory(container))
    _check_restarts(container, new=bool(values["new"]))
    shown = container.name if values["name"] else container.id
    prefix = str(values["container_prefix"])
    unit = f"{prefix}{values['separator']}{shown}" if prefix else shown
    if set(unit) - _NAME:
        raise UsageError(
            f"{unit} cannot be the name of a unit", remedy="use letters, digits and : - _ . @"
        )
    program = units.Program(user_systemd.program(ctx), user_systemd.environment(ctx))
    create = None
    if values["new"]:
        create = [words.literal(word) for word in recreate.words(container)]
    text = units.of_container(shown, f"{unit}.service", program, wanted, create=create)
    _deliver(f"{unit}.service", text, values)
    return 0


def _deliver(file: str, text: str, values: dict[str, Any]) -> None:
    if values["files"]:
        path = os.path.abspath(file)
        atomic.write_bytes(path, text.encode(), 0o644)
        text = f"{path}\n"
        write(json.dumps({file: path}) + "\n" if values["format"] else text)
    elif values["format"]:
        write(json.dumps({file.removesuffix(".service"): text}, indent=1) + "\n")
    else:
        write(text)


def _wanted(values: dict[str, Any], directory: str) -> units.Wanted:
    policy = str(values["restart_policy"])
    if policy not in _POLICIES:
        raise UsageError(
            f"{policy} is no restart policy of systemd", remedy=f"one of {', '.join(_POLICIES)}"
        )
    for name in ("restart_sec", "start_timeout", "stop_timeout"):
        if values[name] is not None and values[name] < 0:
            raise UsageError(f"--{name.replace('_', '-')} cannot be negative", remedy="seconds")
    for one in texts(values, "env"):
        if "=" not in one:
            raise UsageError(f"--env {one} has no value", remedy="write it as NAME=VALUE")
    lists = {name: tuple(texts(values, name)) for name in ("wants", "after", "requires")}
    for name, given in lists.items():
        for one in given:
            if not one or set(one) - _NAME - {"%"}:
                raise UsageError(f"--{name} {one!r} is no unit", remedy="as network.service")
    return units.Wanted(
        restart=policy,
        restart_s=values["restart_sec"],
        start_s=values["start_timeout"],
        stop_s=10 if values["stop_timeout"] is None else values["stop_timeout"],
        wants=lists["wants"],
        after=lists["after"],
        requires=lists["requires"],
        environment=tuple(texts(values, "env")),
        header=not values["no_header"],
        directory=directory,
    )


def _check_restarts(container: Container, *, new: bool) -> None:
    """Raise ContainerError for what two would restart, and for what is gone after its end."""
    if new:
        return
    if container.config.get("auto_remove"):
        raise ContainerError(
            f"{container.name} is removed at its end (--rm): there is nothing to start again",
            remedy="use --new",
            code="RL-BOOT-CONTAINER",
        )
    if container.restarts:
        raise ContainerError(
            f"{container.name} has a restart policy of its own",
            remedy="give that up (rl update --restart no), or use rl system autostart enable, "
            "which needs no unit for each container",
            code="RL-BOOT-CONTAINER",
        )
