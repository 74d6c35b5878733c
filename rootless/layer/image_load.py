"""Images out of files: docker-archive (of any Docker), OCI archive, OCI layout in a directory.

An archive may come through a pipe, compressed, with its table of contents at the end: it is read
once, each file into a temporary directory of the store and hashed on the way.  Then the images are
made of the files: blobs that are named by their digest move to their place, layers are unpacked.
Source: image-spec v1.1 image-layout.md; moby image/tarexport/load.go.
"""

import hashlib
import json
import os
import posixpath
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from rootless.errors import BadDocument, DigestMismatch, ImageError
from rootless.layer import compression, image
from rootless.layer.unpack import unpack_layer
from rootless.oci import digest as digests
from rootless.oci import documents, image_config, reference
from rootless.oci import manifest as manifests
from rootless.oci import platform as platforms
from rootless.oci.descriptor import Descriptor
from rootless.oci.documents import DOCUMENT_MAX
from rootless.oci.image_config import ImageConfig
from rootless.oci.manifest import Index, Manifest
from rootless.oci.platform import Platform
from rootless.store import atomic, blobs, image_changes, layers
from rootless.store.leases import Lease

if TYPE_CHECKING:
    from rootless.context import Context

_CHUNK = 1 << 20
PARALLEL = 3  # layers at once, as in a pull
MEMBERS_MAX = 100_000  # files in an archive; a hundred images of a hundred layers have 20,000
_NESTED_MAX = 3  # indexes in indexes
_IMAGE_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


@dataclass(frozen=True, slots=True)
class Loaded:
    """One image that is in the store now, and its canonical names from the archive."""

    record: dict[str, Any]
    names: list[str]


@dataclass(slots=True)
class _File:
    path: str
    digest: str  # "" while nobody has read it
    size: int


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
            _Directory(source, what)
            if isinstance(source, str)
            else _Archive(source, lease.path, what)
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


class _Files:
    """The files of an archive by name."""

    def __init__(self, what: str) -> None:
        self.what = what

    def find(self, name: str) -> _File | None:
        raise NotImplementedError

    def file(self, name: str) -> _File:
        found = self.find(name)
        if found is None:
            raise BadDocument(
                f"{self.what}: {name} is missing",
                remedy="the archive is not whole: save it again",
            )
        return found

    def document(self, name: str) -> bytes:
        """The bytes of a small file."""
        found = self.file(name)
        if found.size > DOCUMENT_MAX:
            raise BadDocument(
                f"{self.what}: {name} has {found.size} bytes, too many for a document"
            )
        with open(found.path, "rb") as file:
            return file.read()

    def blob(self, digest: str) -> bytes:
        """A small blob of an OCI layout, verified."""
        data = self.document(_place(digest))
        digests.verify(data, digest, f"{self.what}: {_place(digest)}")
        return data


class _Directory(_Files):
    """An OCI layout as a directory."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(what)
        self._path = path

    def find(self, name: str) -> _File | None:
        path = f"{self._path}/{name}"
        return _File(path, "", os.stat(path).st_size) if os.path.isfile(path) else None


class _Archive(_Files):
    """A tar archive, read to its end into files of a temporary directory."""

    def __init__(self, source: "compression.Readable", directory: str, what: str) -> None:
        super().__init__(what)
        self._files: dict[str, _File] = {}
        self._links: dict[str, str] = {}
        stream = compression.Decompressed(source, what=what)
        try:
            with tarfile.open(
                fileobj=cast("BinaryIO", stream), mode="r|", bufsize=_CHUNK
            ) as archive:
                for count, member in enumerate(archive):
                    if count >= MEMBERS_MAX:
                        raise BadDocument(f"{what} has more than {MEMBERS_MAX} files")
                    self._take(archive, member, directory)
        except tarfile.TarError as e:
            raise BadDocument(f"{what} is no whole tar archive: {e}") from e

    def _take(self, archive: tarfile.TarFile, member: tarfile.TarInfo, directory: str) -> None:
        name = posixpath.normpath(member.name)
        if member.issym():
            # Docker before 25 has linked a layer that several images have.
            target = posixpath.join(posixpath.dirname(name), member.linkname)
            self._links[name] = posixpath.normpath(target)
        elif member.islnk():
            self._links[name] = posixpath.normpath(member.linkname)
        elif member.isreg():
            content = archive.extractfile(member)
            assert content is not None
            path = f"{directory}/{len(self._files)}.member"
            checked = hashlib.sha256()
            try:
                with open(path, "xb", buffering=0) as file:
                    while chunk := content.read(_CHUNK):
                        checked.update(chunk)
                        file.write(chunk)
            except OSError as e:
                raise atomic.store_error(e, f"write {path}") from e
            self._files[name] = _File(path, f"sha256:{checked.hexdigest()}", member.size)

    def find(self, name: str) -> _File | None:
        name = posixpath.normpath(name)
        for _ in range(8):
            if name not in self._links:
                break
            name = self._links[name]
        return self._files.get(name)


def _images(files: _Files, wanted: Platform | None, what: str) -> list[_Found]:
    """What the archive's table of contents names; each image once."""
    docker = files.find("manifest.json") is not None
    if files.find("index.json") is None and not docker:
        raise BadDocument(
            f"{what} is no archive of images: it has neither index.json nor manifest.json",
            remedy="rl import makes an image of a root file system's archive",
            code="RL-LOAD-SOURCE",
        )
    found: dict[str, _Found] = {}
    if files.find("index.json") is not None:
        _from_layout(files, wanted, what, found)
    if docker:
        _from_docker(files, wanted, what, found)
    return list(found.values())


