"""--cache-to and --cache-from, type=local: steps of the build cache in a directory, for others.

rl-build-cache.json         {"version": 1, "steps": {<key>: {what cache.Entry has, "blob": …}}}
blobs/sha256/<hex>          the steps' layers, compressed
"""

import json
import os
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rootless.build import cache_imports as imports
from rootless.build.cache import Cache, Entry
from rootless.errors import RlError
from rootless.layer.export import Layer, Packer, Packing, stored_blobs
from rootless.layer.unpack import unpack_layer
from rootless.store import atomic

if TYPE_CHECKING:
    from rootless.build.events import Result
    from rootless.context import Context

VERSION = 1
_NAME = "rl-build-cache.json"


def keys_of(ctx: "Context", result: "Result", mode: str) -> list[str]:
    """mode=max: every step that was built or used; min: those whose layers the image has."""
    if mode == "max":
        return list(result.all_cache_keys)
    cache, layers = Cache(ctx), (*result.record["layers"], "")
    found = ((key, cache.load(key)) for key in result.all_cache_keys)
    return [key for key, entry in found if entry is not None and entry.diff_id in layers]


def write(ctx: "Context", keys: Sequence[str], directory: str, how: Packing) -> int:
    """Put the steps `keys` into `directory`, beside what is there; how many layers were new.

    Raises BuildError RL-BUILD-CACHE.
    """
    stored = stored_blobs(ctx)
    try:
        os.makedirs(f"{directory}/blobs/sha256", exist_ok=True)
        steps = _read(directory)
        new = 0
        with atomic.TemporaryDirectory(ctx.paths, ctx) as temporary:
            packer = Packer(ctx, temporary, how)
            for key in keys:
                entry = Cache(ctx).load(key)
                if entry is None or _is_whole(directory, steps.get(key)):
                    continue
                blob = ""
                if entry.diff_id:
                    descriptor, path = packer.pack(Layer(entry.diff_id, stored.get(entry.diff_id)))
                    blob = descriptor.digest
                    _put(path, _blob_path(directory, blob))
                    new += 1
                steps[key] = {**imports.described(entry), "blob": blob}
        text = json.dumps({"version": VERSION, "steps": steps}, indent=1, sort_keys=True)
        atomic.write_bytes(f"{directory}/{_NAME}", text.encode(), 0o644)
    except OSError as e:
        raise imports.failed(f"cannot write the cache {directory}: {e.strerror}") from e
    return new


class Directory:
    """What a directory offers."""

    def __init__(self, directory: str, steps: dict[str, Any]) -> None:
        self.name = directory
        self.steps: dict[str, Entry] = {}
        self._blobs: dict[str, str] = {}
        for key, step in steps.items():
            self.steps[key] = imports.entry_of(key, step, directory)
            self._blobs[key] = str(step.get("blob") or "")
            if self.steps[key].diff_id and not imports.DIGEST.fullmatch(self._blobs[key]):
                raise imports.failed(f"the cache {directory} is damaged")

    def unpack(self, ctx: "Context", key: str) -> None:
        path = _blob_path(self.name, self._blobs[key])
        try:
            with open(path, "rb", buffering=0) as file:
                unpack_layer(ctx, ctx.paths, file, "", self.steps[key].diff_id)
        except OSError as e:
            raise imports.failed(f"cannot read {path}: {e.strerror}") from e


def offer(directory: str) -> Directory | None:
    """What the directory has; None if it is no cache.  Raises BuildError RL-BUILD-CACHE."""
    if not os.path.exists(f"{directory}/{_NAME}"):
        return None
    return Directory(directory, _read(directory))


def _read(directory: str) -> dict[str, Any]:
    path = f"{directory}/{_NAME}"
    try:
        with open(path, "rb") as file:
            document = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as e:
        raise imports.failed(f"cannot read {path}: {e}") from e
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise imports.failed(f"{path} is not a cache of this version of rl")
    steps = document.get("steps")
    return steps if isinstance(steps, dict) else {}


def _is_whole(directory: str, step: Any) -> bool:
    if not isinstance(step, dict):
        return False
    blob = str(step.get("blob") or "")
    return not blob or os.path.exists(_blob_path(directory, blob))


def _blob_path(directory: str, digest: str) -> str:
    return f"{directory}/blobs/sha256/{digest.partition(':')[2]}"


def _put(path: str, target: str) -> None:
    """A copy of the file under its name, when it is whole."""
    part = f"{target}.part-{os.getpid()}"
    try:
        shutil.copyfile(path, part)
        os.rename(part, target)
    except (OSError, RlError):
        if os.path.exists(part):
            os.unlink(part)
        raise
