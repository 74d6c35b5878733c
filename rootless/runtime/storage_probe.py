"""Which root file system works in this store: tried once per kernel, then remembered."""

import os

from rootless.errors import KernelError
from rootless.linux import mount, namespaces, process
from rootless.store import atomic, mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context


def choose(ctx: "Context", cache: str, release: str) -> str:
    """The best rung that works; remembered in `cache` for the kernel `release`."""
    driver = "copy"
    if overlay_works(ctx):
        driver = "overlay"
    elif process.find_program("fuse-overlayfs", ctx.environ) and os.access("/dev/fuse", os.W_OK):
        driver = "fuse-overlayfs"
    atomic.write_json(cache, {"release": release, "driver": driver}, sync=False)
    return driver


def overlay_works(ctx: "Context") -> bool:
    """Whether the kernel mounts an overlay of directories of the store, in a user namespace.

    Raises RlError where there is no user namespace: that says nothing about overlays.
    """
    with atomic.TemporaryDirectory(ctx.paths, ctx) as directory:
        for name in ("lower", "upper", "work", "target", "links"):
            os.mkdir(f"{directory}/{name}")

        def attempt() -> bool:
            mount.overlay(
                ["lower"], f"{directory}/target", upper="upper", work="work", base=directory,
                links=f"{directory}/links",
            )  # fmt: skip
            # A whiteout and an extended attribute, which some file systems refuse.
            os.mkdir(f"{directory}/target/d")
            os.rmdir(f"{directory}/target/d")
            os.setxattr(f"{directory}/upper", "user.overlay.test", b"y")
            return True

        try:
            return bool(
                namespaces.run_in_user_namespace(
                    mapping.default_map(ctx), ctx.environ, attempt, mounts=True
                )
            )
        except KernelError:
            return False
