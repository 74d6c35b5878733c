"""An image from a registry into the store: its manifest, its config, its record.

The layers are fetch.py's.  What is complete stays when the rest fails: the next pull goes on from
there.
"""

import threading

from rootless.context import Context
from rootless.errors import BadDocument, ImageError, StoreError
from rootless.layer import image
from rootless.log import printable
from rootless.oci import digest as digests
from rootless.oci import image_config, reference
from rootless.oci import platform as platforms
from rootless.oci.image_config import ImageConfig
from rootless.oci.manifest import Index, Manifest
from rootless.oci.platform import Platform
from rootless.oci.reference import Reference
from rootless.records import dataclass
from rootless.registry import registries_conf, signatures, sources
from rootless.registry.client import Client, Fetched
from rootless.registry.fetch import LayerFetcher, Progress
from rootless.store import atomic, blobs, image_changes, images, layout, partials
from rootless.store.leases import Lease

NESTED_MAX = 3  # indexes in indexes


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull did."""

    record: dict[str, object]
    reference: Reference  # as pulled, with its tag or digest
    digest: str  # of the manifest or index that the reference names
    changed: bool  # False: the name meant this image already


def pull(
    ctx: Context,
    reference_text: str,
    *,
    platform: str | None = None,
    tls_verify: bool = True,
    progress: Progress | None = None,
) -> dict[str, object]:
    """pull_image(), and its image record alone."""
    return pull_image(
        ctx, reference_text, platform=platform, tls_verify=tls_verify, progress=progress
    ).record


def pull_image(
    ctx: Context,
    reference_text: str,
    *,
    platform: str | None = None,
    tls_verify: bool = True,
    progress: Progress | None = None,
) -> Pulled:
    """Fetch the image that `reference_text` names, for `platform` or this host, and name it so.

    Raises BadReference, RegistryError, DigestMismatch, BadDocument, ImageError RL-IMAGE-PLATFORM,
    StoreError, HostError.
    """
    names = registries_conf.candidates(ctx, reference_text)
    wanted = platforms.parse(platform) if platform else None
    layout.prepare(ctx.paths)
    atomic.sweep(ctx)
    partials.sweep(ctx.paths)
    with sources.opened(ctx, names, tls_verify=tls_verify) as (client, top):
        pulling = _Pull(ctx, client, progress or (lambda *_: None))
        try:
            pulled = pulling.run(top, wanted)
        except BadDocument as e:
            e.remedy = e.remedy or "ask the image's owner to push it again, or take another tag"
            raise
    meant = reference.parse(reference_text).tagged()
    if pulled.reference != meant:
        image_changes.remember_short(ctx.paths, meant.canonical(), pulled.reference.canonical())
    return pulled


def look_up(ctx: Context, reference_text: str, platform: Platform) -> ImageConfig:
    """The config of the image that a pull would bring for `platform`; nothing is stored.

    Raises as pull_image().
    """
    names = registries_conf.candidates(ctx, reference_text)
    with sources.opened(ctx, names) as (client, top):
        return _Pull(ctx, client, lambda *_: None).look_up(top, platform)


def list_tags(ctx: Context, reference_text: str, *, tls_verify: bool = True) -> list[str]:
    """The tags of a repository.  Raises as pull_image()."""
    named = registries_conf.candidates(ctx, reference_text)[0]
    with Client(ctx, named, tls_verify=tls_verify) as client:
        return client.tags()


class _Pull:
    def __init__(self, ctx: Context, client: Client, progress: Progress) -> None:
        self.ctx = ctx
        self.paths = ctx.paths
        self.client = client
        self.named = client.name
        self._progress = progress
        self._progress_lock = threading.Lock()

    def run(self, top: Fetched, wanted: Platform | None) -> Pulled:
        manifest = self._for_platform(top.document, wanted or platforms.host())
        signatures.check(self.ctx, self.client, self.named, [top.digest, manifest.digest])
        self.tell("", self.named.canonical(), 0, 0)
        config = self._config(manifest, wanted)
        before = images.find_own(self.paths, self.named.canonical())
        documents = [config.data, manifest.data, manifest.as_oci()]
        with Lease(self.ctx) as lease:
            lease.keep(
                config.diff_ids,
                [digests.of(document) for document in documents]
                + [layer.digest for layer in manifest.layers],
            )
            for document in documents:
                blobs.put(self.paths, document, lease.path)
            size = self._layers(manifest, config)
            record = image.record(manifest, config, size, f"{self.named.name}@{top.digest}")
            name = "" if self.named.digest else self.named.canonical()
            record = image_changes.add(self.paths, record, name)
        changed = before is None or before.get("id") != record["id"]
        return Pulled(record, self.named, top.digest, changed)

    def look_up(self, top: Fetched, wanted: Platform) -> ImageConfig:
        """The config alone."""
        return self._config(self._for_platform(top.document, wanted), wanted)

    def _config(self, manifest: Manifest, wanted: Platform | None) -> ImageConfig:
        data = self._config_data(manifest)
        config = image_config.parse(data, f"config of {self.named.familiar()}")
        image_config.check_layers(len(manifest.layers), config, self.named.familiar())
        self._check_platform(config, wanted)
        return config

    def tell(self, layer: str, phase: str, done: int, total: int) -> None:
        with self._progress_lock:
            self._progress(layer, phase, done, total)

    def _for_platform(self, document: Manifest | Index, wanted: Platform) -> Manifest:
        for _ in range(NESTED_MAX):
            if isinstance(document, Manifest):
                return document
            entry = document.choose(wanted)
            if entry is None:
                offered = printable(", ".join(document.platforms())[:300]) or "none"
                raise ImageError(
                    f"no matching manifest for {wanted} in {self.named.familiar()}: "
                    f"it is made for {offered}",
                    remedy="choose one of these with --platform",
                    code="RL-IMAGE-PLATFORM",
                )
            document = self.client.manifest(entry.digest).document
            if len(document.data) != entry.size:
                raise BadDocument(
                    f"{self.named.familiar()}: its index gives {entry.size} bytes to a manifest "
                    f"of {len(document.data)}"
                )
        raise BadDocument(f"{self.named.familiar()}: indexes are nested too deep")

    def _check_platform(self, config: ImageConfig, wanted: Platform | None) -> None:
        """An explicit --platform holds for an image without an index, too."""
        found = config.platform
        if wanted is None or not found.architecture or platforms.matches(found, wanted):
            return
        raise ImageError(
            f"{self.named.familiar()} is made for {found}, not for {wanted}",
            remedy=f"give --platform {found}, or another image",
            code="RL-IMAGE-PLATFORM",
        )

    def _config_data(self, manifest: Manifest) -> bytes:
        if blobs.has(self.paths, manifest.config.digest, manifest.config.size):
            try:
                return blobs.read(self.paths, manifest.config.digest)
            except StoreError:
                pass  # damaged, or collected this moment: fetch it
        return self.client.small_blob(manifest.config, f"config of {self.named.familiar()}")

    def _layers(self, manifest: Manifest, config: ImageConfig) -> int:
        """All layers into the store; their size unpacked, each counted as often as it is used."""
        # The same layer may be there twice (empty ones are): fetch it once.
        wanted = dict(zip(config.diff_ids, manifest.layers, strict=True))
        sizes = LayerFetcher(self.ctx, self.client, self.tell).fetch(wanted)
        return sum(sizes[diff_id] for diff_id in config.diff_ids)
