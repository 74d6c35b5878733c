"""Images into a store that others read: `rl image publish` (docs/shared-stores.md).

The store is laid out as one's own (and so is an OCI layout that skopeo reads), with squashfs files
in place of unpacked layers.  Each thing is made in its tmp/ and renamed, the name of the image
last: who reads meanwhile sees the old state or the new one.
"""

import hashlib
import os
import shutil
from typing import TYPE_CHECKING, Any

from rootless.errors import StoreError
from rootless.layer import export, squash
from rootless.oci import digest as digests
from rootless.oci import manifest as manifests
from rootless.oci import reference
from rootless.oci.manifest import Manifest
from rootless.paths import Paths
from rootless.records import dataclass
from rootless.store import atomic, blobs, image_changes, images, layers, layout, shared
from rootless.store.leases import Lease

if TYPE_CHECKING:
    from rootless.context import Context

    Record = dict[str, Any]

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Published:
    """What publish() did with one image."""

    image_id: str
    names: list[str]  # canonical, under which it is published
    changed: bool  # False: it was there, by these names
    skipped_capabilities: int = 0  # files whose capabilities a squashfs file cannot carry here


def target(ctx: "Context", directory: str, *, make: bool) -> "Context":
    """The context of the shared store `directory`, which is made where that is asked for.

    Raises StoreError RL-SHARED-STORE for a directory that is something else.
    """
    paths = Paths(os.path.abspath(directory), ctx.paths.runtime, published=True)
    marker = f"{paths.store}/published"
    if not os.path.exists(marker):
        if not make or (os.path.isdir(paths.store) and os.listdir(paths.store)):
            raise StoreError(
                f"{directory} is no shared image store",
                remedy="give an empty directory, or one that rl image publish has made",
                code="RL-SHARED-STORE",
            )
        try:
            os.makedirs(paths.store, 0o755, exist_ok=True)
            with open(marker, "xb"):
                pass
        except FileExistsError:
            pass  # another publish, now
        except OSError as e:
            raise atomic.store_error(e, f"make the store {paths.store}") from e
    if os.stat(paths.store).st_uid != ctx.uid:
        raise StoreError(
            f"the shared image store {directory} belongs to another user",
            remedy="only who made it can change it: publish in a directory of your own",
            code="RL-SHARED-STORE",
        )
    layout.prepare(paths)
    return ctx.with_paths(paths)


def publish(ctx: "Context", there: "Context", text: str) -> Published:
    """Put the image `text` into the store of `there` (from target()).

    Under the name that was given, or all its names for an ID.  Raises ImageError, StoreError,
    HostError RL-HOST-SQUASHFS-TOOLS; the store is as it was then.  What is there and damaged is
    made anew.
    """
    record: Record = images.resolve(ctx.paths, text)
    names = _names(ctx, text, record)
    atomic.sweep(there)
    if _is_there(there.paths, record, names):
        return Published(str(record["id"]), names, changed=False)
    try:
        with Lease(ctx) as source, Lease(there) as lease:
            source.keep(record["layers"], _digests(record))
            record = images.resolve(ctx.paths, str(record["id"]))  # still there, and now leased
            lease.keep_all()
            made, skipped = _publish(ctx, there.paths, record, source.path, lease.path)
            for name in names or [""]:
                image_changes.add(there.paths, made, name)
    except BaseException:
        image_changes.collect(there)  # the blobs and layers that were done
        raise
    return Published(str(record["id"]), names, changed=True, skipped_capabilities=skipped)


def unpublish(there: "Context", text: str) -> list[tuple[str, str]]:
    """Take an image, or a name of it, out of the store; what was done, as image_changes.remove().

    Containers that run of it go on; those that are stopped cannot be started again.
    """
    return image_changes.remove(there, text, force=True)


