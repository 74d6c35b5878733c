"""Frozen layers: what a container had written by the time of a snapshot, frozen/<id>/diff.

They have no digest: a snapshot reads no file.  One is kept as long as a container stands on it, a
snapshot of a container names it, or a change of a container's layers that has begun does.
"""

import os

from rootless.errors import RlError
from rootless.store import atomic, containers
from rootless.store.locks import Locked
from rootless.store.removal import remove_mapped_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.paths import Paths


def lock(paths: "Paths", *, shared: bool) -> Locked:
    """Shared: from the look at a frozen layer until a container in the store has it.
    Exclusive: from the look at the containers until what none has is gone."""
    os.makedirs(paths.frozen, 0o700, exist_ok=True)
    return Locked(paths.frozen_lock, shared=shared, what="the snapshots")


def new(paths: "Paths") -> str:
    """Make the directory of a new frozen layer, without its diff; its ID.  Raises OSError."""
    frozen_id = os.urandom(16).hex()
    os.mkdir(f"{paths.frozen}/{frozen_id}", 0o700)
    return frozen_id


def collect(ctx: "Context") -> int:
    """Remove the frozen layers that nothing names; how many.  The caller has one thread."""
    paths = ctx.paths
    if not os.path.isdir(paths.frozen):
        return 0
    removed = 0
    with atomic.TemporaryDirectory(paths, ctx) as trash:
        with lock(paths, shared=False):
            used = _used(paths)
            if used is None:
                return 0
            for name in os.listdir(paths.frozen):
                if not name.startswith(".") and name not in used:
                    os.rename(f"{paths.frozen}/{name}", f"{trash}/{name}")
                    removed += 1
        remove_mapped_tree(ctx, trash)
    return removed


def _used(paths: "Paths") -> "set[str] | None":
    """The IDs that containers name; None when one of them cannot be read."""
    found: set[str] = set()
    for container_id in containers.all_ids(paths):
        directory = paths.container(container_id)
        if not os.path.exists(f"{directory}/snapshots.json"):
            continue
        try:
            config = atomic.read_json(f"{directory}/config.json")
            known = atomic.read_json(f"{directory}/snapshots.json")
            pending: dict[str, object] = {}
            if os.path.exists(f"{directory}/pending.json"):
                pending = atomic.read_json(f"{directory}/pending.json")
        except FileNotFoundError:
            continue  # removed just now
        except RlError:
            return None
        extension = config.get("rl")
        documents = [extension, pending, *known.values()]
        for document in documents:
            if isinstance(document, dict):
                ids = document.get("frozen")
                found.update(str(one) for one in (ids if isinstance(ids, list) else ()))
    return found
