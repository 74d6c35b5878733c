"""Descriptors: a typed, sized pointer to a blob.  Pure.  Source: image-spec v1.1 descriptor.md."""

from rootless.errors import BadDocument
from rootless.oci import digest as digests
from rootless.oci import documents
from rootless.oci.platform import Platform
from rootless.records import dataclass, field

SIZE_MAX = 1 << 40  # bytes, 1 TiB: more is a mistake or an attack


@dataclass(frozen=True, slots=True)
class Descriptor:
    """image-spec descriptor.md.  `platform` only in an index; `size` of the blob as stored."""

    media_type: str
    digest: str  # "sha256:<64 hex>"
    size: int
    annotations: dict[str, str] = field(default_factory=dict)
    platform: Platform | None = None
    urls: tuple[str, ...] = ()  # where the blob is, too: of a layer that is not to be distributed

    @classmethod
    def from_json(cls, doc: dict[str, object], where: str) -> "Descriptor":
        """Raises BadDocument.  The media type may be missing, as some old images have it."""
        digest = digests.checked(documents.require(doc, "digest", str, where), where)
        size = documents.require(doc, "size", int, where)
        if not 0 <= size <= SIZE_MAX:
            raise BadDocument(f"{where}: a size of {size} bytes makes no sense")
        place: dict[str, object] = documents.optional(doc, "platform", dict, where, {})
        return cls(
            media_type=documents.optional(doc, "mediaType", str, where, ""),
            digest=digest,
            size=size,
            annotations=documents.string_map(doc, "annotations", where),
            platform=Platform.from_json(place, f"{where}.platform") if place else None,
            urls=tuple(documents.strings(doc, "urls", where)),
        )

    def to_json(self) -> dict[str, object]:
        """As it stands in an index or manifest that rl writes."""
        doc: dict[str, object] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
        }
        if self.urls:
            doc["urls"] = list(self.urls)
        if self.annotations:
            doc["annotations"] = dict(self.annotations)
        if self.platform is not None:
            doc["platform"] = {k: v for k, v in self.platform.to_json().items() if v}
        return doc
