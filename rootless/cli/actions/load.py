"""`rl load`: images from an archive."""

import io
import os

from rootless.context import Context
from rootless.errors import RlError, UsageError
from rootless.layer import image_load
from rootless.oci import reference
from rootless.store import atomic, events, layout


def main(ctx: Context, values: dict[str, object]) -> int:
    """Load everything from the file or directory `input`, or standard input."""
    path = str(values["input"] or "")
    layout.prepare(ctx.paths)
    atomic.sweep(ctx)
    platform = str(values["platform"] or "")
    if path and os.path.isdir(path):
        loaded = image_load.load(ctx, path, platform=platform, what=path)
    else:
        with _open(path) as stream:
            what = path or "standard input"
            loaded = image_load.load(ctx, stream, platform=platform, what=what)
    for one in loaded:
        events.record_image(ctx.paths, "load", str(one.record["id"]), *one.names[:1])
        for name in one.names:
            print(f"Loaded image: {reference.parse(name).familiar()}")
        if not one.names:
            print(f"Loaded image ID: {one.record['id']}")
    return 0


def _open(path: str) -> io.FileIO:
    if not path:
        if os.isatty(0):
            raise UsageError(
                "requested load from stdin, but stdin is a terminal",
                remedy="give --input, or redirect an archive to it",
            )
        return io.FileIO(0, "rb", closefd=False)
    try:
        return io.FileIO(path, "rb")
    except OSError as e:
        raise RlError(
            f"cannot read {path}: {e.strerror}",
            remedy="check its name and mode",
            code="RL-LOAD-SOURCE",
        ) from e
