"""`rl unshare`: a command of this machine as root of the caller's user namespace."""

from typing import Any

from rootless import log
from rootless.cli import host_command
from rootless.context import Context
from rootless.linux import namespaces
from rootless.store import mapping


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Run `command` or a shell where the IDs are those of containers; its status."""
    command = host_command.words(ctx, values["command"])
    idmap = mapping.default_map(ctx)
    if idmap.single:
        log.note(f"one ID is mapped, because {idmap.reason}: all your files are root's there")
    environ = {"RL_STORE": ctx.paths.store, "RL_CONTAINERS": ctx.paths.containers_by_name}

    def enter() -> object:
        return namespaces.run_in_user_namespace(
            idmap,
            ctx.environ,
            lambda: host_command.run(command, environ),
            mounts=True,
            keep_groups=True,
        )

    return host_command.follow(command, enter)
