"""Mounts of images: --mount type=image.

The files are seen through an overlay of the layers, which nothing can change.  What the container
needs for one is in containers/ID/images/NUMBER: `tree`, where the overlay is mounted, and with rw
`upper` and `work`, which are emptied at each start.  Where the kernel has no overlay for us `tree`
is a copy.
"""

import os

from rootless.errors import ContainerError, ImageError, UsageError
from rootless.linux import mount
from rootless.linux.from_layers import FromLayers
from rootless.store import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rootless.context import Context
    from rootless.store.containers import Container

    Doc = dict[str, Any]


def find(ctx: "Context", mounts: "Sequence[Doc]") -> None:
    """Note the ID of the image of each mount of that type, as "image".

    One of a shared store is adopted: never under the image lock.  Raises ImageError.
    """
    for one in mounts:
        if one["type"] == "image":
            one["image"] = images.resolve(ctx.paths, one["source"])["id"]


def hold(ctx: "Context", mounts: "Sequence[Doc]") -> None:
    """Note the "layers" of what find() has found, for the container that will hold them.

    The caller holds images.reading(), or a container that has them (fork).  Raises ImageError.
    """
    for one in mounts:
        if one["type"] == "image" and "layers" not in one:
            wanted = one["source"]
            record = images.resolve_own(ctx.paths, one["image"])
            one["layers"] = record["layers"]
            if len(one["layers"]) >= mount.LAYERS_MAX:
                raise ImageError(
                    f"{wanted} has {len(one['layers'])} layers, and overlayfs takes "
                    f"{mount.LAYERS_MAX}",
                    remedy="squash it: rl build --squash",
                    code="RL-IMAGE-TOO-MANY-LAYERS",
                )


def check(mounts: "Sequence[Doc]", driver: str) -> None:
    """Refuse what the storage driver cannot do; note which have to be copied.  Raises UsageError.

    `mounts` are those of config.json.
    """
    for one in mounts:
        if one["type"] == "image":
            one["copied"] = driver != "overlay"
            if one["copied"] and "rw" in one["options"]:
                raise UsageError(
                    f"the rw mount of an image on {one['destination']} needs the kernel's "
                    f"overlayfs, and the storage driver is {driver}",
                    remedy="leave rw out, or copy the files into the container",
                )


def prepare(ctx: "Context", container: "Container", mounts: "Sequence[Doc]", suffix: str) -> None:
    """Make the directories of a new container's image mounts.  Raises RlError."""
    for number, one in _numbered(mounts):
        place = _place(container, number)
        for name in ("tree", "tree.links", "empty", "upper", "work"):
            os.makedirs(f"{place}/{name}", 0o755)
        if one["copied"]:
            from rootless.runtime import layer_copies

            layers = [f"{ctx.paths.layer(diff_id)}/{suffix}" for diff_id in one["layers"]]
            layer_copies.flatten(ctx, layers, f"{place}/tree")


def operation(
    ctx: "Context", container: "Container", entry: "Doc", mounts: "Sequence[Doc]", suffix: str
) -> FromLayers:
    """What mounts the image of `entry`, one of `mounts`."""
    number = next(number for number, one in _numbered(mounts) if one is entry)
    place = _place(container, number)
    source = entry["subpath"] or "/"
    return FromLayers(
        layer_directories(entry, suffix),
        source,
        entry["destination"],
        base=ctx.paths.store,
        scratch=os.path.relpath(place, ctx.paths.store),
        place=f"{place}/tree",
        read_only="rw" not in entry["options"],
        missing=ContainerError(
            f"cannot mount {source} of the image {entry['source']} on {entry['destination']}: it "
            "is not there",
            remedy="look into it: rl image tree IMAGE",
            code="RL-MOUNT-SOURCE",
        ),
        copied=bool(entry["copied"]),
    )


def layer_directories(entry: "Doc", suffix: str) -> "list[str]":
    """Of the image of a mount, topmost first, relative to the store."""
    return [f"layers/{one.rpartition(':')[2]}/{suffix}" for one in reversed(entry["layers"])]


def clear(ctx: "Context", container: "Container", mounts: "Sequence[Doc]") -> None:
    """Forget what was written into rw mounts of a container that does not run."""
    for number, one in _numbered(mounts):
        upper = f"{_place(container, number)}/upper"
        if "rw" in one["options"] and os.path.isdir(upper) and _has_files(upper):
            from rootless.store import removal

            for name in ("upper", "work"):
                removal.remove_mapped_tree(ctx, f"{_place(container, number)}/{name}")
                os.makedirs(f"{_place(container, number)}/{name}", 0o755, exist_ok=True)


def _has_files(directory: str) -> bool:
    try:
        return bool(os.listdir(directory))
    except PermissionError:
        return True  # of --userns=keep-id: root's, who is somebody else


def _numbered(mounts: "Sequence[Doc]") -> "list[tuple[int, Doc]]":
    return list(enumerate(one for one in mounts if one["type"] == "image"))


def _place(container: "Container", number: int) -> str:
    return f"{container.directory}/images/{number}"
