"""--output: the result of a build as a directory, a tar archive, or an archive of the image.

An image archive is an OCI layout; type=docker has Docker's manifest.json beside it, as `docker
save` writes it since 25, so that `docker load` and `podman load` read both.
"""

import hashlib
import os
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from rootless.build import image
from rootless.build.option_forms import Output
from rootless.errors import RlError
from rootless.layer import archive, compression, pack
from rootless.linux import copytree, mount
from rootless.oci import manifest as manifests
from rootless.oci import reference
from rootless.runtime import layer_copies, rootfs
from rootless.store import atomic, blobs, shared_mounts
from rootless.store.images import reading

if TYPE_CHECKING:
    from rootless.context import Context

_CHUNK = 1 << 20
_MEDIA_TYPES = {
    "gzip": manifests.OCI_LAYER_GZIP,
    "zstd": manifests.OCI_LAYER_ZSTD,
    "uncompressed": manifests.OCI_LAYER,
}

_KINDS = {
    compression.GZIP: manifests.OCI_LAYER_GZIP,
    compression.ZSTD: manifests.OCI_LAYER_ZSTD,
    compression.PLAIN: manifests.OCI_LAYER,
}


def write(ctx: "Context", output: Output, record: dict[str, Any], names: Iterable[str]) -> None:
    """Write one output of the image `record`; `names` are for archives of the image.

    The caller has one thread.  Raises RlError (RL-BUILD-OUTPUT).
    """
    with reading(ctx.paths):
        if output.type == "local":
            _local(ctx, output.dest, record)
        elif output.type == "tar":
            with _Target(output.dest) as file:
                _tar(ctx, file, record)
        else:
            _image(ctx, output, record, list(names))


def _failure(what: str, e: OSError) -> RlError:
    return RlError(
        f"cannot write {what}: {e.strerror}",
        remedy="check the path of --output, and the space there",
        code="RL-BUILD-OUTPUT",
    )


class _Target:
    """The file `path`, put in its place when it is whole; "-" is standard output."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._part = f"{path}.part-{os.getpid()}"

    def __enter__(self) -> BinaryIO:
        if self._path == "-":
            self._file: BinaryIO = open(1, "wb", closefd=False)
            return self._file
        try:
            if os.path.exists(self._path) and not os.path.isfile(self._path):
                self._part = self._path  # a pipe or a device
            self._file = open(self._part, "wb")
        except OSError as e:
            raise _failure(self._path, e) from e
        return self._file

    def __exit__(self, kind: object, value: object, traceback: object) -> None:
        try:
            self._file.close()
            if self._path != "-" and self._part != self._path and kind is None:
                os.rename(self._part, self._path)
        except OSError as e:
            raise _failure(self._path, e) from e
        finally:
            if self._path != "-" and self._part != self._path:
                with suppress(OSError):
                    os.unlink(self._part)
        if isinstance(value, OSError) and not isinstance(value, BrokenPipeError):
            raise _failure(self._path, value) from value


# The file system.


def _with_root(
    ctx: "Context", record: dict[str, Any], work: Callable[[int], object], what: str
) -> None:
    """Run `work(root_fd)` as root of a user namespace where the image is mounted."""
    layers = [f"layers/{d.rpartition(':')[2]}/diff" for d in reversed(record["layers"])]
    with atomic.TemporaryDirectory(ctx.paths, ctx) as temporary:
        for name in ("upper", "work", "root", "links", "empty"):
            os.mkdir(f"{temporary}/{name}", 0o755)
        relative = os.path.relpath(temporary, ctx.paths.store)
        overlaid = rootfs.storage_driver(ctx, "") == "overlay"
        if not overlaid:
            whole = [f"{ctx.paths.store}/{layer}" for layer in reversed(layers)]
            layer_copies.flatten(ctx, whole, f"{temporary}/root")

        def inside() -> object:
            root = f"{temporary}/root"
            if overlaid:
                mount.overlay(
                    layers or [f"{relative}/empty"],
                    root,
                    upper=f"{relative}/upper",
                    work=f"{relative}/work",
                    base=ctx.paths.store,
                    links=f"{temporary}/links",
                )
            fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
            try:
                work(fd)
            except OSError as e:
                raise _failure(what, e) from e
            finally:
                os.close(fd)
            return True

        read = [f"{ctx.paths.store}/{layer}" for layer in layers] if overlaid else []
        shared_mounts.run_in_worker(ctx, read, inside, mounts=True)


def _tar(ctx: "Context", file: BinaryIO, record: dict[str, Any]) -> None:
    def work(root_fd: int) -> None:
        archive.write_tree(root_fd, file.write)
        file.flush()

    _with_root(ctx, record, work, "the archive")


def _local(ctx: "Context", directory: str, record: dict[str, Any]) -> None:
    """Copy everything into `directory`; what it has besides stays.  All of it is the caller's."""
    try:
        os.makedirs(directory, exist_ok=True)
        target_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as e:
        raise _failure(directory, e) from e

    def work(root_fd: int) -> None:
        status = os.fstat(target_fd)
        # The source is a mounted image without whiteouts: "apply" replaces what is in the way.
        copytree.Copy(overlay="apply", owner=lambda uid, gid: (0, 0)).directory(root_fd, target_fd)
        os.fchmod(target_fd, status.st_mode & 0o7777)

    try:
        _with_root(ctx, record, work, directory)
    finally:
        os.close(target_fd)