def _from_layout(
    files: _Files, wanted: Platform | None, what: str, found: dict[str, _Found]
) -> None:
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
        places = [_place(layer.digest) for layer in manifest.layers]
        one = found.setdefault(config.image_id, _Found(manifest, config, places))
        _add_names(one, _names(entry))


def _manifest(
    files: _Files, entry: Descriptor, wanted: Platform | None, what: str
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


def _from_docker(
    files: _Files, wanted: Platform | None, what: str, found: dict[str, _Found]
) -> None:
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
        one = found.setdefault(config.image_id, _Found(None, config, list(places)))
        tags = documents.strings(entry, "RepoTags", here)
        _add_names(one, [reference.parse(tag).tagged().canonical() for tag in tags])


def _add_names(one: _Found, names: list[str]) -> None:
    one.names += [name for name in names if name not in one.names]


def _place(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


class _Loading:
    """One image of the archive on its way into the store."""

    def __init__(
        self, ctx: "Context", files: _Files, directory: str, found: _Found, what: str
    ) -> None:
        self._ctx = ctx
        self._files = files
        self._directory = directory
        self._found = found
        self._what = what

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
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="rl-layer") as pool:
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
        file = self._files.file(name)
        if described is not None:
            self._keep(file, described)
            self._unpack(described, diff_id)
            return described
        with open(file.path, "rb", buffering=0) as stream:
            kind = compression.kind_of(stream.read(512))
        media_type = image.KEPT.get(kind, "")
        if media_type:
            digest = file.digest or _hash(file.path)
            described = Descriptor(media_type, digest, file.size)
            self._keep(file, described)
            self._unpack(described, diff_id)
            return described
        return self._compress(file, diff_id)

    def _keep(self, file: _File, described: Descriptor) -> None:
        """The file becomes the blob that it is said to be.  Raises DigestMismatch."""
        paths = self._ctx.paths
        if file.digest and (file.digest, file.size) != (described.digest, described.size):
            raise DigestMismatch(self._what, described.digest, file.digest)
        if blobs.has(paths, described.digest, described.size):
            return
        if file.digest:  # ours, and hashed while it was written
            blobs.adopt(paths, file.path, file.digest)
            file.path = paths.blob(file.digest)
            return
        with (
            open(file.path, "rb", buffering=0) as source,
            blobs.Writer(paths, self._directory) as writer,
        ):
            while chunk := source.read(_CHUNK):
                writer.write(chunk)
            writer.commit(described.digest)

    def _unpack(self, described: Descriptor, diff_id: str) -> None:
        paths = self._ctx.paths
        if layers.exists(paths, diff_id):
            return
        # It was hashed on its way here, and what comes out of it is: the worker reads it itself.
        fd = os.open(paths.blob(described.digest), os.O_RDONLY | os.O_CLOEXEC)
        try:
            unpack_layer(self._ctx, paths, fd, described.media_type, diff_id)
        finally:
            os.close(fd)

    def _compress(self, file: _File, diff_id: str) -> Descriptor:
        """A layer that came uncompressed gets a blob while it is unpacked."""
        paths = self._ctx.paths
        with (
            open(file.path, "rb", buffering=0) as source,
            blobs.Writer(paths, self._directory) as writer,
        ):
            tee = image.Tee(source, writer, f"{self._what}: layer {diff_id[7:19]}")
            # An uncompressed file of an archive was hashed when it was read.
            known = file.digest == diff_id
            checked = tee if known else _Hashing(tee)
            unpack_layer(self._ctx, paths, checked, "", diff_id)
            while checked.read(_CHUNK):
                pass
            digest = tee.finish()
            if isinstance(checked, _Hashing) and checked.digest != diff_id:
                # It was in the store: nobody has looked at this one.
                raise DigestMismatch(f"{self._what}: layer", diff_id, checked.digest)
            writer.commit(digest)
        return Descriptor(tee.media_type, digest, writer.size)


class _Hashing:
    def __init__(self, source: image.Tee) -> None:
        self._source = source
        self._hash = hashlib.sha256()

    def read(self, size: int = _CHUNK, /) -> bytes:
        data = self._source.read(size)
        self._hash.update(data)
        return data

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def _hash(path: str) -> str:
    with open(path, "rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


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
