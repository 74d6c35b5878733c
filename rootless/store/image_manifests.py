"""The manifests of one image.  Pure, on records; warm.

An image is its config, and two manifests may have the same: its layers in gzip under one name, in
zstd under another.  A record has the one that came last in the keys KEYS, and in OTHERS those that
other names of the image came with, so that each name goes out as it came:

    {digest: {"media_type": …, "oci_digest": …, "layer_blobs": […], "names": [canonical, …]}}
"""

KEYS = ("digest", "media_type", "oci_digest", "layer_blobs")
OTHERS = "other_manifests"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Record = dict[str, object]
    Others = dict[str, dict[str, object]]


def of_name(record: "Record", name: str, exists: "Callable[[str], bool]") -> "Record":
    """The record with the manifest that the canonical `name` came with, if its blob `exists`."""
    for digest, other in others(record).items():
        if name in _strings(other.get("names")) and exists(digest):
            return {**record, "digest": digest} | {key: other[key] for key in KEYS if key in other}
    return record


def kept(before: "Record", now: "Record", name: str, held: "Iterable[str]") -> "Others":
    """OTHERS of the record `now`, which replaces `before` and of which `name` is a new name.

    `held` are the image's names until now.
    """
    found = {digest: dict(other) for digest, other in others(before).items()}
    elsewhere = {one for other in found.values() for one in _strings(other.get("names"))}
    last = str(before.get("digest") or "")
    if last:
        rest = [one for one in held if one not in elsewhere]
        found[last] = {key: before[key] for key in KEYS[1:] if key in before} | {"names": rest}
    found.pop(str(now.get("digest") or ""), None)
    return _named(found, [one for one in held if one != name])


def still_named(record: "Record", held: "Iterable[str]") -> "Others":
    """OTHERS of a record whose image has only the names `held` now."""
    return _named(others(record), list(held))


def digests(record: "Record") -> "set[str]":
    """All blobs of the image: its config, its manifests, its layers as received."""
    found = {str(record.get(key) or "") for key in ("id", "digest", "oci_digest")}
    found.update(_strings(record.get("layer_blobs")))
    for digest, other in others(record).items():
        found |= {digest, str(other.get("oci_digest") or ""), *_strings(other.get("layer_blobs"))}
    return found - {""}


def others(record: "Record") -> "Others":
    found = record.get(OTHERS)
    return found if isinstance(found, dict) else {}


def _named(found: "Others", held: list[str]) -> "Others":
    left = {}
    for digest, other in found.items():
        names = [one for one in _strings(other.get("names")) if one in held]
        if names:
            left[digest] = {**other, "names": names}
    return left


def _strings(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []
