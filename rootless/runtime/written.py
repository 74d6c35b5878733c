"""What a container has written: its own layers, topmost first, and those of its image."""

import os
from typing import TYPE_CHECKING, Any

from rootless.errors import ContainerError
from rootless.runtime import layer_copies

if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.store.containers import Container

# Made in every container where its image has nothing: no change of the user's.
_STUBS = ("/dev", "/proc", "/sys")


class Written:
    """The directories behind a container's root file system.

    Raises ContainerError RL-CONTAINER-COPY for a container that has no layers of its own: of the
    storage driver "copy", or with --rootfs.
    """

    def __init__(self, ctx: "Context", container: "Container", purpose: str) -> None:
        self.config: dict[str, Any] = container.runtime_config()
        extension = self.config["rl"]
        if extension["rung"].get("storage") in ("copy", "directory"):
            raise ContainerError(
                f"cannot {purpose} {container.name}: its files are all in one directory, and what "
                "has changed since it was made was not noted",
                remedy="use a storage driver with layers (overlay, fuse-overlayfs) for that",
                code="RL-CONTAINER-COPY",
            )
        if container.state.get("one_id"):
            from rootless.runtime import owners

            owners.settle(ctx, container)
        suffix = extension.get("layer_directory", "diff")
        self.own = [f"{container.directory}/upper"]
        self.own += [ctx.paths.frozen_diff(one) for one in reversed(extension.get("frozen", ()))]
        layers = [ctx.paths.layer(one) for one in reversed(extension["layers"])]
        self.lower = [f"{layer}/{suffix}" for layer in layers]
        # The same as the image has them, and what makes owners those of the image (keep-id).
        self.image = [f"{layer}/diff" for layer in layers]
        self.owner = layer_copies.kept_owner(suffix)

    @property
    def stubs(self) -> list[str]:
        """The mount points that rl itself makes."""
        user = {entry["destination"] for entry in self.config["mounts"]}
        etc = [one for one in user if os.path.dirname(one) == "/etc"]
        return [*_STUBS, *etc]
