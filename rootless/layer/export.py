"""An image on its way out of the store (push, save): its manifest, config and layers as blobs.

What was received goes out as it came, byte for byte.  A layer that has no blob (it was built here)
is packed from its directory, and its digest remembered, so that the next push can ask for it
before it packs.  Above the store; knows neither registries nor archives.
"""

import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from rootless.errors import RlError, StoreError, UsageError
from rootless.layer import compression, pack
from rootless.oci import digest as digests
from rootless.oci import manifest as manifests
from rootless.oci.descriptor import Descriptor
from rootless.oci.manifest import Manifest
from rootless.records import dataclass
from rootless.store import atomic, blobs, images

if TYPE_CHECKING:
    from rootless.context import Context

_CHUNK = 1 << 20
_MEDIA_TYPES = {
    compression.GZIP: manifests.OCI_LAYER_GZIP,
    compression.ZSTD: manifests.OCI_LAYER_ZSTD,
    compression.PLAIN: manifests.OCI_LAYER,
}
_LEVELS = {compression.GZIP: range(1, 10), compression.ZSTD: range(1, 23)}


@dataclass(frozen=True, slots=True)
class Packing:
    """How layers are compressed; level 0 is the usual one.  `always`: those that have a blob
    of another kind, too.  `docker`: with Docker's media types, instead of the specification's."""

    kind: str = compression.GZIP
    level: int = 0
    always: bool = False
    docker: bool = False

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPES[self.kind]


def packing(text: str) -> Packing:
    """The Packing of --compression: gzip, zstd, gzip:9.  Raises UsageError."""
    kind, colon, level = text.partition(":")
    levels = _LEVELS.get(kind)
    if levels is None:
        raise UsageError(f"{text!r} is no compression", remedy="it is gzip or zstd, or gzip:9")
    if colon and not (level.isascii() and level.isdecimal() and int(level[:4]) in levels):
        raise UsageError(
            f"{level!r} is no level of {kind}", remedy=f"it is {levels[0]} to {levels[-1]}"
        )
    return Packing(kind, int(level) if colon else 0, always=True)


@dataclass(slots=True)
class Layer:
    """One layer: its diffID, and how it is stored, if it is."""

    diff_id: str
    stored: Descriptor | None


class Packer:
    """Layers as blobs.  `directory` is a temporary one of the store; no layer vanishes meanwhile.

    pack() may be called from several threads.
    """

    def __init__(self, ctx: "Context", directory: str, how: Packing) -> None:
        self._ctx = ctx
        self._directory = directory
        self._how = how

    def expected(self, layer: Layer) -> Descriptor | None:
        """The layer's blob as it will be, if that is known without packing."""
        stored = layer.stored
        if stored is not None and self._goes_as_it_is(stored):
            return stored
        try:
            found = atomic.read_json(self._memo(layer))
            return Descriptor.from_json(found, "memo")
        except (OSError, RlError):
            return None

    def pack(self, layer: Layer) -> tuple[Descriptor, str]:
        """The layer's blob and the file that has it.

        Raises StoreError RL-STORE-CORRUPT when the directory is not what the diffID says.
        """
        stored = layer.stored
        if stored is not None and self._goes_as_it_is(stored):
            return stored, self._ctx.paths.blob(stored.digest)
        path = f"{self._directory}/{os.urandom(8).hex()}.layer"
        checked = hashlib.sha256()
        try:
            with open(path, "xb") as file:
                sink = open_compressor(file, self._how)
                for chunk in self._archive(layer):
                    checked.update(chunk)
                    sink.write(chunk)
                sink.close()
            if f"sha256:{checked.hexdigest()}" != layer.diff_id:
                raise StoreError(
                    f"the layer {layer.diff_id[7:19]} is not what it was",
                    remedy="its directory in the store was changed: pull or build the image again",
                    code="RL-STORE-CORRUPT",
                )
            with open(path, "rb") as done:
                digest = f"sha256:{hashlib.file_digest(done, 'sha256').hexdigest()}"
        except OSError as e:
            raise atomic.store_error(e, f"write {path}") from e
        descriptor = Descriptor(self._how.media_type, digest, os.stat(path).st_size)
        os.makedirs(os.path.dirname(self._memo(layer)), mode=0o700, exist_ok=True)
        atomic.write_json(self._memo(layer), descriptor.to_json(), sync=False)
        return descriptor, path

    def _goes_as_it_is(self, stored: Descriptor) -> bool:
        how = self._how
        same_kind = compression.kind_of_media_type(stored.media_type) == how.kind
        return not how.always or (same_kind and not how.level)

    def _archive(self, layer: Layer) -> Iterator[bytes]:
        if layer.stored is None:
            yield from pack.tar_of(self._ctx, self._ctx.paths.layer_diff(layer.diff_id))
            return
        # Who made it wrote the archive in a way of its own, which the diffID is about.
        with blobs.VerifiedFile(self._ctx.paths, layer.stored.digest) as file:
            source = compression.Decompressed(file, layer.stored.media_type)
            while chunk := source.read(_CHUNK):
                yield chunk

    def _memo(self, layer: Layer) -> str:
        """Where the digest of a packed layer is remembered: it is the same each time."""
        how = f"{self._how.kind}-{self._how.level}"
        return f"{self._ctx.paths.cache}/packed/{layer.diff_id.rpartition(':')[2]}-{how}.json"


