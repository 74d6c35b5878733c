"""Images of read-only stores that somebody else has published (docs/shared-stores.md).

Such a store is laid out as one's own, with a squashfs file per layer in place of a directory.  An
image of it is adopted when it is first used: its record comes into one's own store, without a
name, its blobs as symbolic links, and of each layer an empty directory to mount the file on.  So
nothing is copied, and all that works on images works on these.  An ordinary store of the same user
will do as well: its layers are linked (linked_layers.py).
"""

import os

from rootless.errors import ImageError, StoreError
from rootless.paths import Paths
from rootless.store import atomic, images, layers, layout, linked_layers
from rootless.store.linked_layers import gone
from rootless.store.locks import Locked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.linux.idmap import IdMap

    Record = dict[str, object]

ORIGIN = "shared"  # in a record: the store that it is of
WITH_OWNERS, ROOT_ONLY = "image", "image-root"


def resolve(paths: Paths, text: str) -> "Record | None":
    """The image `text` of the first shared store that has it, adopted; None where none has.

    Raises StoreError RL-SHARED-STORE, ImageError RL-IMAGE-AMBIGUOUS, BadReference.
    """
    for directory in paths.shared:
        theirs = opened(directory)
        record = images.find_own(theirs, text)
        if record is not None:
            return _adopt(paths, theirs, record)
    return None


def list_images(paths: Paths) -> "list[Record]":
    """All records of all shared stores, as images.list_images(), with "read_only" set."""
    return [
        {**record, "read_only": True}
        for directory in paths.shared
        for record in images.list_images(opened(directory))
    ]


def opened(directory: str) -> Paths:
    """The paths of the shared store `directory`.

    Raises StoreError RL-SHARED-STORE when it is away, no store, or not open to the caller,
    RL-STORE-NEWER.
    """
    theirs = Paths(directory, "", published=True)
    try:
        version = layout.version(theirs)
    except StoreError as e:
        if e.code != "RL-STORE-UNREADABLE":
            raise
        raise StoreError(
            f"the store {directory} in RL_IMAGE_STORES or image-stores cannot be read by you",
            remedy="its owner can publish images for all: rl image publish DIR IMAGE…",
            code="RL-SHARED-STORE",
        ) from e
    if version is None:
        raise StoreError(
            f"the shared image store {directory} is not there",
            remedy="mount it, or take it out of RL_IMAGE_STORES or image-stores in config.toml",
            code="RL-SHARED-STORE",
        )
    return theirs


def _adopt(paths: Paths, theirs: Paths, record: "Record") -> "Record":
    diff_ids = _strings(record, "layers")
    own = images.find_own(paths, str(record["id"]))
    if own is None or not all(_is_usable(paths, diff_id) for diff_id in diff_ids):
        layout.prepare(paths)
        with atomic.TemporaryDirectory(paths) as temporary:
            for diff_id in diff_ids:
                if not _is_usable(paths, diff_id):
                    _stage_layer(paths, theirs, diff_id, f"{temporary}/{_hex(diff_id)}")
            own = _link(paths, theirs, record, temporary)
    # What it is called there, for those who show it.
    return {**own, "names": record.get("names", [])}


def _link(paths: Paths, theirs: Paths, record: "Record", temporary: str) -> "Record":
    """The record, blobs and staged layers into the store, under its lock: no collector between."""
    from rootless.store import image_changes

    with Locked(paths.image_lock, what="the image store"):
        digests = [str(record.get(key) or "") for key in ("id", "digest", "oci_digest")]
        for digest in [*digests, *_strings(record, "layer_blobs")]:
            blob = paths.blob(digest)
            if digest and not os.path.exists(blob) and os.path.exists(theirs.blob(digest)):
                atomic.replace_symlink(theirs.blob(digest), blob)
        for diff_id in _strings(record, "layers"):
            staged = f"{temporary}/{_hex(diff_id)}"
            if not os.path.isdir(staged):
                continue
            if is_adopted(paths, diff_id):
                # The store that it was of has moved or been published anew.
                os.rename(paths.layer(diff_id), f"{staged}.old")
            layers.commit(paths, staged, atomic.read_json(f"{staged}/meta.json"))
        own = images.find_own(paths, str(record["id"])) or {**record, ORIGIN: theirs.store}
        return image_changes.add_locked(paths, own, "")


def _stage_layer(paths: Paths, theirs: Paths, diff_id: str, staged: str) -> None:
    """The directory of an adopted layer, its files verified."""
    theirs = _origin(theirs, diff_id)
    try:
        published = layers.read_meta(theirs, diff_id)
    except StoreError as e:
        raise gone(theirs.layer(diff_id)) from e
    described = published.get("files")
    if not isinstance(described, dict):
        linked_layers.stage(paths, theirs, diff_id, staged)
        return
    os.mkdir(staged, 0o700)
    files = {}
    for name, promised in described.items():
        source = theirs.layer_image(diff_id, name)
        files[name] = {"sha256": promised["sha256"], **_verified(source, promised["sha256"])}
        os.symlink(source, f"{staged}/{name}")
    os.mkdir(f"{staged}/diff")
    os.chmod(f"{staged}/diff", int(str(published.get("mode") or 0o755)))
    meta = {
        "diff_id": diff_id,
        "size": published.get("size", 0),
        "tar_size": published.get("tar_size", 0),
        "shared": {"files": files, "max_id": published.get("max_id", 0)},
    }
    atomic.write_json(f"{staged}/meta.json", meta)


