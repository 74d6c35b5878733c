"""The image that a build makes: its config, its manifest, and the record in the store.

Its layers are directories; the manifest names them as uncompressed archives, which are made when
`--output` asks for them.  Nothing is written for an image that is there already.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from rootless.build.cache import Entry, timestamp
from rootless.build.plan import BaseImage, StagePlan
from rootless.build.state import LAYER
from rootless.errors import RlError
from rootless.oci import digest as digests
from rootless.oci import manifest as manifests
from rootless.store import blobs, images, layers

if TYPE_CHECKING:
    from rootless.context import Context

Doc = dict[str, Any]

NO_TIME = "1970-01-01T00:00:00Z"  # of an image in which nothing has ever been made


def base_of(plan: StagePlan) -> BaseImage | None:
    """The image at the bottom of a stage."""
    base = plan.base
    while isinstance(base, StagePlan):
        base = base.base
    return base


def config_of(
    plan: StagePlan,
    diff_ids: Sequence[str],
    entries: Mapping[int, Sequence[Entry]],
    labels: Mapping[str, str],
    epoch: int | None,
) -> Doc:
    """The image config, as Docker would write it.

    `entries` are what the steps of each stage made, by the stage's index.
    """
    history = _history(plan, entries, None if epoch is None else timestamp(epoch * 10**9))
    base = base_of(plan)
    times = [str(entry["created"]) for entry in history if entry.get("created")]
    config = {key: value for key, value in plan.state.config.items() if value is not None}
    if labels:
        config["Labels"] = {**(config.get("Labels") or {}), **labels}
    document: Doc = {
        "architecture": plan.platform.architecture,
        "config": config,
        "created": times[-1] if times else NO_TIME,
        "history": history,
        "os": plan.platform.os,
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
    }
    if plan.platform.variant:
        document["variant"] = plan.platform.variant
    if plan.state.author:
        document["author"] = plan.state.author
    for key in ("architecture", "os", "variant", "os.version", "os.features"):
        if base is not None and base.document.get(key):
            document[key] = base.document[key]
    return document


def _history(
    plan: StagePlan, entries: Mapping[int, Sequence[Entry]], epoch: str | None
) -> list[Doc]:
    """Every entry with a time: that of its step, else as BuildKit fills the gaps."""
    chain = [plan]
    while isinstance(chain[-1].base, StagePlan):
        chain.append(chain[-1].base)
    # A stage's own entries come after those of the stage below it.
    owners: list[int] = []
    for stage in reversed(chain):
        owners += [stage.stage.index] * (len(stage.state.history) - len(owners))
    base = chain[-1].base
    inherited = len(base.document.get("history") or ()) if isinstance(base, BaseImage) else 0
    found = []
    for position, (owner, written) in enumerate(zip(owners, plan.state.history, strict=True)):
        entry = dict(written)
        place = entry.pop(LAYER, None)
        if place is not None:
            made = entries[owner][place]
            entry["created"] = made.created
            if not made.diff_id:
                entry["empty_layer"] = True
        elif epoch is not None and position >= inherited:
            entry["created"] = epoch
        found.append(entry)
    _fill_times(found)
    return found


def _fill_times(history: list[Doc]) -> None:
    """A gap has the time of the first layer after it, or else of the last before it."""
    known = [(i, str(entry["created"])) for i, entry in enumerate(history) if entry.get("created")]
    for position, entry in enumerate(history):
        if entry.get("created"):
            continue
        before = [time for i, time in known if i < position]
        after = [time for i, time in known if i > position]
        if before or after:
            entry["created"] = before[-1] if before else after[0]


def put(
    ctx: "Context",
    below: Doc | None,
    document: Doc,
    tags: Sequence[str],
    directory: str,
    annotations: Mapping[str, str],
) -> Doc:
    """Put the image into the store under the canonical `tags`; its record.

    `below` is the record of the image whose layers it begins with, if any, and `annotations` are
    the manifest's.  `directory` is a temporary one of the store; the layers are
    leased.
    """
    data = to_json(document)
    image_id = digests.of(data)
    there = _existing(ctx, image_id, tags, annotations)
    if there is not None:
        return there
    from rootless.store import image_changes

    blobs.put(ctx.paths, data, directory)
    record = _record(ctx, below, document, image_id, len(data), directory, annotations)
    for name in tags or ("",):
        record = cast(Doc, image_changes.add(ctx.paths, record, name))
    return record


def _existing(
    ctx: "Context", image_id: str, tags: Sequence[str], annotations: Mapping[str, str]
) -> Doc | None:
    """The record, if the image is in the store and has these names already."""
    record: Doc | None = None
    for name in tags or (image_id,):
        record = cast("Doc | None", images.find(ctx.paths, name))
        if record is None or record["id"] != image_id:
            return None
    if record is None or not blobs.has(ctx.paths, image_id):
        return None
    try:
        manifest = json.loads(blobs.read(ctx.paths, str(record["digest"])))
    except (KeyError, RlError, OSError):
        return None
    if dict(manifest.get("annotations") or {}) != dict(annotations):
        return None
    record["names"] = images.names_of(ctx.paths, image_id)
    return record


def _record(
    ctx: "Context",
    below: Doc | None,
    document: Doc,
    image_id: str,
    config_size: int,
    directory: str,
    annotations: Mapping[str, str],
) -> Doc:
    diff_ids = document["rootfs"]["diff_ids"]
    stored = [str(one) for one in below.get("layer_blobs") or ()] if below else []
    whole = below is not None and len(stored) == len(below["layers"])
    blobs_ = dict(enumerate(stored)) if whole else {}
    size = sum(layers.size(ctx.paths, diff_id) for diff_id in diff_ids)
    descriptors = [
        _descriptor(ctx, diff_id, blobs_.get(i, diff_id)) for i, diff_id in enumerate(diff_ids)
    ]
    manifest = to_json(
        {
            "schemaVersion": 2,
            "mediaType": manifests.OCI_MANIFEST,
            "config": {
                "mediaType": manifests.OCI_CONFIG,
                "digest": image_id,
                "size": config_size,
            },
            "layers": descriptors,
            **({"annotations": dict(annotations)} if annotations else {}),
        }
    )
    return {
        "id": image_id,
        "digest": blobs.put(ctx.paths, manifest, directory),
        "media_type": manifests.OCI_MANIFEST,
        "names": [],
        "repo_digests": [],
        "platform": {
            "os": document["os"],
            "architecture": document["architecture"],
            "variant": document.get("variant", ""),
        },
        "created": document["created"],
        "size": size,
        "layers": list(diff_ids),
        "layer_blobs": [str(descriptor["digest"]) for descriptor in descriptors],
        "config": document["config"],
    }


def _descriptor(ctx: "Context", diff_id: str, blob: str) -> Doc:
    """A layer as received, if its blob is there; else as the uncompressed archive that it is."""
    if blob != diff_id:
        try:
            with open(ctx.paths.blob(blob), "rb") as file:
                magic = file.read(4)
                size = os.fstat(file.fileno()).st_size
            kind = manifests.OCI_LAYER
            if magic.startswith(b"\x1f\x8b"):
                kind = manifests.OCI_LAYER_GZIP
            elif magic == b"\x28\xb5\x2f\xfd":
                kind = manifests.OCI_LAYER_ZSTD
            return {"mediaType": kind, "digest": blob, "size": size}
        except OSError:
            pass
    size = int(str(layers.read_meta(ctx.paths, diff_id).get("tar_size", 0)))
    return {"mediaType": manifests.OCI_LAYER, "digest": diff_id, "size": size}


def to_json(value: object) -> bytes:
    """As Go writes it: bytes that are no UTF-8 (a Dockerfile in Latin-1) become U+FFFD."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return re.sub("[\ud800-\udfff]", "\ufffd", text).encode()


def read_document(ctx: "Context", record: Mapping[str, Any]) -> Doc:
    """The image config of a record, whole."""
    document: Doc = json.loads(blobs.read(ctx.paths, str(record["id"])))
    return document
