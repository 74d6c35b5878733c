"""A new image of one layer, from a tar archive: what `rl import` and `rl bootstrap` have in common.

The layer is unpacked while its blob is written.  gzip and zstd are kept as they came; the rest is
packed with gzip level 1 in the same pass (docs/decisions/020-layers.md).
"""

import io
import json
import time
from typing import TYPE_CHECKING, cast

from rootless.layer import compression
from rootless.layer.compression import Readable
from rootless.layer.unpack import Unpacked, unpack
from rootless.oci import digest as digests
from rootless.oci import manifest as manifests
from rootless.oci.image_config import ImageConfig
from rootless.oci.platform import Platform
from rootless.store import blobs, image_changes
from rootless.store.leases import Lease

if TYPE_CHECKING:
    from rootless.context import Context

_CHUNK = 1 << 18
KEPT = {
    compression.GZIP: manifests.OCI_LAYER_GZIP,
    compression.ZSTD: manifests.OCI_LAYER_ZSTD,
}


def create(
    ctx: "Context",
    source: Readable,
    *,
    name: str,
    config: "dict[str, object]",
    platform: Platform,
    comment: str,
    what: str = "the archive",
) -> "dict[str, object]":
    """Make an image of the tar archive `source`, and return its record.

    `name` is canonical, or "" for an image without a name; `config` is the image config's.
    Raises BadDocument, StoreError; nothing is left then.
    """
    with Lease(ctx) as lease:
        lease.keep_all()  # the digests are known at the end only
        with blobs.Writer(ctx.paths, lease.path) as writer:
            tee = Tee(source, writer, what)
            layer = unpack(ctx, ctx.paths, tee, unpacked=tee.finish)
            writer.commit(writer.digest, synced=True)  # with the layer
        blob = writer.digest
        descriptor = {"mediaType": tee.media_type, "digest": blob, "size": writer.size}
        return _put(ctx, lease.path, layer, descriptor, name, config, platform, comment)


def _put(
    ctx: "Context",
    directory: str,
    layer: Unpacked,
    descriptor: "dict[str, object]",
    name: str,
    config: "dict[str, object]",
    platform: Platform,
    comment: str,
) -> "dict[str, object]":
    """The image config, the manifest and the record of an image of one layer."""
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    variant = {"variant": platform.variant} if platform.variant else {}
    config_data = _json(
        {
            "architecture": platform.architecture,
            "os": platform.os,
            **variant,
            "created": created,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
            "history": [{"created": created, "comment": comment}],
        }
    )
    image_id = blobs.put(ctx.paths, config_data, directory)
    manifest_data = _json(
        {
            "schemaVersion": 2,
            "mediaType": manifests.OCI_MANIFEST,
            "config": {
                "mediaType": manifests.OCI_CONFIG,
                "digest": image_id,
                "size": len(config_data),
            },
            "layers": [descriptor],
        }
    )
    record: dict[str, object] = {
        "id": image_id,
        "digest": blobs.put(ctx.paths, manifest_data, directory),
        "media_type": manifests.OCI_MANIFEST,
        "names": [],
        "repo_digests": [],
        "platform": platform.to_json(),
        "created": created,
        "size": layer.size,
        "layers": [layer.diff_id],
        "layer_blobs": [str(descriptor["digest"])],
        "config": config,
    }
    return image_changes.add(ctx.paths, record, name)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def record(
    manifest: manifests.Manifest, config: ImageConfig, size: int, repo_digest: str = ""
) -> "dict[str, object]":
    """The record of an image that came with manifest and config; its shape is in docs/store.md."""
    return {
        "id": config.image_id,
        "digest": manifest.digest,
        "media_type": manifest.media_type,
        "oci_digest": digests.of(manifest.as_oci()),
        "names": [],
        "repo_digests": [repo_digest] if repo_digest else [],
        "platform": config.platform.to_json(),
        "created": config.created,
        "size": size,
        "layers": list(config.diff_ids),
        "layer_blobs": [layer.digest for layer in manifest.layers],
        "config": config.config,
    }


class Tee:
    """A stream whose bytes go into a blob on their way, compressed if they are not.

    It `keeps` them as they are if they are compressed, or if that is asked for.
    """

    def __init__(
        self, source: Readable, writer: blobs.Writer, what: str, *, keep: bool = False
    ) -> None:
        self._writer = writer
        prefixed, kind = compression.peek(source, what)
        self.media_type = KEPT.get(kind, manifests.OCI_LAYER_GZIP)
        self.keeps = keep or kind in KEPT
        self._gzip: io.BufferedIOBase | None = None
        self._stream: Readable = prefixed
        if not self.keeps:
            self._stream = compression.Decompressed(prefixed, what=what)
            sink = io.BufferedWriter(cast("io.RawIOBase", _Sink(writer)), _CHUNK)
            self._sink = sink
            self._gzip = compression.open_gzip_writer(sink)

    def read(self, size: int = _CHUNK, /) -> bytes:
        data = self._stream.read(size)
        if self._gzip is not None:
            self._gzip.write(data)
        else:
            self._writer.write(data)
        return data

    def finish(self) -> str:
        """What is left goes into the blob, once; its digest.

        A worker that is content stops at the end of the archive, but a blob is all of it.
        """
        while self.read(_CHUNK):
            pass
        if self._gzip is not None:
            self._gzip.close()
            self._sink.flush()
        return self._writer.digest


class _Sink(io.RawIOBase):
    def __init__(self, writer: blobs.Writer) -> None:
        self._writer = writer

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        chunk = cast("memoryview", data)
        self._writer.write(chunk)
        return len(chunk)