def _origin(theirs: Paths, diff_id: str) -> Paths:
    """The store that the layer lies in: `theirs` may have adopted it itself."""
    for path in (theirs.layer_image(diff_id), theirs.layer_diff(diff_id)):
        if os.path.islink(path):
            layer = os.path.dirname(os.path.realpath(path))
            return Paths(os.path.dirname(os.path.dirname(layer)), "", published=True)
    return theirs


def is_adopted(paths: Paths, diff_id: str) -> bool:
    """Whether the layer's files are another store's, of either kind."""
    return os.path.islink(paths.layer_image(diff_id)) or linked_layers.is_linked(
        paths.layer_diff(diff_id)
    )


def is_shared(directory: str) -> bool:
    """Whether the layer with this directory (layers/<hex>/diff) is to be mounted of a file of a
    shared store."""
    return os.path.islink(f"{os.path.dirname(directory)}/{WITH_OWNERS}")


def mounts(directories: "list[str]", idmap: "IdMap") -> "list[tuple[str, str]]":
    """What must be mounted before these directories of layers can be read under `idmap`.

    (directory, squashfs file) of those that are a shared store's; those that are links are
    verified.  Raises StoreError RL-SHARED-STORE when a file or directory is gone, is not what it
    was when it was verified, or is of another mapping.
    """
    found = {}
    for directory in directories:
        if is_shared(directory):
            found[directory] = _archive(os.path.dirname(directory), idmap)
        elif linked_layers.is_linked(directory):
            linked_layers.verify(directory, idmap)
    return list(found.items())


def _archive(layer: str, idmap: "IdMap") -> str:
    meta = atomic.read_json(f"{layer}/meta.json")
    known = meta["shared"]
    assert isinstance(known, dict)
    name = WITH_OWNERS
    highest = known["max_id"]
    # An owner that is not mapped could be neither read nor changed: all are root's, then.
    if ROOT_ONLY in known["files"] and not (
        idmap.host_uid(highest) is not None and idmap.has_gid(highest)
    ):
        name = ROOT_ONLY
    path = os.readlink(f"{layer}/{name}")
    file = known["files"][name]
    try:
        status = os.stat(path)
    except OSError as e:
        raise gone(path) from e
    if (status.st_size, status.st_mtime_ns) != (file["size"], file["mtime_ns"]):
        # Copied, perhaps, or published again: the content counts.
        file["sha256"] = _promised(path)
        file.update(_verified(path, file["sha256"]))
        atomic.write_json(f"{layer}/meta.json", meta)
    return path


def check_layer(paths: Paths, diff_id: str, *, content: bool) -> str:
    """What is wrong with an adopted layer's file; "" for nothing, and for other layers.

    The content of a linked one is looked at like that of one's own: layer/check.py.
    """
    if not is_adopted(paths, diff_id):
        return ""
    try:
        if not is_shared(paths.layer_diff(diff_id)):
            linked_layers.verify(paths.layer_diff(diff_id))
            return ""
        known = layers.read_meta(paths, diff_id)["shared"]
        assert isinstance(known, dict)
        for name, file in known["files"].items():
            path = os.readlink(paths.layer_image(diff_id, name))
            if content:
                _verified(path, _promised(path))
            elif os.stat(path).st_size != file["size"]:
                raise _damaged(path)
    except StoreError as e:
        return e.what
    except OSError as e:
        return gone(str(e.filename)).what
    return ""


def _promised(path: str) -> str:
    """The SHA-256 (hex) that the store says of a file of one of its layers, now."""
    layer, name = os.path.split(path)
    try:
        described = atomic.read_json(f"{layer}/meta.json")["files"]
        assert isinstance(described, dict)
        return str(described[name]["sha256"])
    except (OSError, KeyError, TypeError, StoreError) as e:
        raise gone(path) from e


def refuse_change(paths: Paths, text: str) -> None:
    """Raise ImageError RL-IMAGE-SHARED if a shared store has the image that is to be changed."""
    for directory in paths.shared:
        if images.find_own(opened(directory), text) is not None:
            raise ImageError(
                f"{text} is an image of the shared store {directory}, which cannot be changed here",
                remedy="its owner can: rl image unpublish",
                code="RL-IMAGE-SHARED",
            )


def _verified(path: str, sha256: str) -> "dict[str, object]":
    """size and mtime_ns of the file, whose content is what the store promises."""
    import hashlib  # 5 ms, for the first use only

    try:
        with open(path, "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as e:
        raise gone(path) from e
    if found != sha256:
        raise _damaged(path)
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _damaged(path: str) -> StoreError:
    return StoreError(
        f"{path} in the shared image store is damaged: it is not what was published",
        remedy="ask its owner to publish the image again",
        code="RL-SHARED-STORE",
    )


def _is_usable(paths: Paths, diff_id: str) -> bool:
    """Whether the layer is there: unpacked, or as a link to what is there too."""
    if not layers.exists(paths, diff_id):
        return False
    image = paths.layer_image(diff_id)
    return os.path.exists(image) or (
        not os.path.islink(image) and os.path.isdir(paths.layer_diff(diff_id))
    )


def _hex(diff_id: str) -> str:
    return diff_id.rpartition(":")[2]


def _strings(record: "Record", key: str) -> "list[str]":
    value = record.get(key)
    return [str(one) for one in value] if isinstance(value, list) else []
