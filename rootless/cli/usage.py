"""What is in the store, and how much of it nothing needs: for `rl system df`.

An image has its layers unpacked and, when it was pulled or loaded, their blobs.  Each is counted
once, whatever images have it.
"""

from typing import Any

from rootless.cli import sizes
from rootless.context import Context
from rootless.records import dataclass, field
from rootless.store import buildcache, containers, image_changes, image_manifests, images
from rootless.store import volumes as volume_store
from rootless.store.containers import Container


@dataclass(slots=True)
class ImageUse:
    record: dict[str, Any]
    size: int  # bytes on disk
    shared: int  # of these, what other images have, too
    containers: int


@dataclass(slots=True)
class VolumeUse:
    name: str
    size: int
    links: int  # containers that mount it


@dataclass(slots=True)
class CacheUse:
    key: str
    kind: str  # "regular", or "exec.cachemount" as BuildKit calls a cache mount
    size: int
    created: str
    used: float  # seconds since the epoch, 0 when that is not known
    shared: bool  # an image has the layer, too


@dataclass(slots=True)
class Usage:
    images: list[ImageUse] = field(default_factory=list)
    images_size: int = 0
    images_reclaimable: int = 0
    containers: list[tuple[Container, int]] = field(default_factory=list)
    volumes: list[VolumeUse] = field(default_factory=list)
    cache: list[CacheUse] = field(default_factory=list)


def measure(ctx: Context) -> Usage:
    """Look at the whole store.  The caller has one thread."""
    usage = Usage()
    everyone = containers.list_all(ctx)
    volumes = volume_store.names(ctx.paths)
    mounts = buildcache.mounts(ctx.paths)
    places = {f"c {one.id}": f"{one.directory}/upper" for one in everyone}
    places |= {f"v {name}": ctx.paths.volume_data(name) for name in volumes}
    places |= {f"m {name}": path for name, path in mounts.items()}
    found = sizes.trees(ctx, places)
    usage.containers = [(one, found[f"c {one.id}"]) for one in everyone]
    links = [
        str(mount.get("Name"))
        for one in everyone
        for mount in one.config.get("mounts", ())
        if mount.get("Type") == "volume"
    ]
    usage.volumes = [VolumeUse(n, found[f"v {n}"], links.count(n)) for n in volumes]
    objects = image_changes.sizes(ctx.paths)
    in_images = _images(ctx, usage, everyone, objects)
    for key, used, entry in buildcache.entries(ctx.paths):
        layer = str(entry.get("diff_id") or "")
        shared = layer in in_images
        size = objects.get(layer, 0)
        created = str(entry.get("created") or "")
        usage.cache.append(CacheUse(key, "regular", size, created, used, shared))
    for name, path in mounts.items():
        used = buildcache.mount_used(path)
        size = found[f"m {name}"]
        usage.cache.append(CacheUse(name, "exec.cachemount", size, "", used, False))
    return usage


def _images(
    ctx: Context, usage: Usage, everyone: list[Container], objects: dict[str, int]
) -> set[str]:
    """Fill in the images; the layers and blobs that they have."""
    users = [str((one.config.get("image") or {}).get("id")) for one in everyone]
    parts: list[set[str]] = []
    for record in images.list_images(ctx.paths):
        mine = image_manifests.digests(record)
        layers = record.get("layers")
        mine.update(str(one) for one in (layers if isinstance(layers, list) else ()))
        parts.append(mine & set(objects))
        usage.images.append(ImageUse(record, 0, 0, users.count(str(record["id"]))))
    owners: dict[str, int] = {}
    for mine in parts:
        for part in mine:
            owners[part] = owners.get(part, 0) + 1
    needed: set[str] = set()
    for one, mine in zip(usage.images, parts, strict=True):
        one.size = sum(objects[part] for part in mine)
        one.shared = sum(objects[part] for part in mine if owners[part] > 1)
        needed |= mine if one.containers else set()
    usage.images_size = sum(objects[part] for part in owners)
    usage.images_reclaimable = sum(objects[part] for part in owners if part not in needed)
    return set(owners)
