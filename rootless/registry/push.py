"""An image from the store to a registry.

What the repository has is not sent, what another repository there has is mounted, the rest is
uploaded, several layers at once.  The manifest comes last: nobody sees half an image.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from rootless.context import Context
from rootless.errors import BadReference, ImageError
from rootless.layer.export import Export, Layer, Packing
from rootless.oci import digest as digests
from rootless.oci import platform as platforms
from rootless.oci import reference
from rootless.oci.descriptor import Descriptor
from rootless.oci.manifest import OCI_CONFIG, is_foreign
from rootless.oci.reference import Reference
from rootless.records import dataclass
from rootless.registry import upload
from rootless.registry.client import Client
from rootless.registry.parallel import run_all
from rootless.store import atomic, image_changes, image_manifests, images
from rootless.store.leases import Lease

MOUNTS_MAX = 3  # repositories that are tried for one layer

# (layer, phase, bytes done, bytes in all).  The layer is 12 hex digits of its diffID.  Phases:
# preparing, pushing, then exists, mounted REPOSITORY, foreign (not sent), or pushed.  Calls never
# overlap.
Progress = Callable[[str, str, int, int], None]


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did."""

    reference: Reference  # with its tag
    digest: str  # of the manifest
    size: int  # bytes of the manifest
    media_type: str  # of the manifest


def names_to_push(ctx: Context, text: str) -> list[Reference]:
    """The names in the store that belong to the repository `text`, for --all-tags.

    Raises ImageError RL-IMAGE-NOT-FOUND when there are none.
    """
    named = reference.parse(text)
    parsed = [reference.parse(name) for name in images.names(ctx.paths)]
    found = [one for one in parsed if one.name == named.name]
    if not found:
        raise ImageError(
            f"An image does not exist locally with the tag: {named.familiar_name}",
            remedy="rl images shows what there is, rl tag gives a name",
            code="RL-IMAGE-NOT-FOUND",
        )
    return found


def push_image(
    ctx: Context,
    text: str,
    *,
    how: Packing,
    platform: str = "",
    tls_verify: bool = True,
    progress: Progress | None = None,
) -> Pushed:
    """Send the image that is called `text` to the repository of that name.

    Raises BadReference, ImageError, RegistryError, StoreError.
    """
    named = reference.parse(text).tagged()
    if named.digest:
        raise BadReference(
            "cannot push a digest reference",
            remedy="give a NAME or NAME:TAG; what is pushed unchanged keeps its digest",
        )
    atomic.sweep(ctx)
    with Lease(ctx) as lease:
        record = _leased(ctx, named, lease)
        if platform:
            found = platforms.Platform.from_json(record.get("platform") or {}, "platform")
            platforms.check(found, platform, named.familiar())
        export = Export(ctx, record, lease.path, how)
        with Client(ctx, named, tls_verify=tls_verify, push=True) as client:
            pushed = _Push(ctx, client, export, progress or (lambda *_: None)).run(named)
        repo_digest = f"{named.name}@{pushed.digest}"
        image_changes.add_repo_digest(ctx.paths, str(record["id"]), repo_digest)
    return pushed


def push_member(
    ctx: Context, client: Client, image_id: str, how: Packing, progress: Progress | None = None
) -> Pushed:
    """Send an image of the store to the repository of `client`, without a tag: for an index.

    Raises ImageError when it is gone, RegistryError, StoreError.
    """
    with Lease(ctx) as lease:
        record = _keep(ctx, images.resolve(ctx.paths, image_id), lease)
        export = Export(ctx, record, lease.path, how)
        pushing = _Push(ctx, client, export, progress or (lambda *_: None))
        return pushing.run(client.name, by_digest=True)


def _leased(ctx: Context, named: Reference, lease: Lease) -> dict[str, Any]:
    """The image's record; nothing of it vanishes as long as the lease holds."""
    name = named.canonical()
    return _keep(ctx, images.resolve(ctx.paths, name), lease, name)


