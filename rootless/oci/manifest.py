"""Manifests and indexes, OCI's and Docker's schema 2.  Pure: bytes in, values out.

Source: image-spec v1.1 manifest.md and image-index.md; distribution's manifest-v2-2.md.  The
bytes are kept beside the value: a digest is over them, never over a re-serialisation.
"""

import json

from rootless.errors import BadDocument
from rootless.oci import artifacts, documents
from rootless.oci import digest as digests
from rootless.oci import platform as platforms
from rootless.oci.descriptor import Descriptor
from rootless.oci.platform import Platform
from rootless.records import dataclass, replace

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = f"{OCI_LAYER}+gzip"
OCI_LAYER_ZSTD = f"{OCI_LAYER}+zstd"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = f"{DOCKER_LAYER}.gzip"

_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1"

INDEX_TYPES = (OCI_INDEX, DOCKER_LIST)
MANIFEST_TYPES = (OCI_MANIFEST, DOCKER_MANIFEST)
ACCEPTED = (*INDEX_TYPES, *MANIFEST_TYPES)

_OCI_FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar"
_DOCKER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar"
# Every media type of a layer, and what OCI calls it.
_OCI_LAYER_TYPES = {
    base + suffix: oci + suffix.replace(".", "+")
    for base, oci, suffixes in (
        (OCI_LAYER, OCI_LAYER, ("", "+gzip", "+zstd")),
        (_OCI_FOREIGN, _OCI_FOREIGN, ("", "+gzip", "+zstd")),
        (DOCKER_LAYER, OCI_LAYER, ("", ".gzip", ".zstd")),
        (_DOCKER_FOREIGN, _OCI_FOREIGN, ("", ".gzip", ".zstd")),
    )
    for suffix in suffixes
}
# Registries have handed out schema 2 images with these config types for years; Docker takes them
# (moby, distribution/registry.go, defaultImageTypes).
_ODD_CONFIG_TYPES = ("application/octet-stream", "application/json", "text/html", "")


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image for one platform."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]  # bottom first
    data: bytes

    @property
    def digest(self) -> str:
        return digests.of(self.data)

    def as_oci(self) -> bytes:
        """The same image with OCI's media types: an OCI layout may hold no others.

        Config and layers stay what they are, byte for byte.
        """
        if self.media_type == OCI_MANIFEST:
            return self.data
        config = replace(self.config, media_type=OCI_CONFIG)
        layers = [oci_layer(layer) for layer in self.layers]
        doc = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config.to_json(),
            "layers": [layer.to_json() for layer in layers],
        }
        return json.dumps(doc, separators=(",", ":")).encode()


def is_foreign(layer: Descriptor) -> bool:
    """Whether registries are not to have the layer: it is fetched from elsewhere, and not pushed.

    image-spec v1.1 layer.md, "Non-Distributable Layers"; Docker's foreign layers.
    """
    return bool(layer.urls) and layer.media_type.startswith((_OCI_FOREIGN, _DOCKER_FOREIGN))


def oci_layer(layer: Descriptor) -> Descriptor:
    """A layer with OCI's name for its media type."""
    return replace(layer, media_type=_OCI_LAYER_TYPES.get(layer.media_type, layer.media_type))


def docker_layer(layer: Descriptor) -> Descriptor:
    """A layer with Docker's name for its media type, if it has one."""
    names = {OCI_LAYER: DOCKER_LAYER, OCI_LAYER_GZIP: DOCKER_LAYER_GZIP}
    return replace(layer, media_type=names.get(layer.media_type, layer.media_type))


@dataclass(frozen=True, slots=True)
class Index:
    """The same image for several platforms (OCI index, Docker manifest list)."""

    media_type: str
    manifests: tuple[Descriptor, ...]
    data: bytes

    @property
    def digest(self) -> str:
        return digests.of(self.data)

    def choose(self, wanted: Platform) -> Descriptor | None:
        """The entry for `wanted`, or the best that runs there; None when there is none."""
        # Attestations are listed as platform unknown/unknown; they match nothing.
        images = [entry for entry in self.manifests if entry.media_type in ("", *ACCEPTED)]
        position = platforms.choose([entry.platform for entry in images], wanted)
        return None if position is None else images[position]

    def platforms(self) -> list[str]:
        """What it is made for, to say so in a message."""
        names = (str(entry.platform) for entry in self.manifests if entry.platform is not None)
        return sorted({name for name in names if not name.startswith("unknown")})


