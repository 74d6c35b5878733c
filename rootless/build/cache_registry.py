"""--cache-to and --cache-from, type=registry and type=inline: steps of the build cache as an image.

An image config may have a key of ours (KEY) beside the specification's own, as BuildKit has one for
its inline cache: it says which of the image's layers is the layer of which step.

    {"version": 1, "steps": {<key>: {what cache.Entry has, "layer": place or -1}}}

type=inline writes it into the image that is built; type=registry makes an image of nothing but the
steps' layers.  Every registry takes both, and one way reads them.
"""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rootless.build import cache_imports as imports
from rootless.build.cache import Cache, Entry
from rootless.errors import RegistryError
from rootless.layer.export import Layer, Packer, Packing, stored_blobs
from rootless.layer.unpack import unpack_layer
from rootless.oci import digest as digests
from rootless.oci import manifest as manifests
from rootless.oci import platform as platforms
from rootless.oci import reference
from rootless.oci.descriptor import Descriptor
from rootless.oci.manifest import Index
from rootless.registry import upload
from rootless.registry.client import Client
from rootless.store import atomic

if TYPE_CHECKING:
    from rootless.context import Context

VERSION = 1
KEY = "rl.buildcache.v1"


def describe(steps: Iterable[tuple[str, Entry]], diff_ids: Sequence[str]) -> dict[str, Any]:
    """The value of KEY for an image of the layers `diff_ids`, without the steps of other layers."""
    places = {diff_id: place for place, diff_id in enumerate(diff_ids)} | {"": -1}
    found = {
        key: {**imports.described(entry), "layer": places[entry.diff_id]}
        for key, entry in steps
        if entry.diff_id in places
    }
    return {"version": VERSION, "steps": found}


def write(ctx: "Context", keys: Sequence[str], place: str, how: Packing) -> int:
    """Push the steps `keys` as the image `place`; how many layers it has.  Raises RlError."""
    docker = how.docker
    named = reference.parse(place).tagged()
    cache = Cache(ctx)
    steps = [(key, entry) for key in keys if (entry := cache.load(key)) is not None]
    diff_ids = list(dict.fromkeys(entry.diff_id for _, entry in steps if entry.diff_id))
    host = platforms.host()
    config = _json(
        {
            "architecture": host.architecture,
            "os": host.os,
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            KEY: describe(steps, diff_ids),
        }
    )
    stored = stored_blobs(ctx)
    with (
        atomic.TemporaryDirectory(ctx.paths, ctx) as temporary,
        Client(ctx, named, push=True) as client,
    ):
        packer = Packer(ctx, temporary, how)
        packed = [_send(client, packer, Layer(one, stored.get(one))) for one in diff_ids]
        kind = manifests.DOCKER_CONFIG if docker else manifests.OCI_CONFIG
        descriptor = Descriptor(kind, digests.of(config), len(config))
        if not upload.exists(client, descriptor.digest):
            upload.upload_bytes(client, descriptor, config, f"the cache {place}")
        convert = manifests.docker_layer if docker else manifests.oci_layer
        media_type = manifests.DOCKER_MANIFEST if docker else manifests.OCI_MANIFEST
        manifest = _json(
            {
                "schemaVersion": 2,
                "mediaType": media_type,
                "config": descriptor.to_json(),
                "layers": [convert(one).to_json() for one in packed],
            }
        )
        upload.put_manifest(client, named.tag, media_type, manifest, f"the cache {place}")
    return len(diff_ids)


def _send(client: Client, packer: Packer, layer: Layer) -> Descriptor:
    expected = packer.expected(layer)
    if expected is not None and upload.exists(client, expected.digest):
        return expected
    descriptor, path = packer.pack(layer)
    if descriptor == expected or not upload.exists(client, descriptor.digest):
        what = f"layer {layer.diff_id[7:19]}"
        upload.upload(client, descriptor, path, what, lambda _sent: None)
    return descriptor


class Remote:
    """What an image on a registry offers."""

    def __init__(
        self, name: reference.Reference, document: Any, blobs: Sequence[Descriptor]
    ) -> None:
        self.name = name.familiar()
        self.steps: dict[str, Entry] = {}
        self._named = name
        self._blobs: dict[str, Descriptor] = {}
        if not isinstance(document, dict) or document.get("version") != VERSION:
            raise imports.failed(f"{self.name} is not a cache of this version of rl")
        steps = document.get("steps")
        for key, step in steps.items() if isinstance(steps, dict) else ():
            entry = imports.entry_of(key, step, self.name)
            if entry.diff_id:
                place = step.get("layer")
                if not isinstance(place, int) or not 0 <= place < len(blobs):
                    raise imports.failed(f"the cache {self.name} is damaged")
                self._blobs[key] = blobs[place]
            self.steps[key] = entry

    def unpack(self, ctx: "Context", key: str) -> None:
        blob = self._blobs[key]
        what = f"layer {blob.digest[7:19]} of {self.name}"
        with Client(ctx, self._named) as client, client.blob(blob, what) as stream:
            unpack_layer(ctx, ctx.paths, stream, blob.media_type, self.steps[key].diff_id)


def offer(ctx: "Context", place: str) -> Remote | None:
    """What the image `place` has; None if there is none, or it has no cache.

    Raises RegistryError, BuildError RL-BUILD-CACHE.
    """
    named = reference.parse(place).tagged()
    with Client(ctx, named) as client:
        try:
            document = client.manifest(named.digest or named.tag).document
        except RegistryError as e:
            if e.code != "RL-REGISTRY-NOT-FOUND":
                raise
            return None
        if isinstance(document, Index):
            chosen = document.choose(platforms.host())
            if chosen is None:
                return None
            document = client.manifest(chosen.digest).document
        if isinstance(document, Index):
            return None
        config = client.small_blob(document.config, f"config of {place}")
    try:
        found = json.loads(config)
    except (ValueError, RecursionError) as e:
        raise imports.failed(f"{place} is damaged: its config is no JSON") from e
    value = found.get(KEY) if isinstance(found, dict) else None
    return None if value is None else Remote(named, value, document.layers)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