# The image.


@dataclass(frozen=True, slots=True)
class _Blob:
    """A blob of the archive: its bytes, or a file that has them."""

    media_type: str
    digest: str
    size: int
    data: bytes = b""
    path: str = ""

    def descriptor(self) -> dict[str, object]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


def _of(media_type: str, data: bytes) -> _Blob:
    return _Blob(media_type, f"sha256:{hashlib.sha256(data).hexdigest()}", len(data), data)


def _image(ctx: "Context", output: Output, record: dict[str, Any], names: list[str]) -> None:
    if output.attrs.get("name"):
        names = [
            reference.parse(name).tagged().canonical()
            for name in output.attrs["name"].split(",")
            if name
        ]
    with atomic.TemporaryDirectory(ctx.paths, ctx) as temporary:
        manifest, config, layers = _blobs(ctx, output, record, temporary)
        files = _layout(output.type, manifest, config, layers, names, record)
        if output.attrs.get("tar", "true") in ("false", "0"):
            _write_directory(output.dest, files)
            return
        with _Target(output.dest) as file:
            _write_archive(file, files)


def _blobs(
    ctx: "Context", output: Output, record: dict[str, Any], temporary: str
) -> tuple[_Blob, _Blob, list[_Blob]]:
    """Manifest, config and layers: the store's own where they are there and packed as asked."""
    kind = output.attrs.get("compression", "")
    anew = bool(kind) and output.attrs.get("force-compression") in ("true", "1")
    config = _of(manifests.OCI_CONFIG, blobs.read(ctx.paths, record["id"]))
    stored = _stored_layers(ctx, record)
    layers: list[_Blob] = []
    for diff_id, blob in zip(record["layers"], stored, strict=True):
        wanted = _MEDIA_TYPES[kind or "gzip"]
        if blob is not None and not (anew and blob.media_type != wanted):
            layers.append(blob)
        else:
            layers.append(_pack(ctx, diff_id, blob, kind or "gzip", temporary))
    if layers == stored and record.get("digest") and blobs.has(ctx.paths, record["digest"]):
        data = blobs.read(ctx.paths, record["digest"])
        return _of(record["media_type"], data), config, layers
    document = {
        "schemaVersion": 2,
        "mediaType": manifests.OCI_MANIFEST,
        "config": config.descriptor(),
        "layers": [layer.descriptor() for layer in layers],
    }
    return _of(manifests.OCI_MANIFEST, image.to_json(document)), config, layers


def _stored_layers(ctx: "Context", record: dict[str, Any]) -> "list[_Blob | None]":
    """The layers' blobs; None for one that only its directory has."""
    count = len(record["layers"])
    digests = [str(digest) for digest in record.get("layer_blobs") or ()]
    return [_stored(ctx, digest) for digest in digests] if len(digests) == count else [None] * count


def _stored(ctx: "Context", digest: str) -> "_Blob | None":
    path = ctx.paths.blob(digest)
    try:
        with open(path, "rb") as file:
            kind = compression.kind_of(file.read(512))
            size = os.fstat(file.fileno()).st_size
    except OSError:
        return None
    media_type = _KINDS.get(kind)
    return _Blob(media_type, digest, size, path=path) if media_type else None


