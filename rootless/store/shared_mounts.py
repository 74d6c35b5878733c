"""Adopted layers where they are read: mounted in the worker, or served to a container's stage."""

import os

from rootless.errors import StoreError
from rootless.linux import fuse, process, syscalls
from rootless.linux.namespaces import run_in_user_namespace
from rootless.store import mapping, shared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rootless.context import Context

KILL = 9  # importing signal costs 8 ms
PROGRAMS = ("squashfuse_ll", "squashfuse")


def program(environ: "Mapping[str, str]") -> str:
    """The path of squashfuse.  Raises HostError RL-HOST-SQUASHFUSE."""
    for name in PROGRAMS:
        path = process.find_program(name, environ)
        if path is not None:
            return path
    return process.need_program(
        PROGRAMS[0], environ,
        "fetch it with rl setup squashfuse, or ask the admin for: apt-get install squashfuse",
        "RL-HOST-SQUASHFUSE",
    )  # fmt: skip


def not_served(archive: str) -> StoreError:
    """The error for a server that has ended before it should."""
    return StoreError(
        f"squashfuse cannot show {archive} of the shared image store",
        remedy="try it in a terminal: squashfuse -f FILE DIRECTORY; rl system check looks for "
        "damage",
        code="RL-SHARED-STORE",
    )


def run_in_worker(
    ctx: "Context",
    directories: "Iterable[str]",
    function: "Callable[[], object]",
    *,
    mounts: bool = False,
) -> object:
    """run_in_user_namespace(), in which the layers `directories` can be read, whosever they are.

    The caller has one thread.
    """
    idmap = mapping.default_map(ctx)
    wanted = shared.mounts(list(directories), idmap)
    if not wanted:
        return run_in_user_namespace(idmap, ctx.environ, function, mounts=mounts)
    squashfuse = program(ctx.environ)

    def mounted() -> object:
        servers = []
        try:
            for directory, archive in wanted:
                fuse_fd = fuse.mount("squashfuse", directory, syscalls.MS_RDONLY)
                argv = [squashfuse, "-f", archive]
                servers.append(fuse.serve(argv, fuse_fd, ctx.environ))
            for directory, archive in wanted:
                try:
                    os.stat(directory)  # answered when its server is there
                except OSError as e:
                    raise not_served(archive) from e
            return function()
        finally:
            # They are in our mount namespace, and would keep it, and so themselves, alive.
            for pid in servers:
                os.kill(pid, KILL)

    return run_in_user_namespace(idmap, ctx.environ, mounted, mounts=True)
