"""`rl images --tree`: images with their platforms and their sizes on disk, as Docker 29 draws it.

An image of the store is for one platform, whatever its index in the registry had.
"""

from typing import Any

from rootless.cli.output import familiar, human_size, table
from rootless.context import Context
from rootless.oci.platform import Platform
from rootless.store import containers, image_changes, image_manifests

Record = dict[str, Any]
_HEADINGS = ("IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA")


def tree(ctx: Context, records: list[Record], *, cut: bool) -> str:
    """The text.  DISK USAGE is all that an image has, CONTENT SIZE what was received of it;
    what images share is counted in each.  EXTRA: U for an image that a container has.
    """
    objects = image_changes.sizes(ctx.paths)
    used = {str((one.config.get("image") or {}).get("id")) for one in containers.list_all(ctx)}
    lines = [list(_HEADINGS)]
    for record in records:
        names = [familiar(name) for name in record["names"]] or ["<none>"]
        identifier = str(record["id"])
        shown = identifier[7:19] if cut else identifier
        blobs = image_manifests.digests(record)
        layers = {str(one) for one in record["layers"]}
        content = sum(objects.get(one, 0) for one in blobs - layers)
        disk = content + sum(objects.get(one, 0) for one in layers)
        sizes = [human_size(disk), human_size(content)]
        extra = "U" if identifier in used else ""
        lines += [[name, shown, *sizes, extra] for name in names]
        place = Platform.from_json(record.get("platform") or {}, "platform")
        manifest = str(record.get("digest") or "")
        shown = manifest[7:19] if cut else manifest
        lines.append([f"└─ {place}", shown, *sizes, ""])
    return table(lines)
