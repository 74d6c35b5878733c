"""Images out of files: docker-archive (of any Docker), OCI archive, OCI layout in a directory.

The images are made of the files of the archive (archive_files.py): a layer is unpacked while it
becomes a blob of the store, unless its file can be moved there.
Source: image-spec v1.1 image-layout.md; moby image/tarexport/load.go.
"""

import hashlib
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from rootless.errors import BadDocument, DigestMismatch, ImageError
from rootless.layer import compression, image
from rootless.layer.archive_files import Archive, Directory, File, Files, place_of
from rootless.layer.slots import PARALLEL, THREADS, Slot
from rootless.layer.unpack import unpack
from rootless.oci import documents, image_config, reference
from rootless.oci import manifest as manifests
from rootless.oci import platform as platforms
from rootless.oci.descriptor import Descriptor
from rootless.oci.image_config import ImageConfig
from rootless.oci.manifest import Index, Manifest
from rootless.oci.platform import Platform
from rootless.records import dataclass, field
from rootless.store import blobs, image_changes, layers
from rootless.store.leases import Lease

if TYPE_CHECKING:
    from rootless.context import Context

_CHUNK = 1 << 20
_NESTED_MAX = 3  # indexes in indexes
_IMAGE_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


@dataclass(frozen=True, slots=True)
class Loaded:
    """One image that is in the store now, and its canonical names from the archive."""

    record: dict[str, Any]
    names: list[str]


@dataclass(slots=True)
class _Found:
    """An image of the archive: manifest None for one of docker-archive alone."""

    manifest: Manifest | None
    config: ImageConfig
    layers: list[str]  # names of files
    names: list[str] = field(default_factory=list)


def load(
    ctx: "Context", source: "compression.Readable | str", *, platform: str = "", what: str
) -> list[Loaded]:
    """Put all images of an archive (a stream) or layout (a directory's path) into the store.

    With `platform`, those for it; of an image for several platforms one is taken.  Raises
    BadDocument, DigestMismatch, ImageError, StoreError; images before the failure stay.
    """
    with Lease(ctx) as lease:
        lease.keep_all()  # the digests are known at the end only
        files = (
            Directory(source, what)
            if isinstance(source, str)
            else Archive(source, lease.path, what)
        )
        wanted = platforms.parse(platform) if platform else None
        found = _images(files, wanted, what)
        if not found:
            raise ImageError(
                f"{what} has no image for {wanted}" if wanted else f"{what} has no image",
                remedy="leave --platform out" if wanted else "is it an archive of rl save?",
                code="RL-IMAGE-PLATFORM" if wanted else "RL-LOAD-SOURCE",
            )
        return [_Loading(ctx, files, lease.path, one, what).run() for one in found]


def _images(files: Files, wanted: Platform | None, what: str) -> list[_Found]:
    """What the archive's tables of contents name, each once."""
    docker = files.find("manifest.json") is not None
    if files.find("index.json") is None and not docker:
        raise BadDocument(
            f"{what} is no archive of images: it has neither index.json nor manifest.json",
            remedy="rl import makes an image of a root file system's archive",
            code="RL-LOAD-SOURCE",
        )
    found: list[_Found] = []
    if files.find("index.json") is not None:
        _from_layout(files, wanted, what, found)
    if docker:
        _from_docker(files, wanted, what, found)
    return found


def _known(found: list[_Found], config: ImageConfig, layers: list[str]) -> _Found | None:
    """The image with this config and these files: its layers may be there in two compressions."""
    same = [one for one in found if one.config.image_id == config.image_id]
    return next((one for one in same if one.layers == layers), None)


def _from_layout(files: Files, wanted: Platform | None, what: str, found: list[_Found]) -> None:
    index = manifests.parse(
        files.document("index.json"), manifests.OCI_INDEX, f"{what}: index.json"
    )
    if not isinstance(index, Index):
        raise BadDocument(f"{what}: index.json is no index")
    for entry in index.manifests:
        manifest = _manifest(files, entry, wanted, what)
        if manifest is None:
            continue
        where = f"{what}: config {manifest.config.digest[7:19]}"
        config = image_config.parse(files.blob(manifest.config.digest), where)
        if wanted is not None and not platforms.matches(config.platform, wanted):
            continue
        image_config.check_layers(len(manifest.layers), config, what)
        places = [place_of(layer.digest) for layer in manifest.layers]
        one = _known(found, config, places)
        if one is None:
            found.append(one := _Found(manifest, config, places))
        _add_names(one, _names(entry))


def _manifest(
    files: Files, entry: Descriptor, wanted: Platform | None, what: str
) -> Manifest | None:
    """The manifest that an entry of the index leads to; None if that is for no platform here."""
    for _ in range(_NESTED_MAX):
        where = f"{what}: manifest {entry.digest[7:19]}"
        document = manifests.parse(files.blob(entry.digest), entry.media_type, where)
        if isinstance(document, Manifest):
            return document
        chosen = document.choose(wanted or platforms.host())
        if chosen is None:
            if wanted is not None:
                return None
            offered = ", ".join(document.platforms()) or "none"
            raise ImageError(
                f"{what} has no image for {platforms.host()}: it is made for {offered}",
                remedy="choose one of these with --platform",
                code="RL-IMAGE-PLATFORM",
            )
        entry = chosen
    raise BadDocument(f"{what}: indexes are nested too deep")


def _names(entry: Descriptor) -> list[str]:
    """The canonical names in an entry's annotations.  A bare tag, as Docker writes, is none."""
    for key in _IMAGE_NAMES:
        text = entry.annotations.get(key, "")
        if "/" in text or ":" in text:
            named = reference.parse(text)
            return [] if named.digest else [named.tagged().canonical()]
    return []


def _from_docker(files: Files, wanted: Platform | None, what: str, found: list[_Found]) -> None:
    where = f"{what}: manifest.json"
    try:
        entries = json.loads(files.document("manifest.json"))
    except (ValueError, RecursionError) as e:
        raise BadDocument(f"{where} is not JSON: {e}") from e
    if not isinstance(entries, list):
        raise BadDocument(f"{where} is not a list")
    for position, entry in enumerate(entries):
        here = f"{where}[{position}]"
        if not isinstance(entry, dict):
            raise BadDocument(f"{here} is not an object")
        place = documents.require(entry, "Config", str, here)
        config = image_config.parse(files.document(place), f"{what}: {place}")
        if wanted is not None and not platforms.matches(config.platform, wanted):
            continue
        places = documents.strings(entry, "Layers", here)
        image_config.check_layers(len(places), config, here)
        # What the layout has goes before: its manifest may have come from a registry.
        same = [one for one in found if one.config.image_id == config.image_id]
        one = _known(found, config, places) or (same[0] if same else None)
        if one is None:
            found.append(one := _Found(None, config, places))
        tags = documents.strings(entry, "RepoTags", here)
        _add_names(one, [reference.parse(tag).tagged().canonical() for tag in tags])


def _add_names(one: _Found, names: list[str]) -> None:
    one.names += [name for name in names if name not in one.names]


