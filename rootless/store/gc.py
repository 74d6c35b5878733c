"""Garbage: what killed commands left, and what no image or container uses any more.

Runs beside other commands.  A temporary directory is live while its maker holds its lock, a layer
or blob while an image, a container or a lease names it (leases.py).
"""

from typing import TYPE_CHECKING

from rootless.store import atomic, frozen, image_changes

if TYPE_CHECKING:
    from rootless.context import Context


def collect(ctx: "Context") -> "tuple[int, set[str]]":
    """Sweep tmp/ and remove unused layers and blobs: how many directories, and the digests."""
    swept = atomic.sweep(ctx)
    frozen.collect(ctx)
    return swept, image_changes.collect(ctx)
