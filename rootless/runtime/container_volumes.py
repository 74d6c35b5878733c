"""The volumes of a container that is being made.  Imported when it has any."""

import os

from rootless.errors import VolumeError
from rootless.runtime.options_mounts import new_mount
from rootless.store import containers, volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Any

    from rootless.context import Context

    Doc = dict[str, Any]


def inherited(ctx: "Context", given: "Sequence[Sequence[str]]") -> "list[Doc]":
    """What --volumes-from adds: the mounts of options_mounts' form, of [container, mode] pairs.

    Raises ContainerError RL-CONTAINER-NOT-FOUND.
    """
    found: dict[str, Doc] = {}
    for name, mode in given:
        container = containers.find(ctx, name)
        asked = {one["target"]: one for one in container.config["options"]["mounts"]}
        anonymous = container.config.get("anonymous_volumes", ())
        for shown in container.config["mounts"]:
            kind, target = shown["Type"], shown["Destination"]
            if kind not in ("bind", "volume"):
                continue  # a tmpfs is the container's own, as with Docker
            source = shown["Name"] if kind == "volume" else shown["Source"]
            mount = new_mount(kind, source, target) | asked.get(target, {})
            mount |= {"source": source, "create": False, "chown": False}
            mount["anonymous"] = kind == "volume" and source in anonymous
            mount["read_only"] = mode == "ro" or not shown["RW"]
            found[target] = mount
    return list(found.values())


class NewVolumes:
    """Make those of the volumes `wanted` ("volumes" of spec.build) that are not there.

    In the block the caller adds the container that has them; when that fails, the new ones are
    removed again.  Raises VolumeError, StoreError.
    """

    def __init__(self, ctx: "Context", wanted: "Sequence[Doc]") -> None:
        self._ctx = ctx
        self._wanted = wanted
        self._new: list[str] = []
        memory = any(one["options"].get("type") == "tmpfs" for one in wanted)
        # Two containers that want the same tmpfs at once see each other.
        self._lock = volumes.lock(ctx.paths, shared=not memory)

    def __enter__(self) -> None:
        self._lock.__enter__()
        try:
            for one in self._wanted:
                _check(self._ctx, one)
                if volumes.ensure(
                    self._ctx,
                    one["name"],
                    anonymous=one["anonymous"],
                    labels=one["labels"],
                    options=one["options"],
                ):
                    self._new.append(one["name"])
        except BaseException:
            self._undo()
            raise

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        value: "BaseException | None",
        traceback: "TracebackType | None",
    ) -> None:
        if kind is not None:
            self._undo()
        self._lock.release()

    def _undo(self) -> None:
        for name in self._new:
            volumes.remove(self._ctx, name)
        self._lock.release()


def _check(ctx: "Context", volume: "Doc") -> None:
    options = volume["options"]
    if options.get("type") == "tmpfs":
        owners = volumes.users(ctx.paths).get(volume["name"])
        if owners:
            found = containers.find(ctx, owners[0])
            raise VolumeError(
                f"the volume {volume['name']} is in memory, and {found.name} has it: without root "
                "a tmpfs is of one container",
                remedy="remove that container first, or use a volume on disk for both",
                code="RL-VOLUME-IN-USE",
            )
    elif options and not os.path.isdir(options["device"]):
        raise VolumeError(
            f"cannot mount the volume {volume['name']}: {options['device']} is no directory",
            remedy="make it first: mkdir -p",
            code="RL-VOLUME-SOURCE",
        )
