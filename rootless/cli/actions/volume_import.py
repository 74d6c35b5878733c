"""`rl volume import`."""

import os
from typing import cast

from rootless.cli.actions import import_image
from rootless.context import Context
from rootless.layer.compression import Readable
from rootless.layer.unpack import squashes
from rootless.layer.userns import Worker
from rootless.runtime.options_mounts import check_volume_name
from rootless.store import volume_changes

_CHUNK = 1 << 20


def main(ctx: Context, values: dict[str, object]) -> int:
    """Put the files of an archive into a volume, which is made if it is missing."""
    name = str(values["name"])
    check_volume_name(name)
    source = str(values["source"] or "-")
    stream = cast(Readable, import_image.open_source(source, "volume import"))
    volume_changes.create(ctx, name, {}, {})
    directory = volume_changes.data_directory(ctx, volume_changes.find(ctx, name))
    what = "standard input" if source == "-" else source
    arguments: dict[str, object] = {"directory": directory, "squash": squashes(ctx), "what": what}
    with Worker(ctx, "fill", arguments, stdin=-1) as worker:
        while chunk := stream.read(_CHUNK):
            if not worker.feed(chunk):
                break
        worker.result()
    os.write(1, f"{name}\n".encode())
    return 0
