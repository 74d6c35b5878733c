"""A directory of the store as a tar stream, made by a worker that sees all its IDs."""

import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from rootless.layer.userns import Worker

if TYPE_CHECKING:
    from rootless.context import Context

_CHUNK = 1 << 20


def tar_of(ctx: "Context", directory: str, *, layer: bool = True) -> Iterator[bytes]:
    """The tar archive of `directory` in chunks.  Nothing may change a layer meanwhile."""
    arguments: dict[str, object] = {"directory": directory, "layer": layer}
    with Worker(ctx, "archive", arguments, stdout=subprocess.PIPE) as worker:
        assert worker.process.stdout is not None
        while chunk := worker.process.stdout.read(_CHUNK):
            yield chunk
        worker.result()


def diff_id_of(ctx: "Context", directory: str) -> tuple[str, int]:
    """The diffID of `directory` as a layer, and the size of its archive; no archive is written."""
    devnull = subprocess.DEVNULL
    arguments: dict[str, object] = {"directory": directory, "layer": True}
    with Worker(ctx, "archive", arguments, stdout=devnull) as worker:
        answer = cast("dict[str, object]", worker.result())
    return str(answer["diff_id"]), int(cast("int", answer["size"]))
