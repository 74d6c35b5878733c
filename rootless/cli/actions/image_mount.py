"""`rl image mount`: a command of this machine where the files of an image are mounted."""

import os
from typing import Any

from rootless import log
from rootless.cli import host_command
from rootless.context import Context
from rootless.linux import mount, syscalls
from rootless.runtime import layer_copies, rootfs
from rootless.store import atomic, images, shared_mounts
from rootless.store.leases import Lease


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Mount `image` read-only in namespaces of our own, and run `command` or a shell there.

    Its status, or 128 and the number of the signal that has ended it.
    """
    command = host_command.words(ctx, values["command"])
    atomic.sweep(ctx)
    with Lease(ctx) as lease:
        record: dict[str, Any] = images.resolve(ctx.paths, str(values["image"]))
        lease.keep(record["layers"], [str(record["id"])])
        images.resolve(ctx.paths, str(record["id"]))  # still there, now that it is leased
        place = f"{lease.path}/root"
        for name in ("root", "upper", "work", "links"):
            os.mkdir(f"{lease.path}/{name}", 0o700)
        has_overlay = rootfs.storage_driver(ctx, "") == "overlay"
        overlay = has_overlay and len(record["layers"]) <= mount.LAYERS_MAX
        if not overlay:
            why = (
                f"overlayfs takes {mount.LAYERS_MAX} layers, and there are {len(record['layers'])}"
                if has_overlay
                else "there is no overlay file system here"
            )
            log.note(f"{why}: the image is copied for this command")
            tops = [ctx.paths.layer_diff(one) for one in record["layers"]]
            layer_copies.flatten(ctx, tops, place)
        if not values["command"]:
            log.note(f"the files of the image are in {place}, until this shell ends")

        def work() -> int:
            _mount(ctx, record, lease.path, overlay=overlay)
            return host_command.run(command, {"RL_MOUNT": place, "PWD": place}, place)

        read = [ctx.paths.layer_diff(one) for one in record["layers"]] if overlay else []
        return host_command.follow(
            command, lambda: shared_mounts.run_in_worker(ctx, read, work, mounts=True)
        )


def _mount(ctx: Context, record: dict[str, Any], directory: str, *, overlay: bool) -> None:
    place = f"{directory}/root"
    if overlay:
        name = os.path.relpath(directory, ctx.paths.store)
        layers = [f"layers/{one.rpartition(':')[2]}/diff" for one in reversed(record["layers"])]
        mount.overlay(
            layers or [f"{name}/links"], place, upper=f"{name}/upper", work=f"{name}/work",
            base=ctx.paths.store, links=f"{directory}/links",
        )  # fmt: skip
    else:
        syscalls.mount(place, place, None, syscalls.MS_BIND)
    place_fd = os.open(place, os.O_PATH | os.O_CLOEXEC)
    syscalls.mount_setattr(place_fd, set_=syscalls.MOUNT_ATTR_RDONLY)
    os.close(place_fd)
