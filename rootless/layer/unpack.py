"""A layer's blob into the store: unpacked, verified, synced, and then visible at once."""

import os
import subprocess
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from rootless.errors import RlError
from rootless.layer import bounds, userns
from rootless.layer.compression import Readable
from rootless.layer.timing import Spent, Timed
from rootless.records import dataclass, field
from rootless.store import layers, mapping
from rootless.store.atomic import TemporaryDirectory
from rootless.store.removal import remove_tree

if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.paths import Paths

_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A layer in the store, and what the host did not let it have."""

    diff_id: str
    size: int  # bytes, the sum of its files
    entries: int = 0
    skipped_devices: int = 0
    skipped_xattrs: int = 0
    lost_owners: int = 0
    device_names: list[str] = field(default_factory=list)  # of the first that were skipped
    # Seconds by what they were for, where RL_DEBUG=timing asks for them.
    spent: dict[str, float] = field(default_factory=dict)


def unpack_layer(
    ctx: "Context",
    paths: "Paths",
    blob_source: "Readable | int",
    media_type: str,
    diff_id: str,
) -> int:
    """Put the layer `diff_id` into the store and return its unpacked size in bytes.

    `blob_source` gives the blob as stored: an object with read(size), or a descriptor (a file, or
    a pipe that is still being filled), which stays the caller's.  Safe from several threads, and
    for the same layer at once.  Nothing is left of a layer that fails.

    Raises BadDocument, DigestMismatch, ImageError RL-IMAGE-IDS (config squash-ids makes such files
    root's), StoreError RL-STORE-FULL, HostError.
    """
    if layers.exists(paths, diff_id):
        return layers.size(paths, diff_id)
    return unpack(ctx, paths, blob_source, media_type, diff_id).size


def unpack(
    ctx: "Context",
    paths: "Paths",
    blob_source: "Readable | int",
    media_type: str = "",
    diff_id: str = "",
    unpacked: Callable[[], object] = lambda: None,
) -> Unpacked:
    """unpack_layer() that tells all; without `diff_id` the layer gets the one it has.

    unpacked() is called when the files are there and verified, before they are made to last.
    """
    with _Temporary(ctx, paths) as directory:
        staged = f"{directory}/layer"
        os.mkdir(staged, 0o700)
        result = _run_worker(ctx, blob_source, media_type, diff_id, f"{staged}/diff")
        layer = Unpacked(**result)
        unpacked()
        meta = {
            "diff_id": layer.diff_id,
            "size": layer.size,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "lost_owners": layer.lost_owners,
            "skipped_devices": layer.skipped_devices,
            "skipped_xattrs": layer.skipped_xattrs,
        }
        spent = Spent(on=bool(layer.spent))
        spent.timed("sync", layers.commit)(paths, staged, meta)
        layer.spent.update(spent.seconds)
        ctx.unpacked.append(layer)
        return layer


def squashes(ctx: "Context") -> bool:
    """Whether files of owners that are not mapped become root's: wanted, or the only way."""
    return ctx.config.get("squash-ids") is True or mapping.default_map(ctx).single


class _Temporary:
    """A TemporaryDirectory whose files may be other IDs' and that is used from threads.

    What cannot be removed by the caller is removed by a worker: nothing forks here.
    """

    def __init__(self, ctx: "Context", paths: "Paths") -> None:
        self._ctx = ctx
        self._directory = TemporaryDirectory(paths)

    def __enter__(self) -> str:
        return self._directory.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        path = self._directory.path
        try:
            if not remove_tree(path):
                userns.run(self._ctx, "remove", {"paths": [path]})
        except RlError:
            if kind is None:
                raise  # else the first failure is the one to report, and gc tries again
        finally:
            self._directory.__exit__(kind, value, traceback)


def _run_worker(
    ctx: "Context", source: "Readable | int", media_type: str, diff_id: str, directory: str
) -> "dict[str, Any]":
    fd = source if isinstance(source, int) else None
    timing = ctx.environ.get("RL_DEBUG") == "timing"
    arguments: dict[str, object] = {
        "directory": directory,
        "media_type": media_type,
        "diff_id": diff_id,
        "squash": squashes(ctx),
        "limits": bounds.of(ctx.config),
        "timing": timing,
    }
    stdin = subprocess.PIPE if fd is None else fd
    with userns.Worker(ctx, "unpack", arguments, stdin=stdin) as worker:
        spent = Spent(on=timing)
        if not isinstance(source, int):
            if timing and isinstance(source, Timed):
                source.time(spent)
            read, feed = spent.timed("network", source.read), spent.timed("pipe", worker.feed)
            while (chunk := read(_CHUNK)) and feed(chunk):
                pass
        result = cast("dict[str, Any]", worker.result())
        for name, seconds in spent.seconds.items():
            result["spent"][name] = result["spent"].get(name, 0.0) + seconds
        return result
