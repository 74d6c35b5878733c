"""`rl quadlet rm`."""

import os

from rootless.cli import quadlets
from rootless.context import Context
from rootless.errors import QuadletError
from rootless.quadlet import place
from rootless.quadlet.collection import Quadlet
from rootless.quadlet.translate import translate
from rootless.runtime import user_systemd


def main(ctx: Context, values: dict[str, object]) -> int:
    """Forget installed quadlets; their containers are stopped first, volumes and images stay."""
    installed = quadlets.Installed(ctx)
    found = [one.quadlet for one in installed.sources.values()] if values.get("all") else []
    for name in quadlets.names(values, "rm"):
        try:
            quadlet = installed.find(name)
        except QuadletError:
            if not values.get("ignore"):
                raise
            continue
        if quadlet.file not in installed.sources:
            raise QuadletError(
                f"{quadlet.file} is an instance of a template, which has no file of its own",
                remedy=f"stop it: rl quadlet stop {quadlet.stem}",
                code="RL-QUADLET-TEMPLATE",
            )
        if quadlet.file not in {one.file for one in found}:
            found.append(quadlet)
    going = {quadlet.file for quadlet in found}
    for source in installed.sources.values():
        _check_unused(installed, source.quadlet, going)
    if not values.get("force"):
        _check_stopped(installed, found)
    # Those that need others first.
    found.sort(key=lambda one: one.kind != "container")

    def act(quadlet: Quadlet) -> None:
        _stop(installed, quadlet)
        if installed.systemd:
            user_systemd.systemctl(ctx, "--quiet", "disable", quadlet.service)
        place.remove(installed.place, quadlet.file)
        try:
            os.unlink(f"{user_systemd.units(ctx)}/{quadlet.service}")
        except FileNotFoundError:
            pass

    status = quadlets.for_each(found, act)
    if installed.systemd:
        user_systemd.systemctl(ctx, "daemon-reload")
    return status


def _check_unused(installed: quadlets.Installed, quadlet: Quadlet, going: set[str]) -> None:
    if quadlet.file in going:
        return
    needs = {one.file for one in translate(quadlet, installed.quadlets).needs}
    for file in sorted(needs & going):
        raise QuadletError(
            f"{quadlet.file} needs {file}",
            remedy=f"remove both: rl quadlet rm {file} {quadlet.file}",
            code="RL-QUADLET-IN-USE",
        )


def _check_stopped(installed: quadlets.Installed, found: list[Quadlet]) -> None:
    for quadlet in found:
        if quadlet.kind == "container" and installed.status(quadlet) in (
            "running", "active", "restarting", "activating",
        ):  # fmt: skip
            raise QuadletError(
                f"cannot remove {quadlet.file}: its container is running",
                remedy=f"stop it first (rl quadlet stop {quadlet.stem}), or use --force",
                code="RL-QUADLET-RUNNING",
            )


def _stop(installed: quadlets.Installed, quadlet: Quadlet) -> None:
    if quadlet.template:
        return
    if installed.systemd:
        user_systemd.systemctl(installed.ctx, "stop", quadlet.service)
    else:
        installed.starter().stop(quadlet.file)