def _pack(ctx: "Context", diff_id: str, stored: "_Blob | None", kind: str, temporary: str) -> _Blob:
    """A layer as a blob in `temporary`: from its blob, or its directory where there is none."""
    path = f"{temporary}/{diff_id.rpartition(':')[2]}"
    checked = hashlib.sha256()
    with open(path, "wb") as file:
        sink = _compressor(file, kind)
        chunks = pack.tar_of(ctx, ctx.paths.layer_diff(diff_id))
        if stored is not None:
            # Who made it wrote the archive in a way of its own, which the diffID is about.
            chunks = _unpacked(ctx, stored)
        for chunk in chunks:
            checked.update(chunk)
            sink.write(chunk)
        if sink is not file:
            sink.close()
    if f"sha256:{checked.hexdigest()}" != diff_id:
        raise RlError(
            f"the layer {diff_id[7:19]} is not what it was",
            remedy="its directory in the store was changed: pull or build the image again",
            code="RL-STORE-CORRUPT",
        )
    with open(path, "rb") as done:
        digest = hashlib.file_digest(done, "sha256").hexdigest()
    return _Blob(_MEDIA_TYPES[kind], f"sha256:{digest}", os.stat(path).st_size, path=path)


def _unpacked(ctx: "Context", blob: _Blob) -> Iterator[bytes]:
    with blobs.VerifiedFile(ctx.paths, blob.digest) as file:
        source = compression.Decompressed(file, blob.media_type)
        while chunk := source.read(_CHUNK):
            yield chunk


def _compressor(file: BinaryIO, kind: str) -> Any:
    if kind == "uncompressed":
        return file
    if kind == "zstd":
        try:
            from compression import zstd  # type: ignore[import-not-found]  # Python 3.14
        except ImportError:
            from backports import zstd
        return zstd.ZstdFile(file, "wb")
    return compression.open_gzip_writer(cast("Any", file))


def _layout(
    kind: str,
    manifest: _Blob,
    config: _Blob,
    layers: list[_Blob],
    names: list[str],
    record: dict[str, Any],
) -> "dict[str, bytes | str]":
    """The files of the layout: name -> bytes, or the path of a file that has them."""
    described = manifest.descriptor()
    platform = record.get("platform") or {}
    described["platform"] = {key: value for key, value in platform.items() if value}
    entries = []
    for name in names:
        annotations = {
            "io.containerd.image.name": name,
            "org.opencontainers.image.ref.name": reference.parse(name).tag,
        }
        entries.append({**described, "annotations": annotations})
    index = {
        "schemaVersion": 2,
        "mediaType": manifests.OCI_INDEX,
        "manifests": entries or [described],
    }
    files: dict[str, bytes | str] = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": image.to_json(index),
    }
    for blob in (manifest, config, *layers):
        files[_place(blob)] = blob.path or blob.data
    if kind == "docker":
        entry = {
            "Config": _place(config),
            "RepoTags": [reference.parse(name).familiar() for name in names] or None,
            "Layers": [_place(layer) for layer in layers],
        }
        files["manifest.json"] = image.to_json([entry])
    return files


def _place(blob: _Blob) -> str:
    return f"blobs/{blob.digest.replace(':', '/')}"


def _write_directory(directory: str, files: "dict[str, bytes | str]") -> None:
    """An OCI layout as a directory; index.json comes last."""
    try:
        os.makedirs(f"{directory}/blobs/sha256", exist_ok=True)
        for name in sorted(files, key=lambda name: (name == "index.json", name)):
            content = files[name]
            if isinstance(content, str):
                shutil.copyfile(content, f"{directory}/{name}")
            else:
                atomic.write_bytes(f"{directory}/{name}", content, 0o644)
    except OSError as e:
        raise _failure(directory, e) from e


def _write_archive(file: BinaryIO, files: "dict[str, bytes | str]") -> None:
    """A tar archive: the same bytes for the same image."""
    import io

    with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as target:
        for name in ("blobs", "blobs/sha256"):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            target.addfile(member)
        for name in sorted(files):
            content = files[name]
            member = tarfile.TarInfo(name)
            member.mode = 0o644
            if isinstance(content, str):
                with open(content, "rb", buffering=_CHUNK) as source:
                    member.size = os.fstat(source.fileno()).st_size
                    target.addfile(member, source)
            else:
                member.size = len(content)
                target.addfile(member, io.BytesIO(content))