def parse(data: bytes, content_type: str, where: str) -> Manifest | Index:
    """The manifest or index in `data`.  `content_type` as the registry gave it, or "".

    Raises BadDocument; RL-IMAGE-SCHEMA1 for Docker's schema 1, RL-IMAGE-ARTIFACT for what is
    not an image.
    """
    doc = documents.load(data, where)
    media_type = _media_type(doc, content_type, where)
    if media_type in INDEX_TYPES:
        entries = documents.objects(doc, "manifests", where)
        return Index(
            media_type=media_type,
            manifests=tuple(
                Descriptor.from_json(entry, f"{where}: manifests[{position}]")
                for position, entry in enumerate(entries)
            ),
            data=data,
        )
    config = Descriptor.from_json(documents.require(doc, "config", dict, where), f"{where}: config")
    _check_is_image(doc, config, media_type, where)
    layers = []
    for position, entry in enumerate(documents.objects(doc, "layers", where)):
        layer = Descriptor.from_json(entry, f"{where}: layers[{position}]")
        if layer.media_type not in _OCI_LAYER_TYPES:
            kind = layer.media_type
            why = f"its layers[{position}] is {kind[:100] or 'untyped'!r}"
            raise _artifact(where, why, kind)
        layers.append(layer)
    return Manifest(media_type=media_type, config=config, layers=tuple(layers), data=data)


def _media_type(doc: dict[str, object], content_type: str, where: str) -> str:
    """Which of the four types `doc` is; its own word goes before the registry's."""
    told = documents.optional(doc, "mediaType", str, where, "")
    media_type = told or content_type.partition(";")[0].strip().lower()
    version = doc.get("schemaVersion")
    if version == 1 or media_type.startswith(_SCHEMA_1):
        raise BadDocument(
            f"{where}: Docker's image manifest version 1 is not supported, as in Docker itself",
            remedy="ask the image's owner to push it again with a Docker of 2016 or newer",
            code="RL-IMAGE-SCHEMA1",
        )
    if version != 2 or isinstance(version, bool):
        raise BadDocument(f"{where}: schemaVersion is {repr(version)[:20]}, not 2")
    # CVE-2021-41190: the same bytes must not be an index for one reader, a manifest for another.
    is_index, is_manifest = "manifests" in doc, "config" in doc or "layers" in doc
    if is_index and is_manifest:
        raise BadDocument(f"{where}: it is a manifest and an index at once")
    if media_type not in ACCEPTED:
        if told:
            raise _artifact(where, f"it is {told[:100]!r}", told)
        # OCI's documents need not name their type, and some registries send text/plain.
        media_type = OCI_INDEX if is_index else OCI_MANIFEST
    if media_type in INDEX_TYPES and is_manifest:
        raise BadDocument(f"{where}: called an index ({media_type}), but it is a manifest")
    return media_type


def _check_is_image(
    doc: dict[str, object], config: Descriptor, media_type: str, where: str
) -> None:
    kind = config.media_type
    if kind in (OCI_CONFIG, DOCKER_CONFIG):
        return
    if media_type == DOCKER_MANIFEST and kind in _ODD_CONFIG_TYPES:
        return
    artifact = documents.optional(doc, "artifactType", str, where, "")
    listed = documents.optional(doc, "layers", list, where, [])
    inner = [str(one.get("mediaType", "")) for one in listed if isinstance(one, dict)]
    raise _artifact(where, f"it is of type {(artifact or kind)[:100]!r}", artifact, kind, *inner)


def _artifact(where: str, why: str, *media_types: str) -> BadDocument:
    known = artifacts.describe(*media_types)
    return BadDocument(
        f"{where} is not a container image: {f'it is {known[0]}' if known else why}",
        remedy=f"fetch it with its own tool: {known[1]}"
        if known
        else "fetch it with the tool that it was made for (helm, oras, cosign)",
        code="RL-IMAGE-ARTIFACT",
    )