class Export(Packer):
    """One image; it cannot vanish meanwhile."""

    def __init__(
        self, ctx: "Context", record: dict[str, Any], directory: str, how: Packing
    ) -> None:
        super().__init__(ctx, directory, how)
        self.config = blobs.read(ctx.paths, str(record["id"]))
        self._manifest = _stored_manifest(ctx, record)
        described = self._manifest.layers if self._manifest else ()
        diff_ids = [str(one) for one in record["layers"]]
        if len(described) != len(diff_ids):
            described, self._manifest = (), None
        there = [
            one if blobs.has(ctx.paths, one.digest, one.size) else None for one in described
        ] or [None] * len(diff_ids)
        found = stored_blobs(ctx, record) if None in there else {}
        self.layers = [
            Layer(diff_id, stored or found.get(diff_id))
            for diff_id, stored in zip(diff_ids, there, strict=True)
        ]

    def manifest(self, packed: list[Descriptor]) -> tuple[str, bytes]:
        """Media type and bytes of the manifest, with the layers as they were packed.

        The one that came with the image, if nothing has changed; else a new one, with the same
        annotations.
        """
        how, stored = self._how, self._manifest
        if (
            stored is not None
            and [one.digest for one in packed] == [one.digest for one in stored.layers]
            and (not how.docker or stored.media_type == manifests.DOCKER_MANIFEST)
        ):
            return stored.media_type, stored.data
        media_type = manifests.DOCKER_MANIFEST if how.docker else manifests.OCI_MANIFEST
        kind = manifests.DOCKER_CONFIG if how.docker else manifests.OCI_CONFIG
        convert = manifests.docker_layer if how.docker else manifests.oci_layer
        document: dict[str, object] = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": Descriptor(kind, digests.of(self.config), len(self.config)).to_json(),
            "layers": [convert(one).to_json() for one in packed],
        }
        annotations = json.loads(stored.data).get("annotations") if stored else None
        if annotations and not how.docker:
            document["annotations"] = annotations
        data = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        return media_type, data


def stored_blobs(ctx: "Context", *first: dict[str, Any]) -> dict[str, Descriptor]:
    """diffID -> a blob of that layer, of whatever image: a build has the blobs of its base.  The
    records `first` go before others."""
    found: dict[str, Descriptor] = {}
    for one in (*first, *images.list_images(ctx.paths)):
        layers, stored = one.get("layers"), one.get("layer_blobs")
        if not isinstance(layers, list) or not isinstance(stored, list):
            continue
        for diff_id, digest in zip(layers, stored, strict=False):
            if diff_id not in found and (blob := _describe(ctx, str(digest))) is not None:
                found[str(diff_id)] = blob
    return found


def _describe(ctx: "Context", digest: str) -> Descriptor | None:
    """The descriptor of a layer's blob, if it is there; its beginning says what it is."""
    try:
        with open(ctx.paths.blob(digest), "rb") as file:
            kind = compression.kind_of(file.read(512))
            size = os.fstat(file.fileno()).st_size
    except OSError:
        return None
    return Descriptor(_MEDIA_TYPES[kind], digest, size) if kind in _MEDIA_TYPES else None


def _stored_manifest(ctx: "Context", record: dict[str, Any]) -> Manifest | None:
    digest = str(record.get("digest") or "")
    if not digest or not blobs.has(ctx.paths, digest):
        return None
    kind = str(record.get("media_type") or "")
    found = manifests.parse(blobs.read(ctx.paths, digest), kind, "the image's manifest")
    return found if isinstance(found, Manifest) else None


def open_compressor(target: BinaryIO, how: Packing) -> Any:
    """A file that compresses what is written into `target`; the same bytes for the same input.

    close() ends the compression, and of one that does not compress, `target` too.
    """
    if how.kind == compression.PLAIN:
        return target
    if how.kind == compression.ZSTD:
        try:
            from compression import zstd  # type: ignore[import-not-found]  # Python 3.14
        except ImportError:
            from backports import zstd
        return zstd.ZstdFile(target, "wb", level=how.level or None)
    if how.level:
        return gzip.GzipFile("", "wb", how.level, target, 0)
    return compression.open_gzip_writer(cast("Any", target))
