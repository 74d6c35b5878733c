"""`rl volume import`."""

import contextlib
import os
from typing import cast

from rootless.cli.actions import import_image
from rootless.context import Context
from rootless.errors import VolumeError
from rootless.layer import bounds
from rootless.layer.compression import Readable
from rootless.layer.unpack import squashes
from rootless.layer.userns import Worker
from rootless.runtime.options_mounts import check_volume_name
from rootless.store import volume_changes, volumes

_CHUNK = 1 << 20


def main(ctx: Context, values: dict[str, object]) -> int:
    """Put the files of an archive into a volume, which is made if it is missing.

    A volume that was there keeps what came before the bad place of an archive.
    """
    name = str(values["name"])
    check_volume_name(name)
    source = str(values["source"] or "-")
    stream = cast(Readable, import_image.open_source(source, "volume import"))
    new = volumes.read(ctx.paths, name) is None
    volume_changes.create(ctx, name, {}, {})
    try:
        _fill(ctx, name, stream, "standard input" if source == "-" else source)
    except BaseException:
        if new:  # and nobody's yet, or in use by now
            with contextlib.suppress(VolumeError):
                volume_changes.remove(ctx, name)
        raise
    os.write(1, f"{name}\n".encode())
    return 0


def _fill(ctx: Context, name: str, stream: Readable, what: str) -> None:
    directory = volume_changes.data_directory(ctx, volume_changes.find(ctx, name))
    arguments: dict[str, object] = {
        "directory": directory, "squash": squashes(ctx), "what": what,
        "limits": bounds.of(ctx.config),
    }  # fmt: skip
    with Worker(ctx, "fill", arguments, stdin=-1) as worker:
        while chunk := stream.read(_CHUNK):
            if not worker.feed(chunk):
                break
        worker.result()
