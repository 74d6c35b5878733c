"""What a Dockerfile may say, and no build of rl can do."""

import posixpath

from rootless.build.dockerfile.instructions import Run
from rootless.build.dockerfile.mounts import Mount
from rootless.errors import BuildError


def check_run(run: Run, workdir: str | None) -> None:
    """Refuse what RUN asks for in vain; `workdir` is None where it isn't known.

    `run` is expanded.  Raises BuildError without place.
    """
    if run.security != "sandbox":
        raise BuildError(
            "RUN --security=insecure needs rights that only root of the host has",
            remedy="leave it out",
            code="RL-NEEDS-ROOT",
        )
    if any(device.required for device in run.devices):
        raise BuildError(
            "RUN --device: no such device is configured",
            remedy="leave it out",
            code="RL-NOT-YET",
        )
    for mount in run.mounts:
        _check_place(mount, workdir)


def _check_place(mount: Mount, workdir: str | None) -> None:
    """Refuse a mount on the root: that of the step cannot be covered."""
    if workdir is None and not mount.target.startswith("/"):
        return
    place = posixpath.normpath(posixpath.join("/", workdir or "", mount.target))
    if mount.type in ("bind", "cache", "tmpfs") and place.strip("/") == "":
        raise BuildError(
            f"--mount=type={mount.type} has the root as its target",
            remedy="say where it is to be: target=/PATH",
            code="RL-BUILD-MOUNT",
        )