def _publish(
    ctx: "Context", theirs: Paths, record: "Record", directory: str, temporary: str
) -> "tuple[Record, int]":
    """Blobs and layers; the record as it is to be there, and how many capabilities were lost."""
    exported = export.Export(ctx, record, directory, export.Packing())
    packed = []
    for layer in exported.layers:
        descriptor, path = exported.pack(layer)
        _copy_blob(theirs, path, descriptor.digest, temporary)
        packed.append(descriptor)
    media_type, data = exported.manifest(packed)
    manifest = manifests.parse(data, media_type, "the image's manifest")
    assert isinstance(manifest, Manifest)
    for document in (exported.config, data, manifest.as_oci()):
        blobs.put(theirs, document, temporary)
    skipped = sum(_publish_layer(ctx, theirs, one, temporary) for one in dict.fromkeys(
        str(diff_id) for diff_id in record["layers"]))  # fmt: skip
    made = {key: value for key, value in record.items() if key != shared.ORIGIN}
    return {
        **made,
        "digest": manifest.digest,
        "media_type": media_type,
        "oci_digest": digests.of(manifest.as_oci()),
        "layer_blobs": [one.digest for one in packed],
        "names": [],
    }, skipped


def _publish_layer(ctx: "Context", theirs: Paths, diff_id: str, temporary: str) -> int:
    """One layer, if it is not there; how many files have lost their capabilities."""
    if _is_whole(theirs, diff_id):
        return 0
    staged = f"{temporary}/{diff_id.rpartition(':')[2]}"
    os.mkdir(staged)
    os.chmod(staged, 0o755)
    source = ctx.paths.layer_diff(diff_id)
    meta = layers.read_meta(ctx.paths, diff_id)
    if shared.is_shared(source):
        found = _copy_layer(ctx.paths, meta, diff_id, staged)
    else:
        found = squash.pack(ctx, source, staged)
    sizes = {key: meta.get(key, 0) for key in ("size", "tar_size", "created")}
    if layers.exists(theirs, diff_id):
        os.rename(theirs.layer(diff_id), f"{staged}.damaged")
    layers.commit(theirs, staged, {"diff_id": diff_id, **sizes, **found})
    return int(found.get("skipped_capabilities", 0))


def _copy_layer(
    paths: Paths, meta: "dict[str, Any]", diff_id: str, staged: str
) -> "dict[str, Any]":
    """A layer that is another shared store's itself: its files, as they are."""
    for name in meta["shared"]["files"]:
        shutil.copyfile(paths.layer_image(diff_id, name), f"{staged}/{name}")
        os.chmod(f"{staged}/{name}", 0o644)
    return {
        "mode": os.stat(paths.layer_diff(diff_id)).st_mode & 0o7777,
        "max_id": meta["shared"]["max_id"],
        "files": {name: squash.describe(f"{staged}/{name}") for name in meta["shared"]["files"]},
    }


def _copy_blob(theirs: Paths, path: str, digest: str, temporary: str) -> None:
    if _has_digest(theirs.blob(digest), digest):
        return
    with open(path, "rb", buffering=0) as source, blobs.Writer(theirs, temporary) as writer:
        while chunk := source.read(_CHUNK):
            writer.write(chunk)
        writer.commit(digest)


def _names(ctx: "Context", text: str, record: "Record") -> list[str]:
    named = None if reference.is_image_id(text.removeprefix("sha256:")) else reference.parse(text)
    held = images.shown_names(ctx.paths, record)
    if named is not None and not named.digest and named.canonical() in held:
        return [named.canonical()]
    return held


def _is_there(theirs: Paths, record: "Record", names: list[str]) -> bool:
    image_id = str(record["id"])
    there = images.find_own(theirs, image_id)
    if there is None or not all(_is_whole(theirs, str(one)) for one in record["layers"]):
        return False
    if not all(_has_digest(theirs.blob(one), one) for one in _digests(there)):
        return False
    return set(names) <= set(images.names_of(theirs, image_id))


def _is_whole(theirs: Paths, diff_id: str) -> bool:
    """Whether a layer is there, undamaged: publishing again is how a store is repaired."""
    if not layers.exists(theirs, diff_id):
        return False
    try:
        described = layers.read_meta(theirs, diff_id)["files"]
        assert isinstance(described, dict)
    except (StoreError, KeyError):
        return False
    return all(
        _has_digest(theirs.layer_image(diff_id, name), f"sha256:{promised['sha256']}")
        for name, promised in described.items()
    )


def _has_digest(path: str, digest: str) -> bool:
    try:
        with open(path, "rb", buffering=0) as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == digest
    except OSError:
        return False


def _digests(record: "Record") -> list[str]:
    found = [record["id"], record.get("digest") or "", *record.get("layer_blobs", ())]
    return [str(one) for one in found if one]
