"""A volume in the shape of `docker volume inspect`."""

from rootless.store import volume_changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context


def describe(ctx: "Context", document: "dict[str, Any]") -> "dict[str, Any]":
    """Docker's object; Mountpoint is "" for a tmpfs, which no place of the host shows."""
    return {
        "CreatedAt": document["created"],
        "Driver": document["driver"],
        "Labels": document["labels"] or None,
        "Mountpoint": volume_changes.mount_point(ctx, document),
        "Name": document["name"],
        "Options": document["options"] or None,
        "Scope": "local",
    }