def _keep(ctx: Context, record: dict[str, Any], lease: Lease, name: str = "") -> dict[str, Any]:
    lease.keep(record["layers"], image_manifests.digests(record))
    found = images.resolve(ctx.paths, str(record["id"]))  # still there, now that it is leased
    return images.as_named(ctx.paths, found, name)


class _Push:
    def __init__(self, ctx: Context, client: Client, export: Export, progress: Progress) -> None:
        self.client = client
        self.export = export
        self._progress = progress
        self._lock = threading.Lock()
        self._sources = _mount_sources(ctx, client.name)

    def run(self, named: Reference, *, by_digest: bool = False) -> Pushed:
        """Layers, config, then the manifest: under the tag of `named`, or under no tag."""
        packed = self._layers()
        config = self.export.config
        descriptor = Descriptor(OCI_CONFIG, digests.of(config), len(config))
        what = f"the config of {named.familiar()}"
        if not upload.exists(self.client, descriptor.digest):
            upload.upload_bytes(self.client, descriptor, config, what)
        media_type, data = self.export.manifest(packed)
        tag = digests.of(data) if by_digest else named.tag
        what = f"the manifest of {named.familiar()}"
        upload.put_manifest(self.client, tag, media_type, data, what)
        return Pushed(named, digests.of(data), len(data), media_type)

    def _layers(self) -> list[Descriptor]:
        """All layers to the registry; their blobs, bottom first."""
        # The same layer may be there twice (empty ones are): send it once.
        wanted = {layer.diff_id: layer for layer in self.export.layers}
        for diff_id in wanted:
            self._tell(diff_id, "preparing", 0, 0)
        done = run_all(
            self.client,
            {diff_id: partial(self._layer, layer) for diff_id, layer in wanted.items()},
        )
        return [done[layer.diff_id] for layer in self.export.layers]

    def _layer(self, layer: Layer) -> Descriptor:
        expected = self.export.expected(layer)
        if expected is not None and is_foreign(expected):
            self._tell(layer.diff_id, "foreign", expected.size, expected.size)
            return expected
        if expected is not None and self._is_there(layer, expected):
            return expected
        descriptor, path = self.export.pack(layer)
        if expected != descriptor and self._is_there(layer, descriptor):
            return descriptor
        size = descriptor.size
        what = f"layer {layer.diff_id[7:19]}"
        upload.upload(
            self.client,
            descriptor,
            path,
            what,
            lambda done: self._tell(layer.diff_id, "pushing", done, size),
        )
        self._tell(layer.diff_id, "pushed", size, size)
        return descriptor

    def _is_there(self, layer: Layer, descriptor: Descriptor) -> bool:
        """Whether the repository has the blob, or has got it from another one now."""
        phase = ""
        if upload.exists(self.client, descriptor.digest):
            phase = "exists"
        else:
            sources = self._sources.get(descriptor.digest) or self._sources.get(layer.diff_id) or {}
            source = upload.mount(self.client, descriptor.digest, list(sources)[:MOUNTS_MAX])
            phase = f"mounted {source}" if source else ""
        if phase:
            self._tell(layer.diff_id, phase, descriptor.size, descriptor.size)
        return bool(phase)

    def _tell(self, diff_id: str, phase: str, done: int, total: int) -> None:
        with self._lock:
            self._progress(diff_id[7:19], phase, done, total)


def _mount_sources(ctx: Context, named: Reference) -> dict[str, dict[str, None]]:
    """Blob digest or diffID -> other repositories on the same registry that should have it."""
    found: dict[str, dict[str, None]] = {}
    for record in images.list_images(ctx.paths):
        digests_ = record.get("repo_digests")
        for text in digests_ if isinstance(digests_, list) else []:
            domain, _, path = str(text).partition("@")[0].partition("/")
            if domain != named.domain or path == named.path:
                continue
            for key in ("layer_blobs", "layers"):
                blobs = record.get(key)
                for digest in blobs if isinstance(blobs, list) else []:
                    found.setdefault(str(digest), {})[path] = None
    return found
