"""Volumes on disk: volumes/<name>/volume.json, and _data where it is a directory.  Warm.

    volume.json   {"name", "created": RFC 3339, "driver": "local", "labels": {}, "anonymous": bool,
                  "options": {}}

A volume with options is no directory of the store: {"type": "tmpfs", "o": WORDS} is a new tmpfs in
each start of the one container that has it, {"o": "bind", "device": PATH} a directory of the host.
"""

import os

from rootless.errors import RlError, VolumeError
from rootless.store import atomic, containers, events
from rootless.store.locks import Locked
from rootless.store.removal import remove_mapped_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context
    from rootless.paths import Paths

    Document = dict[str, Any]


def lock(paths: "Paths", *, shared: bool) -> Locked:
    """Shared: from the look at a volume until a container that has it is in the store.
    Exclusive: from the look at the containers until a volume is gone."""
    return Locked(paths.volume_lock, shared=shared, what="the volumes")


def read(paths: "Paths", name: str) -> "Document | None":
    """volume.json, None when there is no such volume; a damaged one has its name only."""
    try:
        document: Document = atomic.read_json(f"{paths.volume(name)}/volume.json")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except RlError:
        document = {}
    empty: Document = {
        "name": name, "created": "", "driver": "local", "labels": {}, "anonymous": False,
        "options": {},
    }  # fmt: skip
    return empty | document


def names(paths: "Paths") -> "list[str]":
    """All volumes, sorted."""
    try:
        found = os.listdir(paths.volumes)
    except FileNotFoundError:
        return []
    return sorted(name for name in found if not name.startswith("."))


def ensure(
    ctx: "Context",
    name: str,
    *,
    anonymous: bool = False,
    labels: "dict[str, str] | None" = None,
    options: "dict[str, str] | None" = None,
) -> bool:
    """Make the volume `name` if there is none; True when it is new.

    Built in tmp/ and renamed: of two commands at once one makes it, both use it.
    """
    place = ctx.paths.volume(name)
    if os.path.exists(f"{place}/volume.json"):
        return False
    with atomic.TemporaryDirectory(ctx.paths, ctx) as temporary:
        made = f"{temporary}/v"
        try:
            os.mkdir(made)
            if not options:
                os.mkdir(f"{made}/_data")
                os.chmod(f"{made}/_data", 0o755)  # whatever the umask: for all in the container
            document = {
                "name": name, "created": containers.now(), "driver": "local",
                "labels": labels or {}, "anonymous": anonymous, "options": options or {},
            }  # fmt: skip
            atomic.write_json(f"{made}/volume.json", document, sync=False)
            os.rename(made, place)
        except FileExistsError:
            return False
        except OSError as e:
            if os.path.exists(f"{place}/volume.json"):
                return False
            raise atomic.store_error(e, f"make the volume {name}") from e
    events.record(ctx.paths, "volume", "create", name, {"driver": "local"})
    return True


def users(paths: "Paths") -> "dict[str, list[str]]":
    """Volume -> IDs of the containers that have it.  Nothing is reconciled: locks may be held."""
    found: dict[str, list[str]] = {}
    for container_id in containers.all_ids(paths):
        try:
            config: Document = atomic.read_json(f"{paths.container(container_id)}/container.json")
        except (FileNotFoundError, NotADirectoryError, RlError):
            continue
        for mount in config.get("mounts") or ():
            if mount.get("Type") == "volume":
                found.setdefault(str(mount.get("Name")), []).append(container_id)
    return found


def discard(ctx: "Context", container: "containers.Container", held: "containers.Lock") -> None:
    """Remove a container, and those of its anonymous volumes that no other container has.

    The caller holds `held`, the container's lock.
    """
    anonymous = container.config.get("anonymous_volumes", [])
    containers.remove(ctx, container, held)
    if not anonymous:
        return
    with lock(ctx.paths, shared=False):
        used = users(ctx.paths)
        for name in anonymous:
            if name not in used:
                remove(ctx, name)


def remove(ctx: "Context", name: str) -> None:
    """Remove the volume `name`; one that does not exist is removed already.

    The caller holds the exclusive lock, or has made the volume itself.
    """
    with atomic.TemporaryDirectory(ctx.paths, ctx) as temporary:
        try:
            os.rename(ctx.paths.volume(name), f"{temporary}/v")
        except FileNotFoundError:
            return
        if not remove_mapped_tree(ctx, f"{temporary}/v"):
            raise VolumeError(
                f"cannot remove all files of the volume {name}",
                remedy="they belong to IDs that are not yours any more: see rl doctor",
                code="RL-CONTAINER-FILES",
            )
    events.record(ctx.paths, "volume", "destroy", name, {"driver": "local"})
