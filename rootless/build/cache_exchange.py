"""--cache-to and --cache-from, type=local: steps of the build cache in a directory, for others.

    rl-build-cache.json         {"version": 1, "steps": {<key>: {what cache.Entry has, "blob": …}}}
    blobs/sha256/<hex>          the steps' layers, gzip

Keys don't depend on the store, the user or the host (cache.py), so that they mean the same there.
"""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rootless.build.cache import Cache, Entry
from rootless.errors import BuildError, RlError
from rootless.layer import compression, pack
from rootless.layer.unpack import unpack_layer
from rootless.oci import manifest as manifests
from rootless.store import atomic, layers
from rootless.store.leases import Lease

if TYPE_CHECKING:
    from rootless.context import Context

VERSION = 1
_NAME = "rl-build-cache.json"
_HEX = re.compile("[0-9a-f]{64}")
_DIGEST = re.compile("sha256:[0-9a-f]{64}")


def write(ctx: "Context", keys: Sequence[str], directory: str) -> int:
    """Put the steps `keys` into `directory`, beside what is there; how many layers were new.

    Raises BuildError RL-BUILD-CACHE.
    """
    try:
        os.makedirs(f"{directory}/blobs/sha256", exist_ok=True)
        steps = _read(directory)
        new = 0
        for key in keys:
            entry = Cache(ctx).load(key)
            if entry is None or _is_whole(directory, steps.get(key)):
                continue
            blob = _pack(ctx, entry.diff_id, directory) if entry.diff_id else ""
            new += bool(blob)
            steps[key] = {**asdict(entry), "blob": blob}
        text = json.dumps({"version": VERSION, "steps": steps}, indent=1, sort_keys=True)
        atomic.write_bytes(f"{directory}/{_NAME}", text.encode(), 0o644)
    except OSError as e:
        raise _failed(f"cannot write the cache {directory}: {e.strerror}") from e
    return new


def read(ctx: "Context", directory: str) -> int | None:
    """Take the steps of `directory` into this store's cache; how many, None if it holds none.

    Raises BuildError RL-BUILD-CACHE for one that is damaged.
    """
    if not os.path.exists(f"{directory}/{_NAME}"):
        return None
    cache = Cache(ctx)
    cache.prepare()
    taken = 0
    with Lease(ctx) as lease:
        lease.keep_all()  # a layer has no user before its entry is saved
        for key, step in _read(directory).items():
            if not _HEX.fullmatch(key) or cache.load(key) is not None:
                continue
            entry = _entry(step, directory)
            if entry.diff_id and not layers.exists(ctx.paths, entry.diff_id):
                _unpack(ctx, entry, str(step["blob"]), directory)
            cache.save(key, entry)
            taken += 1
    return taken


def _read(directory: str) -> dict[str, Any]:
    path = f"{directory}/{_NAME}"
    try:
        with open(path, "rb") as file:
            document = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as e:
        raise _failed(f"cannot read {path}: {e}") from e
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise _failed(f"{path} is not a cache of this version of rl")
    steps = document.get("steps")
    return steps if isinstance(steps, dict) else {}


def _entry(step: Any, directory: str) -> Entry:
    """The checked entry of one step."""
    try:
        entry = Entry(
            diff_id=str(step["diff_id"]),
            size=int(step["size"]),
            tar_size=int(step["tar_size"]),
            created=str(step["created"]),
            name=str(step["name"]),
        )
        digests = [entry.diff_id, str(step["blob"])] if entry.diff_id else []
    except (KeyError, TypeError, ValueError) as e:
        raise _failed(f"{directory}/{_NAME} is damaged") from e
    if not all(_DIGEST.fullmatch(digest) for digest in digests):
        raise _failed(f"{directory}/{_NAME} is damaged")
    return entry


def _unpack(ctx: "Context", entry: Entry, blob: str, directory: str) -> None:
    path = f"{directory}/blobs/sha256/{blob.partition(':')[2]}"
    try:
        with open(path, "rb", buffering=0) as file:
            unpack_layer(ctx, ctx.paths, file, manifests.OCI_LAYER_GZIP, entry.diff_id)
    except OSError as e:
        raise _failed(f"cannot read {path}: {e.strerror}") from e
    # What a manifest says of the layer's archive.
    meta = layers.read_meta(ctx.paths, entry.diff_id)
    place = f"{ctx.paths.layer(entry.diff_id)}/meta.json"
    atomic.write_json(place, {**meta, "tar_size": entry.tar_size}, sync=False)


def _is_whole(directory: str, step: Any) -> bool:
    if not isinstance(step, dict):
        return False
    blob = str(step.get("blob") or "")
    return not blob or os.path.exists(f"{directory}/blobs/sha256/{blob.partition(':')[2]}")


def _pack(ctx: "Context", diff_id: str, directory: str) -> str:
    """The layer as a blob of the directory; its digest."""
    part = f"{directory}/blobs/part-{os.getpid()}"
    try:
        with open(part, "wb") as file:
            sink = compression.open_gzip_writer(file)
            for chunk in pack.tar_of(ctx, ctx.paths.layer_diff(diff_id)):
                sink.write(chunk)
            sink.close()
        with open(part, "rb") as done:
            value = hashlib.file_digest(done, "sha256").hexdigest()
        os.rename(part, f"{directory}/blobs/sha256/{value}")
    except RlError:
        os.unlink(part)
        raise
    return f"sha256:{value}"


def _failed(what: str) -> BuildError:
    return BuildError(
        what, remedy="remove that directory, or name another one", code="RL-BUILD-CACHE"
    )
