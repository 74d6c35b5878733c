"""Volumes as `rl volume` makes, looks for and removes them."""

import os

from rootless import ids
from rootless.errors import VolumeError
from rootless.store import layout, volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rootless.context import Context

    Document = dict[str, Any]

ANONYMOUS_LABEL = "com.docker.volume.anonymous"


def create(ctx: "Context", name: str, labels: dict[str, str], options: dict[str, str]) -> str:
    """Make a volume, "" for one with a random name; its name.

    One that is there already is left as it is, as with Docker.  Raises VolumeError
    RL-VOLUME-EXISTS when it has other options, RL-VOLUME-SOURCE for a device that is not there.
    """
    layout.prepare(ctx.paths)
    check_device(options)
    anonymous = not name
    if anonymous:
        name = ids.new_container_id()
        labels = {ANONYMOUS_LABEL: "", **labels}
    with volumes.lock(ctx.paths, shared=True):
        if not volumes.ensure(ctx, name, anonymous=anonymous, labels=labels, options=options):
            there = volumes.read(ctx.paths, name) or {}
            if options and there.get("options") != options:
                raise VolumeError(
                    f"the volume {name} exists with other options",
                    remedy=f"choose another name, or remove it first: rl volume rm {name}",
                    code="RL-VOLUME-EXISTS",
                )
    return name


def check_device(options: dict[str, str]) -> None:
    """A directory that a volume stands for must be there when it is made."""
    device = options.get("device", "")
    if options.get("type") != "tmpfs" and device and not os.path.isdir(device):
        raise VolumeError(
            f"cannot make a volume of {device}: it is no directory",
            remedy="make it first: mkdir -p",
            code="RL-VOLUME-SOURCE",
        )


def find(ctx: "Context", name: str) -> "Document":
    """volume.json of a volume.  Raises VolumeError RL-VOLUME-NOT-FOUND."""
    document = volumes.read(ctx.paths, name) if ids.is_name(name) else None
    if document is None:
        raise VolumeError(
            f"no such volume: {name}",
            remedy="list them with: rl volume ls",
            code="RL-VOLUME-NOT-FOUND",
        )
    return document


def list_all(ctx: "Context") -> "list[Document]":
    """Every volume, by name."""
    found = [volumes.read(ctx.paths, name) for name in volumes.names(ctx.paths)]
    return [one for one in found if one is not None]


def remove(ctx: "Context", name: str) -> None:
    """Remove a volume.  Raises VolumeError RL-VOLUME-NOT-FOUND, RL-VOLUME-IN-USE."""
    find(ctx, name)
    with volumes.lock(ctx.paths, shared=False):
        owners = volumes.users(ctx.paths).get(name)
        if owners:
            raise VolumeError(
                f"the volume {name} is in use by {', '.join(one[:12] for one in owners)}",
                remedy="remove the containers first: rl rm",
                code="RL-VOLUME-IN-USE",
            )
        volumes.remove(ctx, name)


def prune(ctx: "Context", wanted: "Callable[[Document], bool]") -> list[str]:
    """Remove the volumes that no container has and for which `wanted` holds; their names."""
    done = []
    with volumes.lock(ctx.paths, shared=False):
        used = volumes.users(ctx.paths)
        for document in list_all(ctx):
            name = str(document["name"])
            if name not in used and wanted(document):
                volumes.remove(ctx, name)
                done.append(name)
    return done


def mount_point(ctx: "Context", document: "Document") -> str:
    """Where the host shows a volume's files, "" for a tmpfs."""
    options = document["options"]
    if options.get("type") == "tmpfs":
        return ""
    return str(options.get("device") or ctx.paths.volume_data(str(document["name"])))


def data_directory(ctx: "Context", document: "Document") -> str:
    """Where a volume's files are.  Raises VolumeError for a tmpfs."""
    place = mount_point(ctx, document)
    if not place:
        raise VolumeError(
            f"the volume {document['name']} is in memory, in its container alone",
            remedy="copy its files from the running container: rl cp",
            code="RL-VOLUME-MEMORY",
        )
    return place
