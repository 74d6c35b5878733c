"""The whole store, removed: what rl has made in it, and nothing else that may be there."""

import os
from typing import TYPE_CHECKING

from rootless.errors import StoreError
from rootless.store import atomic, leases
from rootless.store.removal import remove_mapped_tree

if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.paths import Paths

# "version" first: without it this is no store any more, and the next command makes a new one.
_NAMES = (
    "version", "oci-layout", "index.json", "containers", "images", "manifests", "blobs", "partial",
    "layers", "frozen", "volumes", "networks", "buildcache", "secrets", "cache", "events", "lock",
)  # fmt: skip
_HELPERS = "helpers"  # of rl setup, which removes them, too


def check(paths: "Paths") -> None:
    """Raise StoreError RL-STORE-MISSING when the directory is none of ours."""
    there = os.path.isdir(paths.store) and set(os.listdir(paths.store))
    if not there or not there & {"version", "tmp"}:
        raise StoreError(
            f"there is no store in {paths.store}",
            remedy="nothing is to be removed; RL_STORE names another one",
            code="RL-STORE-MISSING",
        )


def refuse_while_used(paths: "Paths") -> None:
    """Raise StoreError RL-STORE-BUSY while other commands make something in the store."""
    try:
        names = os.listdir(paths.tmp)
    except FileNotFoundError:
        return
    busy = sum(leases.is_alive(f"{paths.tmp}/{name}") for name in names)
    if busy:
        raise StoreError(
            f"{busy} other command(s) of rl work in {paths.store}",
            remedy="wait for them (a pull, a build), or end them",
            code="RL-STORE-BUSY",
        )


def remove(ctx: "Context") -> list[str]:
    """Remove all that rl has made, with files of subordinate IDs; the containers do not run.

    All of it leaves its place before anything is deleted, so that a kill leaves no half of a
    store: the next command sweeps the rest.  Returns what else is there, and stays.  Raises
    StoreError.
    """
    paths = ctx.paths
    try:
        os.makedirs(paths.tmp, 0o700, exist_ok=True)
    except OSError as e:
        raise atomic.store_error(e, f"make {paths.tmp}") from e
    with atomic.TemporaryDirectory(paths, ctx) as temporary:
        for name in _NAMES:
            try:
                os.rename(f"{paths.store}/{name}", f"{temporary}/{name}")
            except FileNotFoundError:
                continue
            except OSError as e:
                raise atomic.store_error(e, f"remove {paths.store}/{name}") from e
    if not remove_mapped_tree(ctx, paths.tmp):
        raise StoreError(
            f"cannot remove all files in {paths.tmp}",
            remedy="they belong to IDs that are not yours any more: see rl doctor",
            code="RL-CONTAINER-FILES",
        )
    try:
        os.rmdir(paths.store)
        return []
    except OSError:
        pass  # a mount point, in a directory that is another's, or not empty
    return sorted(set(os.listdir(paths.store)) - {_HELPERS})
