"""Layers that stay where they are: directories of another store of the same user (shared.py).

A link to the other store's diff/ stands in the place of one's own, so that all that reads layers
works on these.  Their files have IDs of the host: the owner in the image is right here only if this
caller's mapping is the one that they were written with.
"""

import os

from rootless import context
from rootless.errors import StoreError
from rootless.linux import idmap
from rootless.store import atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from rootless.paths import Paths


def is_linked(directory: str) -> bool:
    """Whether the layer with this directory (layers/<hex>/diff) lies in another store."""
    return os.path.islink(directory)


def stage(paths: "Paths", theirs: "Paths", diff_id: str, staged: str) -> None:
    """Make the directory `staged` of a layer that lies in the store `theirs`.

    Raises StoreError RL-SHARED-STORE: it is not there, or its IDs are others than here.
    """
    source = theirs.layer_diff(diff_id)
    meta = _described(source)
    ids = _ids_of(paths, theirs, source)
    os.mkdir(staged, 0o700)
    os.symlink(source, f"{staged}/diff")
    atomic.write_json(f"{staged}/meta.json", {**meta, "diff_id": diff_id, "linked": ids})


def verify(directory: str, mapped: "idmap.IdMap | None" = None) -> None:
    """Raise StoreError RL-SHARED-STORE if the layer with this directory is not what it was when it
    was adopted, or has IDs that `mapped` has not."""
    source = os.readlink(directory)
    own = atomic.read_json(f"{os.path.dirname(directory)}/meta.json")
    theirs = _described(source)
    if any(theirs.get(key) != own.get(key) for key in ("diff_id", "size")):
        raise StoreError(
            f"{os.path.dirname(source)} in the shared image store is damaged: it is another layer "
            "than when it was first used",
            remedy="there: rl system check --repair; or rl rmi -f the image here, and pull it",
            code="RL-SHARED-STORE",
        )
    ids = own.get("linked")
    if mapped is None or not isinstance(ids, dict):
        return
    if not (_covers(mapped.uids, ids["uids"]) and _covers(mapped.gids, ids["gids"])):
        raise _other_ids(source, mapped.reason or "your subordinate IDs are others now")


def gone(path: str) -> StoreError:
    """The error for what a shared store has no more."""
    return StoreError(
        f"the shared image store has lost {path}, or it cannot be read",
        remedy="ask its owner to mount or publish it again; or rl rmi -f the image and pull it",
        code="RL-SHARED-STORE",
    )


def _described(source: str) -> "dict[str, object]":
    """The other store's meta.json of the layer with the directory `source`, which is there."""
    try:
        meta = atomic.read_json(f"{os.path.dirname(source)}/meta.json")
    except (OSError, StoreError) as e:
        raise gone(os.path.dirname(source)) from e
    if not os.path.isdir(source):
        raise gone(source)
    return meta


def _ids_of(paths: "Paths", theirs: "Paths", source: str) -> "dict[str, object]":
    """The subordinate IDs (uids, gids: [[first, count], …]) that the files of the store have, which
    are this caller's too: the store keeps what its owner has (mapping.py)."""
    uid = os.getuid()
    place = f"{theirs.cache}/subordinate-ids.json"
    if os.stat(os.path.dirname(source)).st_uid != uid:
        raise _other_ids(source, "the store is another user's")
    try:
        saved = atomic.read_json(place)
        written = _ranges(saved["uids"], saved["gids"])
        known = saved["uid"] == uid
    except (OSError, StoreError, KeyError, TypeError, ValueError):
        known = False
    if not known:
        raise _other_ids(source, f"{place} does not say that they are yours")
    own = _ranges(
        *idmap.subordinate_ranges(
            lambda: context.login_name(uid), uid, os.environ, f"{paths.cache}/subordinate-ids.json"
        )
    )
    # With one ID all files are the caller's, who is in every mapping.
    if written not in (([], []), own):
        raise _other_ids(source, "it was written with other subordinate IDs than you have here")
    return {"uids": written[0], "gids": written[1]}


def _ranges(uids: object, gids: object) -> "tuple[list[list[int]], list[list[int]]]":
    assert isinstance(uids, list)
    assert isinstance(gids, list)
    if not uids or not gids:
        return [], []  # one ID: idmap.default_map()
    return [[int(a), int(b)] for a, b in uids], [[int(a), int(b)] for a, b in gids]


def _covers(extents: "Iterable[idmap.Extent]", ranges: "list[list[int]]") -> bool:
    """Whether the host's IDs at both ends of each range are mapped."""
    ends = [end for first, count in ranges for end in (first, first + count - 1)]
    return all(any(outside <= end < outside + n for _, outside, n in extents) for end in ends)


def _other_ids(source: str, why: str) -> StoreError:
    store = os.path.dirname(os.path.dirname(os.path.dirname(source)))
    return StoreError(
        f"the images of the store {store} cannot be used from there: the owners of their files "
        f"would be wrong ({why})",
        remedy="its owner can publish them for every mapping: rl image publish DIR IMAGE…; or "
        "pull the image into your own store",
        code="RL-SHARED-STORE",
    )
