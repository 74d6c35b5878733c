"""Images as files: an OCI layout in a tar archive or a directory, with Docker's manifest.json.

`docker save` has written both into one archive since 25: `docker load`, `podman load` and skopeo
read it, each in its own way.  Several images share their blobs.
Source: image-spec v1.1 image-layout.md; moby image/tarexport.
"""

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from rootless.errors import RlError
from rootless.layer.export import Export, Packing
from rootless.oci import digest as digests
from rootless.oci import manifest as manifests
from rootless.oci import reference
from rootless.store import image_manifests, images
from rootless.store.leases import Lease

if TYPE_CHECKING:
    from rootless.context import Context

FORMATS = ("docker-archive", "oci-archive", "docker-dir", "oci-dir")
_CHUNK = 1 << 20
_IMAGE_NAME = "io.containerd.image.name"  # Docker's and containerd's annotation
_REF_NAME = "org.opencontainers.image.ref.name"

# What to write: name in the archive -> bytes, or the path of a file that has them.
Files = dict[str, "bytes | str"]


def collect(
    ctx: "Context",
    wanted: list[tuple[dict[str, Any], list[str]]],
    lease: Lease,
    *,
    docker: bool,
    how: Packing = Packing(),  # noqa: B008 - a constant
) -> Files:
    """The files of an archive of these images, each with its canonical names, perhaps none.

    The images are leased; `how` is about layers without a blob.  Raises StoreError.
    """
    files: Files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    entries: list[dict[str, object]] = []
    docker_entries: list[dict[str, object]] = []
    repositories: dict[str, dict[str, str]] = {}
    for record, names in wanted:
        export = Export(ctx, record, lease.path, how)
        packed = []
        for layer in export.layers:
            descriptor, path = export.pack(layer)
            files[_place(descriptor.digest)] = path
            packed.append(descriptor)
        media_type, data = export.manifest(packed)
        config = digests.of(export.config)
        files[_place(config)] = export.config
        files[_place(digests.of(data))] = data
        entries += _index_entries(record, names, media_type, data)
        docker_entries.append(
            {
                "Config": _place(config),
                "RepoTags": [reference.parse(name).familiar() for name in names] or None,
                "Layers": [_place(one.digest) for one in packed],
            }
        )
        for name in names:
            named = reference.parse(name)
            top = packed[-1].digest if packed else config
            repositories.setdefault(named.familiar_name, {})[named.tag] = top[7:]
    index = {"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": entries}
    files["index.json"] = _json(index)
    if docker:
        files["manifest.json"] = _json(docker_entries)
        if repositories:
            files["repositories"] = _json(repositories)
    return files


def collect_index(
    ctx: "Context",
    records: list[dict[str, Any]],
    names: list[str],
    lease: Lease,
    how: Packing,
) -> Files:
    """The files of an OCI archive of one image for several platforms.  The images are leased."""
    files = collect(ctx, [(record, []) for record in records], lease, docker=False, how=how)
    inner = files["index.json"]
    assert isinstance(inner, bytes)
    files[_place(digests.of(inner))] = inner
    entries = _index_entries({}, names, manifests.OCI_INDEX, inner)
    index = {"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": entries}
    files["index.json"] = _json(index)
    return files


def lease_images(ctx: "Context", records: list[dict[str, Any]], lease: Lease) -> None:
    """Keep these images' layers and blobs.  Raises ImageError when one has gone meanwhile."""
    lease.keep(
        [layer for record in records for layer in record["layers"]],
        [digest for record in records for digest in image_manifests.digests(record)],
    )
    for record in records:
        images.resolve(ctx.paths, str(record["id"]))


def write_archive(write: Callable[[bytes], object], files: Files) -> None:
    """A tar archive, the same bytes for the same images; `write` takes its bytes."""
    with tarfile.open(
        fileobj=cast("BinaryIO", _Sink(write)), mode="w|", format=tarfile.PAX_FORMAT, bufsize=_CHUNK
    ) as target:
        for name in ("blobs", "blobs/sha256"):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            target.addfile(member)
        for name in sorted(files):
            content = files[name]
            member = tarfile.TarInfo(name)
            member.mode = 0o644
            if isinstance(content, str):
                with open(content, "rb", buffering=0) as source:
                    member.size = os.fstat(source.fileno()).st_size
                    target.addfile(member, source)
            else:
                member.size = len(content)
                target.addfile(member, io.BytesIO(content))


def write_directory(directory: str, files: Files, *, replace: bool = False) -> None:
    """A directory with these files; index.json comes last.  `replace` takes one with an image.

    Raises OSError, RlError RL-SAVE-TARGET.
    """
    os.makedirs(f"{directory}/blobs/sha256", exist_ok=True)
    if not replace and os.path.exists(f"{directory}/index.json"):
        raise RlError(
            f"{directory} has an image already",
            remedy="give another directory, or remove that one",
            code="RL-SAVE-TARGET",
        )
    for name in sorted(files, key=lambda name: (name == "index.json", name)):
        content = files[name]
        part = f"{directory}/{name}.part-{os.getpid()}"
        with open(part, "wb") as target:
            if isinstance(content, str):
                with open(content, "rb") as source:
                    shutil.copyfileobj(source, target, _CHUNK)
            else:
                target.write(content)
        os.rename(part, f"{directory}/{name}")


class _Sink:
    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        self._write(data)
        return len(data)


def _index_entries(
    record: dict[str, Any], names: list[str], media_type: str, data: bytes
) -> list[dict[str, object]]:
    platform = record.get("platform") or {}
    described: dict[str, object] = {
        "mediaType": media_type,
        "digest": digests.of(data),
        "size": len(data),
    }
    if platform:
        described["platform"] = {key: value for key, value in platform.items() if value}
    if not names:
        return [described]
    entries: list[dict[str, object]] = []
    for name in names:
        annotations = {_IMAGE_NAME: name, _REF_NAME: reference.parse(name).tag}
        entries.append({**described, "annotations": annotations})
    return entries


def _place(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
