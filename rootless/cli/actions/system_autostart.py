"""`rl system autostart`."""

import os
import subprocess

from rootless import log
from rootless.cli import quadlets
from rootless.cli.output import table, write
from rootless.context import Context
from rootless.errors import RlError, UsageError
from rootless.quadlet import units
from rootless.runtime import user_systemd
from rootless.store import containers
from rootless.store.containers import Container

UNIT = "rl-autostart.service"
_AT_BOOT = frozenset(("default.target", "multi-user.target", "graphical.target"))


def main(ctx: Context, values: dict[str, object]) -> int:
    """Do what the one argument says."""
    actions = {"enable": _enable, "disable": _disable, "status": _status, "start": _start,
               "stop": _stop}  # fmt: skip
    asked = str(values["action"] or "status")
    if asked not in actions:
        raise UsageError(
            f"rl system autostart does not know {asked}", remedy=f"use one of {', '.join(actions)}"
        )
    return actions[asked](ctx)


def _enable(ctx: Context) -> int:
    reason = user_systemd.missing(ctx)
    if reason is not None:
        raise reason
    program = units.Program(user_systemd.program(ctx), user_systemd.environment(ctx))
    path = user_systemd.write_unit(ctx, UNIT, units.of_autostart(program))
    user_systemd.systemctl(ctx, "daemon-reload")
    user_systemd.systemctl(ctx, "--quiet", "enable", UNIT)
    write(f"{path}\n")
    user_systemd.enable_linger(ctx)
    return 0


def _disable(ctx: Context) -> int:
    """The unit goes; what runs goes on, and linger may be wanted by others."""
    reason = user_systemd.missing(ctx)
    if reason is not None:
        raise reason
    path = f"{user_systemd.units(ctx)}/{UNIT}"
    if not os.path.exists(path):
        return 0
    user_systemd.systemctl(ctx, "--quiet", "disable", UNIT)
    os.unlink(path)
    user_systemd.systemctl(ctx, "daemon-reload")
    return 0


def _status(ctx: Context) -> int:
    reason = user_systemd.missing(ctx)
    enabled = reason is None and user_systemd.is_on(ctx, "is-enabled", UNIT)
    lingers = user_systemd.lingers(ctx)
    names = sorted(one.name for one in containers.list_all(ctx) if _is_promised(one))
    rows = [
        ["systemd", "yes" if reason is None else f"no: {reason.one_line()}"],
        ["unit", f"{UNIT} is enabled" if enabled else "no: run rl system autostart enable"],
        ["linger", "yes" if lingers else f"no: loginctl enable-linger {ctx.user_name()}"],
        ["containers", ", ".join(names) or "none has --restart=always or unless-stopped"],
    ]
    if reason is not None:
        del rows[1:3]
    write(table(rows))
    return 0 if enabled and lingers else 1


def _is_promised(container: Container) -> bool:
    policy = container.config.get("restart") or {}
    return policy.get("name") in ("always", "unless-stopped")


def _is_due(container: Container) -> bool:
    """Whether the next boot starts it, as Docker's daemon does when it begins."""
    policy = (container.config.get("restart") or {}).get("name")
    if container.running or container.state.get("status") == "created":
        return False
    return policy == "always" or (
        policy == "unless-stopped" and not os.path.exists(container.stop_mark)
    )


def _start(ctx: Context) -> int:
    """Quadlets where no systemd does it, then containers, the oldest first."""
    from rootless.cli.actions import start

    status = 0
    if user_systemd.missing(ctx) is not None:
        status = _start_quadlets(ctx)
    for container in reversed(containers.list_all(ctx)):
        if not _is_due(container):
            continue
        try:
            start.start_one(ctx, container)
            print(container.name, flush=True)
        except RlError as e:
            log.error(e.one_line())
            status = 1
    return status


def _start_quadlets(ctx: Context) -> int:
    installed = quadlets.Installed(ctx)
    wanted = []
    for source in installed.sources.values():
        unit = source.quadlet.unit
        targets = {
            word
            for key in ("WantedBy", "RequiredBy", "UpheldBy")
            for entry in unit.all("Install", key)
            for word in entry.value.split()
        }
        if not targets & _AT_BOOT:
            continue
        instance = unit.value("Install", "DefaultInstance")
        if not source.quadlet.template:
            wanted.append(source.quadlet)
        elif instance:
            wanted.append(source.quadlet.instance(instance))
    starter = installed.starter()
    return quadlets.for_each(wanted, lambda quadlet: starter.start(quadlet.file))


def _stop(ctx: Context) -> int:
    """All at once, each with its own time; a stop that is none of the user's, so that the next
    boot starts them again."""
    promised = [one for one in containers.list_all(ctx) if _is_promised(one) and one.running]
    program = user_systemd.program(ctx)
    stopping = [
        (one, subprocess.Popen([*program, "stop", one.id], stdout=subprocess.DEVNULL))
        for one in promised
    ]
    status = 0
    for container, process in stopping:
        status = max(status, process.wait())
        try:
            os.unlink(container.stop_mark)
        except FileNotFoundError:
            pass
    return status
