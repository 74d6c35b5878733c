"""Images made in memory, bit for bit as a test wants them."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from dataclasses import dataclass, field
from typing import Any

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def tar(files: dict[str, bytes | str | None], *, mode: int = 0o644, uid: int = 0) -> bytes:
    """A tar archive: path to content; None is a directory, "-> x" a symlink to x."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.uid = member.gid = uid
            member.mtime = 1_700_000_000
            member.mode = mode
            data = b""
            if content is None:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(content, str) and content.startswith("-> "):
                member.type, member.linkname = tarfile.SYMTYPE, content[3:]
            else:
                data = content.encode() if isinstance(content, str) else content
                member.size = len(data)
                if data.startswith((b"#!", b"\x7fELF")):
                    member.mode = 0o755
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def busybox_tar() -> bytes:
    """A root file system of the host's static busybox."""
    with open("/usr/bin/busybox", "rb") as f:
        program = f.read()
    files: dict[str, bytes | str | None] = {
        "bin": None,
        "etc": None,
        "tmp": None,
        "root": None,
        "home": None,
        "bin/busybox": program,
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000:Ann:/home/ann:/bin/sh\n",
        "etc/group": "root:x:0:\nann:x:1000:\nstaff:x:50:ann\n",
    }
    applets = subprocess.run(["/usr/bin/busybox", "--list"], capture_output=True, text=True)
    for applet in applets.stdout.split():
        files.setdefault(f"bin/{applet}", "-> busybox")
    return tar(files)


@dataclass
class Image:
    """An image: uncompressed layers, bottom first, and the "config" object of its config."""

    layers: list[bytes]
    config: dict[str, Any] = field(default_factory=dict)
    architecture: str = "amd64"
    docker: bool = False  # Docker schema 2 media types instead of the OCI ones
    compression: str = "gzip"  # or "zstd", or "" for none
    foreign: bool = False  # layers that registries are not to distribute
    urls: list[str] = field(default_factory=list)  # where else each layer is

    def layer_blobs(self) -> list[tuple[str, bytes]]:
        """Media type and stored bytes of each layer."""
        if self.foreign:
            kind = OCI_LAYER.replace("layer.", "layer.nondistributable.")
            return [(f"{kind}+gzip", gzip.compress(layer, 1, mtime=0)) for layer in self.layers]
        if self.docker:
            return [(DOCKER_LAYER, gzip.compress(layer, 1, mtime=0)) for layer in self.layers]
        if self.compression == "gzip":
            return [
                (f"{OCI_LAYER}+gzip", gzip.compress(layer, 1, mtime=0)) for layer in self.layers
            ]
        if self.compression == "zstd":
            from backports import zstd

            return [(f"{OCI_LAYER}+zstd", zstd.compress(layer)) for layer in self.layers]
        return [(OCI_LAYER, layer) for layer in self.layers]

    def config_blob(self) -> bytes:
        return json.dumps(
            {
                "created": "2024-01-02T03:04:05Z",
                "architecture": self.architecture,
                "os": "linux",
                "config": self.config,
                "rootfs": {"type": "layers", "diff_ids": [digest(x) for x in self.layers]},
                "history": [{"created_by": "test"} for _ in self.layers],
            }
        ).encode()

    def manifest(self) -> bytes:
        config = self.config_blob()
        return json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": self.media_type,
                "config": {
                    "mediaType": DOCKER_CONFIG if self.docker else OCI_CONFIG,
                    "digest": digest(config),
                    "size": len(config),
                },
                "layers": [
                    {"mediaType": kind, "digest": digest(blob), "size": len(blob)}
                    | ({"urls": self.urls} if self.urls else {})
                    for kind, blob in self.layer_blobs()
                ],
            }
        ).encode()

    @property
    def media_type(self) -> str:
        return DOCKER_MANIFEST if self.docker else OCI_MANIFEST

    @property
    def id(self) -> str:
        return digest(self.config_blob())
