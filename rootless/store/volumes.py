"""Volumes on disk: volumes/<name>/_data and volume.json.  Warm."""

import os

from rootless.errors import ContainerError
from rootless.store import atomic, containers, events
from rootless.store.removal import remove_mapped_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context


def ensure(ctx: "Context", name: str, *, anonymous: bool, labels: "dict[str, str]") -> bool:
    """Make the volume `name` if there is none; True when it is new.

    Built in tmp/ and renamed: of two commands at once one makes it, both use it.
    """
    place = ctx.paths.volume(name)
    if os.path.isdir(f"{place}/_data"):
        return False
    with atomic.TemporaryDirectory(ctx.paths, ctx) as temporary:
        made = f"{temporary}/v"
        try:
            os.makedirs(f"{made}/_data")
            os.chmod(f"{made}/_data", 0o755)  # whatever the umask: it is for all in the container
            document = {
                "name": name, "created": containers.now(), "driver": "local", "labels": labels,
                "anonymous": anonymous,
            }  # fmt: skip
            atomic.write_json(f"{made}/volume.json", document, sync=False)
            os.rename(made, place)
        except FileExistsError:
            return False
        except OSError as e:
            if os.path.isdir(f"{place}/_data"):
                return False
            raise atomic.store_error(e, f"make the volume {name}") from e
    events.record(ctx.paths, "volume", "create", name, {"driver": "local"})
    return True


def discard(ctx: "Context", container: "containers.Container", lock: "containers.Lock") -> None:
    """Remove a container with its anonymous volumes.  The caller holds `lock`."""
    names = container.config.get("anonymous_volumes", [])
    containers.remove(ctx, container, lock)
    for name in names:
        remove(ctx, name)


def remove(ctx: "Context", name: str) -> None:
    """Remove the volume `name`; one that does not exist is removed already."""
    with atomic.TemporaryDirectory(ctx.paths, ctx) as temporary:
        try:
            os.rename(ctx.paths.volume(name), f"{temporary}/v")
        except FileNotFoundError:
            return
        if not remove_mapped_tree(ctx, f"{temporary}/v"):
            raise ContainerError(
                f"cannot remove all files of the volume {name}",
                remedy="they belong to IDs that are not yours any more: see rl doctor",
                code="RL-CONTAINER-FILES",
            )
    events.record(ctx.paths, "volume", "destroy", name, {"driver": "local"})
