"""Unpacked layers: layers/<diffID hex>/diff and meta.json, never changed once they are there."""

import errno
import os

from rootless.errors import StoreError
from rootless.store import atomic
from rootless.store.removal import remove_mapped_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.paths import Paths


def exists(paths: "Paths", diff_id: str) -> bool:
    """Whether the layer is in the store, whole: it gets its name as the last step."""
    return os.path.exists(f"{paths.layer(diff_id)}/meta.json")


def list_layers(paths: "Paths") -> list[str]:
    """The diffIDs of all layers, sorted."""
    try:
        names = os.listdir(paths.layers)
    except FileNotFoundError:
        return []
    return sorted(f"sha256:{name}" for name in names if len(name) == 64)


def read_meta(paths: "Paths", diff_id: str) -> "dict[str, object]":
    """meta.json: diff_id, size, created, and what the host did not let the layer have."""
    try:
        return atomic.read_json(f"{paths.layer(diff_id)}/meta.json")
    except FileNotFoundError:
        raise StoreError(
            f"the layer {diff_id[7:19]} is not in the store",
            remedy="pull or import its image again",
            code="RL-STORE-CORRUPT",
        ) from None


def size(paths: "Paths", diff_id: str) -> int:
    """The sum of the layer's file sizes in bytes."""
    value = read_meta(paths, diff_id).get("size")
    return value if isinstance(value, int) else 0


def commit(paths: "Paths", staged: str, meta: "dict[str, object]") -> bool:
    """Make the directory `staged` (with diff/ in it) last and give it its name; False if it had
    one.

    `staged` is a child of a TemporaryDirectory, which removes it in that case.  Idempotent, and
    safe against others who commit the same layer now.  What the process had written to the store
    before is on disk then, too.  Raises StoreError.
    """
    from rootless.store import syncing

    atomic.write_json(f"{staged}/meta.json", meta, paths.file_mode, sync=False)
    syncing.file_system(paths.layers)
    target = paths.layer(str(meta["diff_id"]))
    try:
        os.rename(staged, target)
    except OSError as e:
        if e.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise atomic.store_error(e, f"put a layer into {paths.layers}") from e
    syncing.directory(paths.layers)
    return True


def remove(ctx: "Context", diff_id: str) -> bool:
    """Remove the layer; whether it was there.  The caller knows that nothing uses it.

    It is moved to tmp/ first: a kill in between leaves no half of a layer behind its name.
    The caller has one thread.
    """
    with atomic.TemporaryDirectory(ctx.paths, ctx) as temporary:
        try:
            os.rename(ctx.paths.layer(diff_id), f"{temporary}/layer")
        except FileNotFoundError:
            return False
        except OSError as e:
            raise atomic.store_error(e, f"remove the layer {diff_id[7:19]}") from e
        return remove_mapped_tree(ctx, f"{temporary}/layer")
