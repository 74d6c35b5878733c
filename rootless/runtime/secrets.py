"""The secrets of a container at its start: files in memory, and variables.

Read from the store each time: what is in config.json are their names.
"""

from rootless.linux import mount
from rootless.store import secrets as store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context


def operations(ctx: "Context", asked: "list[dict[str, Any]]") -> "list[mount.MemoryFile]":
    """The mounts of those that are files.  Raises SecretError for one that has gone."""
    return [
        mount.MemoryFile(
            store.data(store.find(ctx.paths, one["name"])), one["target"],
            mode=one["mode"], uid=one["uid"], gid=one["gid"],
        )
        for one in asked
        if one["type"] == "mount"
    ]  # fmt: skip


def environment(ctx: "Context", asked: "list[dict[str, Any]]") -> list[str]:
    """NAME=value of those that are variables."""
    return [
        f"{one['target']}="
        + store.data(store.find(ctx.paths, one["name"])).decode("utf-8", "surrogateescape")
        for one in asked
        if one["type"] == "env"
    ]
