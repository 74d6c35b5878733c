"""A context with a store of its own, for tests that call rl's functions in this process."""

import os
import shutil

from rootless.context import Context
from rootless.paths import Paths
from rootless.store import layout


def make_context(
    directory: str,
    environ: dict[str, str] | None = None,
    config: dict[str, object] | None = None,
    *,
    prepare: bool = True,
) -> Context:
    """A Context below `directory`: store, run and home; the environment has PATH alone."""
    home = f"{directory}/home"
    os.makedirs(home, exist_ok=True)
    ctx = Context(
        paths=Paths(f"{directory}/store", f"{directory}/run"),
        uid=os.getuid(),
        gid=os.getgid(),
        home=home,
        environ={
            "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
            "XDG_RUNTIME_DIR": f"{directory}/run",
            **(environ or {}),
        },
        config=config or {},
        debug=False,
    )
    if prepare:
        layout.prepare(ctx.paths)
    return ctx


def remove_tree(directory: str) -> None:
    """Remove a directory, also what subordinate IDs own in it."""
    shutil.rmtree(directory, ignore_errors=True)
    if os.path.exists(directory):
        # unshare(1) maps all of the user's subordinate IDs as newuidmap allows.
        os.spawnlp(
            os.P_WAIT, "unshare", "unshare", "--user", "--map-auto", "--map-root-user",
            "rm", "-rf", "--", directory,
        )  # fmt: skip


def leftovers(paths: Paths) -> list[str]:
    """The entries of a store's tmp/: what living commands make, and what a sweep will remove."""
    return sorted(os.listdir(paths.tmp)) if os.path.isdir(paths.tmp) else []
