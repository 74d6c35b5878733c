"""--build-context NAME=oci-layout://DIRECTORY[:TAG]: an image of a layout into the store, unnamed.

Source: image-spec v1.1 image-layout.md.
"""

import os
from typing import TYPE_CHECKING, Any, cast

from rootless.build.plan import OCI_LAYOUT
from rootless.errors import BuildError, DigestMismatch
from rootless.layer.unpack import unpack_layer
from rootless.oci import digest as digests
from rootless.oci import image_config
from rootless.oci import manifest as manifests
from rootless.oci.descriptor import Descriptor
from rootless.oci.manifest import Index, Manifest
from rootless.oci.platform import Platform
from rootless.store import blobs, image_changes, layers
from rootless.store.leases import Lease

if TYPE_CHECKING:
    from rootless.context import Context

REF_NAME = "org.opencontainers.image.ref.name"
_CHUNK = 1 << 20
_NESTED_MAX = 3


def load(ctx: "Context", directory: str, wanted: str, platform: Platform) -> dict[str, Any]:
    """The record of the image that `wanted` (a tag, a digest, "" for the only one) means there.

    Raises BuildError, BadDocument, DigestMismatch, StoreError.
    """
    where = f"the OCI layout {directory}"
    manifest = _choose(directory, wanted, platform, where)
    data = _read(directory, manifest.config)
    config = image_config.parse(data, f"the config in {where}")
    image_config.check_layers(len(manifest.layers), config, where)
    with Lease(ctx) as lease:
        lease.keep_all()
        for document in (data, manifest.data, manifest.as_oci()):
            blobs.put(ctx.paths, document, lease.path)
        size = 0
        for descriptor, diff_id in zip(manifest.layers, config.diff_ids, strict=True):
            _copy(ctx, directory, descriptor, lease.path)
            if not layers.exists(ctx.paths, diff_id):
                with blobs.VerifiedFile(ctx.paths, descriptor.digest) as file:
                    unpack_layer(ctx, ctx.paths, file, descriptor.media_type, diff_id)
            size += layers.size(ctx.paths, diff_id)
        record: dict[str, object] = {
            "id": config.image_id,
            "digest": manifest.digest,
            "media_type": manifest.media_type,
            "oci_digest": digests.of(manifest.as_oci()),
            "names": [],
            "repo_digests": [],
            "platform": config.platform.to_json(),
            "created": config.created,
            "size": size,
            "layers": list(config.diff_ids),
            "layer_blobs": [layer.digest for layer in manifest.layers],
            "config": config.config,
        }
        return cast("dict[str, Any]", image_changes.add(ctx.paths, record, ""))


def _choose(directory: str, wanted: str, platform: Platform, where: str) -> Manifest:
    with open(f"{directory}/index.json", "rb") as file:
        top = manifests.parse(file.read(), "", f"index.json of {where}")
    if not isinstance(top, Index):
        raise BuildError(f"{where} has no index", code="RL-BUILD-CONTEXT")
    entries = list(top.manifests)
    if wanted:
        entries = [
            entry
            for entry in entries
            if wanted == entry.digest
            or entry.annotations.get(REF_NAME, "").rpartition(":")[2] == wanted
        ]
    if len(entries) != 1:
        raise BuildError(
            f"{where} has {len(entries)} images"
            + (f" of the name {wanted}" if wanted else ", and none was named"),
            remedy="name one: oci-layout://DIRECTORY:TAG or @DIGEST",
            code="RL-BUILD-CONTEXT",
        )
    descriptor = entries[0]
    for _ in range(_NESTED_MAX):
        found = manifests.parse(_read(directory, descriptor), descriptor.media_type, where)
        if isinstance(found, Manifest):
            return found
        chosen = found.choose(platform)
        if chosen is None:
            break
        descriptor = chosen
    raise BuildError(f"{where} has no image for {platform}", code="RL-BUILD-CONTEXT")


def _path(directory: str, digest: str) -> str:
    algorithm, _, value = digests.checked(digest, "the OCI layout").partition(":")
    return f"{directory}/blobs/{algorithm}/{value}"


def _read(directory: str, descriptor: Descriptor) -> bytes:
    """A manifest or config, verified."""
    path = _path(directory, descriptor.digest)
    try:
        with open(path, "rb") as file:
            data = file.read(8 << 20)
    except OSError as e:
        raise _missing(path, e) from e
    if digests.of(data) != descriptor.digest:
        raise DigestMismatch(path, descriptor.digest, digests.of(data))
    return data


def _missing(path: str, e: OSError) -> BuildError:
    return BuildError(
        f"cannot read {path}: {e.strerror}",
        remedy="the OCI layout is not complete: make it again",
        code="RL-BUILD-CONTEXT",
    )


def _copy(ctx: "Context", directory: str, descriptor: Descriptor, temporary: str) -> None:
    """A layer's blob into the store; its digest is verified on the way."""
    if blobs.has(ctx.paths, descriptor.digest, descriptor.size):
        return
    path = _path(directory, descriptor.digest)
    try:
        source = open(path, "rb", buffering=0)
    except OSError as e:
        raise _missing(path, e) from e
    with source, blobs.Writer(ctx.paths, temporary) as writer:
        while chunk := source.read(_CHUNK):
            writer.write(chunk)
        writer.commit(descriptor.digest)


def split(text: str) -> tuple[str, str]:
    """(directory, tag or digest) of oci-layout://DIRECTORY[:TAG][@DIGEST]."""
    path, at, digest = text.removeprefix(OCI_LAYOUT).partition("@")
    tag = ""
    if ":" in os.path.basename(path):
        path, _, tag = path.rpartition(":")
    return os.path.abspath(path), digest if at else tag