class _Loading:
    """One image of the archive on its way into the store."""

    def __init__(
        self, ctx: "Context", files: Files, directory: str, found: _Found, what: str
    ) -> None:
        self._ctx = ctx
        self._files = files
        self._directory = directory
        self._found = found
        self._what = what
        self._slots = threading.Semaphore(PARALLEL)

    def run(self) -> Loaded:
        found = self._found
        config = found.config
        blobs.put(self._ctx.paths, config.data, self._directory)
        described = found.manifest.layers if found.manifest else (None,) * len(found.layers)
        stored = self._layers(list(zip(found.layers, config.diff_ids, described, strict=True)))
        manifest = found.manifest or _new_manifest(config, stored)
        for data in (manifest.data, manifest.as_oci()):
            blobs.put(self._ctx.paths, data, self._directory)
        size = sum(layers.size(self._ctx.paths, diff_id) for diff_id in config.diff_ids)
        record = image.record(manifest, config, size)
        for name in found.names or [""]:
            record = image_changes.add(self._ctx.paths, record, name)
        return Loaded(record, found.names)

    def _layers(self, wanted: list[tuple[str, str, Descriptor | None]]) -> list[Descriptor]:
        """All layers, several at once; their blobs, bottom first."""
        # The same layer may be there twice (empty ones are): take it once.
        unique = {diff_id: (name, described) for name, diff_id, described in wanted}
        with ThreadPoolExecutor(THREADS, thread_name_prefix="rl-layer") as pool:
            futures = {
                diff_id: pool.submit(self._layer, name, diff_id, described)
                for diff_id, (name, described) in unique.items()
            }
            try:
                done = {diff_id: future.result() for diff_id, future in futures.items()}
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [described or done[diff_id] for _, diff_id, described in wanted]

    def _layer(self, name: str, diff_id: str, described: Descriptor | None) -> Descriptor:
        """A layer into the store, unpacked and as a blob; the blob."""
        with Slot(self._slots) as slot:
            file = self._files.file(name)
            if described is None and file.digest:
                with file.open() as stream:
                    kind = compression.kind_of(stream.read(512))
                if kind in image.KEPT:
                    described = Descriptor(image.KEPT[kind], file.digest, file.size)
            if described is None:
                return self._read_once(file, diff_id, None, slot)
            if file.digest and (file.digest, file.size) != (described.digest, described.size):
                raise DigestMismatch(self._what, described.digest, file.digest)
            paths = self._ctx.paths
            if not blobs.has(paths, described.digest, described.size):
                if not file.digest:
                    return self._read_once(file, diff_id, described, slot)
                blobs.adopt(paths, file.path, file.digest)
                file.path = paths.blob(file.digest)
            self._unpack(described, diff_id, slot)
            return described

    def _unpack(self, described: Descriptor, diff_id: str, slot: Slot) -> None:
        paths = self._ctx.paths
        if layers.exists(paths, diff_id):
            return
        # It was hashed on its way here, and what comes out of it is: the worker reads it itself.
        fd = os.open(paths.blob(described.digest), os.O_RDONLY | os.O_CLOEXEC)
        try:
            unpack(self._ctx, paths, fd, described.media_type, diff_id, slot.release)
        finally:
            os.close(fd)

    def _read_once(
        self, file: File, diff_id: str, described: Descriptor | None, slot: Slot
    ) -> Descriptor:
        """Unpack a layer while its blob is made: the one that is `described`, or a new one."""
        paths = self._ctx.paths
        what = f"{self._what}: layer {diff_id[7:19]}"
        with file.open() as source, blobs.Writer(paths, self._directory) as writer:
            tee = image.Tee(source, writer, what, keep=described is not None)

            def unpacked() -> None:
                tee.finish()
                if described is not None and writer.digest != described.digest:
                    raise DigestMismatch(self._what, described.digest, writer.digest)
                slot.release()

            is_new = not layers.exists(paths, diff_id)
            if is_new:
                unpack(self._ctx, paths, tee, "", diff_id, unpacked)
            else:
                if not tee.keeps:
                    # Nobody has looked at what is in this one.
                    self._check(tee, diff_id)
                unpacked()
            writer.commit(writer.digest, synced=is_new)  # with the layer
        return described or Descriptor(tee.media_type, writer.digest, writer.size)

    def _check(self, content: image.Tee, diff_id: str) -> None:
        checked = hashlib.sha256()
        while data := content.read(_CHUNK):
            checked.update(data)
        found = f"sha256:{checked.hexdigest()}"
        if found != diff_id:
            raise DigestMismatch(f"{self._what}: layer", diff_id, found)


def _new_manifest(config: ImageConfig, stored: list[Descriptor]) -> Manifest:
    """The manifest of an image that came without one."""
    descriptor = Descriptor(manifests.OCI_CONFIG, config.image_id, len(config.data))
    document = {
        "schemaVersion": 2,
        "mediaType": manifests.OCI_MANIFEST,
        "config": descriptor.to_json(),
        "layers": [layer.to_json() for layer in stored],
    }
    data = json.dumps(document, separators=(",", ":")).encode()
    return Manifest(manifests.OCI_MANIFEST, descriptor, tuple(stored), data)
