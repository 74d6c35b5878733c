"""Manifest lists and registries: what a name means as a member, and the push of a list.

A list is pushed with all its members: images of the store as `push` does, manifests of other
repositories by mounting their blobs, or by copying them from another registry.
"""

import json
import os
from collections.abc import Callable
from typing import Any

from rootless.context import Context
from rootless.errors import BadDocument, ImageError, UsageError
from rootless.layer.export import Packing
from rootless.oci import digest as digests
from rootless.oci import documents, reference
from rootless.oci import manifest as manifests
from rootless.oci import platform as platforms
from rootless.oci.descriptor import Descriptor
from rootless.oci.manifest import Index, Manifest
from rootless.oci.reference import Reference
from rootless.records import dataclass
from rootless.registry import push as pushes
from rootless.registry import registries_conf, sources, upload
from rootless.registry.client import Client, Fetched
from rootless.store import atomic, images, layout, manifest_lists
from rootless.store.manifest_lists import ManifestList, Member

_REMOTE = "docker://"
_LOCAL = "containers-storage:"
_CHUNK = 1 << 20
_NESTED_MAX = 3  # indexes in indexes

# (reference with the digest, what was done: "pushed", "copied", "exists").
Tell = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Raw:
    """A manifest or index as the registry has it, of whatever kind."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        return digests.of(self.data)


def members(ctx: Context, text: str, *, every: bool, tls_verify: bool = True) -> list[Member]:
    """What `text` adds to a list: an image or list of the store, else of a registry.

    docker:// says that it is in a registry, containers-storage: that it is in the store.  Of an
    image for several platforms, all with `every`, else the one for this host.
    Raises BadReference, ImageError, RegistryError, UsageError.
    """
    name = text.removeprefix(_REMOTE).removeprefix(_LOCAL)
    if "://" in name or name.startswith(("oci:", "oci-archive:", "docker-archive:", "dir:")):
        raise UsageError(
            f"{text} is neither an image here nor in a registry",
            remedy="load it first: rl load -i FILE",
        )
    if not text.startswith(_REMOTE):
        found = _local(ctx, name, every=every)
        if found is not None:
            return found
        if text.startswith(_LOCAL):
            raise images.not_found(name)
    names = registries_conf.candidates(ctx, name)
    with sources.opened(ctx, names, tls_verify=tls_verify) as (client, top):
        return _remote(client, top, every=every)


def _local(ctx: Context, name: str, *, every: bool) -> list[Member] | None:
    if not reference.is_image_id(name.removeprefix("sha256:")):
        canonical = reference.parse(name).tagged().canonical()
        if manifest_lists.exists(ctx.paths, canonical):
            listed = manifest_lists.read(ctx.paths, canonical).members
            return listed if every else [_for_host(listed, name)]
    record: dict[str, Any] | None = images.find(ctx.paths, name)
    if record is None:
        return None
    try:
        size = os.stat(ctx.paths.blob(str(record.get("digest")))).st_size
    except OSError:
        size = 0  # known when it is pushed
    platform = {key: value for key, value in (record.get("platform") or {}).items() if value}
    descriptor = {
        "mediaType": record.get("media_type") or manifests.OCI_MANIFEST,
        "digest": str(record.get("digest") or record["id"]),
        "size": size,
        "platform": platform,
    }
    names = images.names_of(ctx.paths, str(record["id"]))
    known = "" if reference.is_image_id(name.removeprefix("sha256:")) else name
    given = reference.parse(known).tagged().canonical() if known else ""
    held = given if given in names else (names[0] if names else "")
    return [Member(descriptor, held, str(record["id"]))]


def _for_host(listed: list[Member], name: str) -> Member:
    offered = [Descriptor.from_json(one.descriptor, name).platform for one in listed]
    position = platforms.choose(offered, platforms.host())
    if position is None:
        raise ImageError(
            f"nothing in {name} is made for {platforms.host()}",
            remedy="add all of it with --all, or one by its digest",
            code="RL-IMAGE-PLATFORM",
        )
    return listed[position]


def _remote(client: Client, found: Fetched, *, every: bool) -> list[Member]:
    named = client.name
    if isinstance(found.document, Index):
        entries: list[dict[str, Any]] = json.loads(found.document.data)["manifests"]
        listed = [Member(entry, named.canonical()) for entry in entries]
        return listed if every else [_for_host(listed, named.familiar())]
    return [Member(describe(client, found.document, named), named.canonical())]


def describe(client: Client, document: Manifest, named: Reference) -> dict[str, Any]:
    """The descriptor of a manifest, with the platform that its config names."""
    what = f"config of {named.familiar()}"
    config = documents.load(client.small_blob(document.config, what), what)
    keys = ("architecture", "os", "variant", "os.version", "os.features")
    platform = {key: config[key] for key in keys if config.get(key)}
    return {
        "mediaType": document.media_type,
        "digest": document.digest,
        "size": len(document.data),
        "platform": platform,
    }


def push(
    ctx: Context,
    made: ManifestList,
    target: Reference,
    *,
    how: Packing,
    form: str = "",
    tls_verify: bool = True,
    tell: Tell,
) -> pushes.Pushed:
    """Send a list and all its members to the repository and tag `target`.

    A member that is packed only now has another digest in the index than it had in the list.
    Raises ImageError, RegistryError, StoreError, UsageError.
    """
    layout.prepare(ctx.paths)
    atomic.sweep(ctx)
    made.index(form)  # what makes no sense is told before anything is sent
    with Client(ctx, target, tls_verify=tls_verify, push=True) as client:
        sent = [_send(ctx, client, member, how, tls_verify, tell) for member in made.members]
        media_type, data = ManifestList(made.name, made.annotations, sent).index(form)
        what = f"the manifest list {target.familiar()}"
        upload.put_manifest(client, target.tag, media_type, data, what)
    return pushes.Pushed(target, digests.of(data), len(data), media_type)


def _send(
    ctx: Context, client: Client, member: Member, how: Packing, tls_verify: bool, tell: Tell
) -> Member:
    """One member to the repository of `client`; the member as it is there."""
    if member.image:
        try:
            pushed = pushes.push_member(ctx, client, member.image, how)
        except ImageError as e:
            if e.code != "RL-IMAGE-NOT-FOUND":
                raise
            raise ImageError(
                f"{member.reference or member.image[:19]} is in the list, but not here any more",
                remedy="take it out (rl manifest remove) or add it again",
                code="RL-MANIFEST-MEMBER",
            ) from e
        tell(f"{client.name.name}@{pushed.digest}", "pushed")
        about = {
            "mediaType": pushed.media_type,
            "digest": pushed.digest,
            "size": pushed.size,
        }
        return Member({**member.descriptor, **about}, member.reference, member.image)
    source = reference.parse(member.reference)
    done = "exists"
    if not _has_manifest(client, member.digest):
        with Client(ctx, source, tls_verify=tls_verify) as origin:
            _copy(ctx, origin, client, member.digest, _NESTED_MAX)
        done = "copied"
    tell(f"{client.name.name}@{member.digest}", done)
    return member


def _has_manifest(client: Client, digest: str) -> bool:
    url = client.url(f"manifests/{digest}")
    response = client.send("HEAD", url, {"Accept": ", ".join(manifests.ACCEPTED)})
    client.transport.done(response)
    return response.status == 200


def _copy(ctx: Context, origin: Client, client: Client, digest: str, depth: int) -> None:
    """A manifest, or an index with all that it lists, of any kind, from one repository to
    another."""
    what = f"manifest {digest[7:19]} of {origin.name.familiar_name}"
    url = origin.url(f"manifests/{digest}")
    response = origin.get(url, {"Accept": ", ".join(manifests.ACCEPTED)}, what)
    data = origin.transport.read(response, documents.DOCUMENT_MAX)
    digests.verify(data, digest, what)
    document = documents.load(data, what)
    media_type = documents.optional(document, "mediaType", str, what, "")
    media_type = media_type or response.headers.get("Content-Type", "")
    if "manifests" in document:
        if not depth:
            raise BadDocument(f"{what}: indexes are nested too deep")
        for entry in documents.objects(document, "manifests", what):
            inner = Descriptor.from_json(entry, what).digest
            if not _has_manifest(client, inner):
                _copy(ctx, origin, client, inner, depth - 1)
    else:
        listed = documents.objects(document, "layers", what) if document.get("layers") else []
        config = documents.require(document, "config", dict, what)
        for entry in (config, *listed):
            blob = Descriptor.from_json(entry, what)
            if not manifests.is_foreign(blob):
                _copy_blob(ctx, origin, client, blob)
    upload.put_manifest(client, digest, media_type, data, what)


def _copy_blob(ctx: Context, origin: Client, client: Client, blob: Descriptor) -> None:
    what = f"blob {blob.digest[7:19]} of {origin.name.familiar_name}"
    if upload.exists(client, blob.digest):
        return
    same = origin.source.domain == client.source.domain
    if same and upload.mount(client, blob.digest, [origin.source.path]):
        return
    with atomic.TemporaryDirectory(ctx.paths, ctx) as directory:
        path = f"{directory}/blob"
        try:
            with open(path, "xb") as file, origin.blob(blob, what) as stream:
                while chunk := stream.read(_CHUNK):
                    file.write(chunk)
        except OSError as e:
            raise atomic.store_error(e, f"write {path}") from e
        upload.upload(client, blob, path, what, lambda _: None)


def inspect(ctx: Context, text: str, *, tls_verify: bool = True) -> Raw:
    """The manifest or index that a registry has under that name.  Raises RegistryError."""
    names = registries_conf.candidates(ctx, text.removeprefix(_REMOTE))
    with sources.opened(ctx, names, tls_verify=tls_verify) as (_, found):
        return Raw(found.document.media_type, found.document.data)


def details(
    ctx: Context, text: str, found: Raw, *, tls_verify: bool = True
) -> dict[str, Any] | list[dict[str, Any]]:
    """What `docker manifest inspect -v` says: a manifest, or those that an index has.

    Source: docker/cli, cli/manifest/types.
    """
    named = reference.parse(text.removeprefix(_REMOTE)).tagged()
    with Client(ctx, named, tls_verify=tls_verify) as client:
        document = manifests.parse(found.data, found.media_type, f"manifest of {text}")
        if isinstance(document, Manifest):
            descriptor = describe(client, document, named)
            return detail(named.canonical(), descriptor, found)
        listed = []
        for entry in json.loads(found.data)["manifests"]:
            one = Reference(named.domain, named.path, "", str(entry["digest"]))
            listed.append(detail(one.canonical(), entry, _any(client, one)))
        return listed


def _any(client: Client, named: Reference) -> Raw:
    """A manifest by digest, an attestation's or an artifact's too."""
    what = f"manifest of {named.familiar()}"
    url = client.url(f"manifests/{named.digest}")
    response = client.get(url, {"Accept": ", ".join(manifests.ACCEPTED)}, what)
    media_type = response.headers.get("Content-Type", "")
    data = client.transport.read(response, documents.DOCUMENT_MAX)
    digests.verify(data, named.digest, what)
    return Raw(media_type, data)


def detail(name: str, descriptor: dict[str, Any], found: Raw) -> dict[str, Any]:
    """One of details()."""
    document = documents.load(found.data, f"manifest of {name}")
    kind = str(document.get("mediaType") or found.media_type)
    key = "SchemaV2Manifest" if kind == manifests.DOCKER_MANIFEST else "OCIManifest"
    return {"Ref": name, "Descriptor": descriptor, key: document}
