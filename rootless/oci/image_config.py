"""The image config: what to run, and the layers' diffIDs.  Pure.

Source: image-spec v1.1 config.md; Docker's image.md v1.2 has the same fields and a few more.
"""

from rootless.errors import BadDocument
from rootless.oci import digest as digests
from rootless.oci import documents
from rootless.oci.platform import Platform
from rootless.records import dataclass

_LISTS = ("Env", "Cmd", "Entrypoint", "Shell", "OnBuild")
_STRINGS = ("User", "WorkingDir", "StopSignal", "Hostname", "Domainname")
_SETS = ("ExposedPorts", "Volumes")  # Go's map[string]struct{}


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """`config` is the object of that name as it stands, its fields' types checked."""

    platform: Platform
    created: str
    author: str
    config: dict[str, object]
    diff_ids: tuple[str, ...]  # bottom first
    history: tuple[dict[str, object], ...]
    data: bytes

    @property
    def image_id(self) -> str:
        """The digest of the config: the image's ID."""
        return digests.of(self.data)


def parse(data: bytes, where: str) -> ImageConfig:
    """The image config in `data`.  Raises BadDocument."""
    doc = documents.load(data, where)
    rootfs = documents.require(doc, "rootfs", dict, where)
    kind = documents.optional(rootfs, "type", str, f"{where}: rootfs", "layers")
    if kind != "layers":
        raise BadDocument(f"{where}: rootfs.type is {kind[:40]!r}, not 'layers'")
    diff_ids = tuple(
        digests.checked(text, f"{where}: rootfs.diff_ids[{position}]")
        for position, text in enumerate(documents.strings(rootfs, "diff_ids", f"{where}: rootfs"))
    )
    config: dict[str, object] = documents.optional(doc, "config", dict, where, {})
    _check_config(config, f"{where}: config")
    history = documents.objects(doc, "history", where) if doc.get("history") is not None else []
    return ImageConfig(
        platform=Platform.from_json(doc, where),
        created=documents.optional(doc, "created", str, where, ""),
        author=documents.optional(doc, "author", str, where, ""),
        config=config,
        diff_ids=diff_ids,
        history=tuple(history),
        data=data,
    )


def _check_config(config: dict[str, object], where: str) -> None:
    """Whoever runs the image relies on these types."""
    for key in _LISTS:
        for position, text in enumerate(documents.strings(config, key, where)):
            if "\0" in text:
                raise BadDocument(f"{where}: {key}[{position}] contains a null byte")
    for key in _STRINGS:
        if "\0" in documents.optional(config, key, str, where, ""):
            raise BadDocument(f"{where}: {key} contains a null byte")
    for key in _SETS:
        found: dict[str, object] = documents.optional(config, key, dict, where, {})
        for name, value in found.items():
            if not isinstance(value, dict | None):
                raise BadDocument(f"{where}: {key}[{name[:80]!r}] is not an object")
    documents.string_map(config, "Labels", where)
    health: dict[str, object] = documents.optional(config, "Healthcheck", dict, where, {})
    documents.strings(health, "Test", f"{where}: Healthcheck")
    for key in ("Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"):
        documents.optional(health, key, int, f"{where}: Healthcheck", 0)


def check_layers(layers: int, config: ImageConfig, where: str) -> None:
    """Raise BadDocument unless a manifest's number of `layers` is that of the diffIDs."""
    if layers != len(config.diff_ids):
        raise BadDocument(
            f"{where}: {layers} layers in its manifest, but {len(config.diff_ids)} in its config"
        )
