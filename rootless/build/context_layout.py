"""--build-context NAME=oci-layout://DIRECTORY[:TAG|@DIGEST]: an image of a layout into the store.

Source: image-spec v1.1 image-layout.md; buildx's oci-layout contexts.
"""

import os
from typing import IO, TYPE_CHECKING

from rootless.errors import BadDocument, BuildError, DigestMismatch
from rootless.layer.unpack import unpack_layer
from rootless.oci import digest as digests
from rootless.oci import image_config, manifest
from rootless.oci import platform as platforms
from rootless.oci.descriptor import Descriptor
from rootless.oci.manifest import Index, Manifest
from rootless.oci.platform import Platform
from rootless.store import blobs, image_changes, layers, layout
from rootless.store.leases import Lease

if TYPE_CHECKING:
    from rootless.context import Context

_REF_NAME = "org.opencontainers.image.ref.name"
_DOCUMENT_MAX = 4 << 20  # bytes, distribution-spec's limit for manifests
_NESTED_MAX = 4


def load(
    ctx: "Context", directory: str, image: str = "", platform: Platform | None = None
) -> dict[str, object]:
    """The image record of a layout's image, which is in the store then, without a name.

    `image` is a tag or a digest, "" for the only image; `platform` None is this host's.
    Raises BuildError, BadDocument, DigestMismatch, StoreError.
    """
    loading = _Layout(ctx, directory)
    found = loading.choose(image, platform or platforms.host())
    return loading.put(found)


class _Layout:
    def __init__(self, ctx: "Context", directory: str) -> None:
        self.ctx = ctx
        self.directory = directory

    def choose(self, image: str, wanted: Platform) -> Manifest:
        with self._open(f"{self.directory}/index.json") as file:
            data = file.read(_DOCUMENT_MAX)
        document = manifest.parse(data, manifest.OCI_INDEX, f"{self.directory}/index.json")
        if isinstance(document, Index):
            document = self._document(self._entry(document, image, wanted))
        for _ in range(_NESTED_MAX):
            if isinstance(document, Manifest):
                return document
            entry = document.choose(wanted)
            if entry is None:
                offered = ", ".join(document.platforms()) or "none"
                raise self._no(f"it has no image for {wanted}", f"it has: {offered}")
            document = self._document(entry)
        raise BadDocument(f"{self.directory}: indexes are nested too deep")

    def _entry(self, index: Index, image: str, wanted: Platform) -> Descriptor:
        names = {e.annotations.get(_REF_NAME, "").rpartition(":")[2]: e for e in index.manifests}
        if image:
            for entry in index.manifests:
                if image in (entry.digest, entry.annotations.get(_REF_NAME)):
                    return entry
            if image in names:
                return names[image]
            known = ", ".join(sorted(name for name in names if name)) or "no names"
            raise self._no(f"it has no image {image}", f"it has: {known}")
        if len({entry.digest for entry in index.manifests}) == 1:
            return index.manifests[0]
        if "latest" in names:
            return names["latest"]
        chosen = index.choose(wanted)
        if chosen is None or any(e.annotations.get(_REF_NAME) for e in index.manifests):
            known = ", ".join(sorted(name for name in names if name)) or "no names"
            raise self._no("it has several images", f"name one as :TAG or @DIGEST: {known}")
        return chosen

    def _document(self, entry: Descriptor) -> Manifest | Index:
        data = self._small(entry)
        return manifest.parse(data, entry.media_type, f"{self.directory}: {entry.digest[:19]}")

    def put(self, found: Manifest) -> dict[str, object]:
        """Config, manifest and layers into the store."""
        ctx, what = self.ctx, self.directory
        data = self._small(found.config)
        config = image_config.parse(data, f"{what}: config")
        image_config.check_layers(len(found.layers), config, what)
        layout.prepare(ctx.paths)
        documents = [data, found.data, found.as_oci()]
        with Lease(ctx) as lease:
            kept = [digests.of(document) for document in documents]
            lease.keep(config.diff_ids, [*kept, *(layer.digest for layer in found.layers)])
            for document in documents:
                blobs.put(ctx.paths, document, lease.path)
            sizes = [
                self._layer(descriptor, diff_id, lease.path)
                for descriptor, diff_id in zip(found.layers, config.diff_ids, strict=True)
            ]
            record: dict[str, object] = {
                "id": config.image_id,
                "digest": found.digest,
                "media_type": found.media_type,
                "oci_digest": digests.of(found.as_oci()),
                "names": [],
                "repo_digests": [],
                "platform": config.platform.to_json(),
                "created": config.created,
                "size": sum(sizes),
                "layers": list(config.diff_ids),
                "layer_blobs": [layer.digest for layer in found.layers],
                "config": config.config,
            }
            return image_changes.add(ctx.paths, record, "")

    def _layer(self, descriptor: Descriptor, diff_id: str, temporary: str) -> int:
        paths = self.ctx.paths
        if layers.exists(paths, diff_id) and blobs.has(paths, descriptor.digest):
            return layers.size(paths, diff_id)
        with (
            self._open(self._blob(descriptor.digest)) as file,
            blobs.Writer(paths, temporary) as writer,
        ):
            source = _Tee(file, writer)
            size = unpack_layer(self.ctx, paths, source, descriptor.media_type, diff_id)
            while source.read(1 << 18):  # what stands behind the tar's end is part of the blob
                pass
            writer.commit(descriptor.digest)
        return size

    def _small(self, descriptor: Descriptor) -> bytes:
        with self._open(self._blob(descriptor.digest)) as file:
            data = file.read(_DOCUMENT_MAX + 1)
        if len(data) > _DOCUMENT_MAX:
            raise BadDocument(f"{self.directory}: {descriptor.digest[:19]} is too large")
        actual = digests.of(data)
        if actual != descriptor.digest:
            raise DigestMismatch(f"a blob of {self.directory}", descriptor.digest, actual)
        return data

    def _blob(self, digest: str) -> str:
        return f"{self.directory}/blobs/{digest.replace(':', '/')}"

    def _open(self, path: str) -> "IO[bytes]":
        try:
            return open(path, "rb", buffering=0)
        except OSError as e:
            raise self._no(f"cannot read {os.path.basename(path)[:19]}: {e.strerror}", "") from e

    def _no(self, problem: str, remedy: str) -> BuildError:
        return BuildError(
            f"the OCI layout {self.directory}: {problem}",
            remedy=remedy or "make it again, as with skopeo copy ... oci:DIRECTORY:TAG",
            code="RL-BUILD-CONTEXT",
        )


class _Tee:
    """A file whose bytes are written to a blob on their way."""

    def __init__(self, source: "IO[bytes]", writer: blobs.Writer) -> None:
        self._source = source
        self._writer = writer

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        if data:
            self._writer.write(data)
        return data
