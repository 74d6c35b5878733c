"""Layers that are made member by member, unpacked into a store, and looked at."""

import gzip
import hashlib
import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path

from rootless.context import Context
from rootless.layer.unpack import unpack
from rootless.store import check, layers
from support.stores import leftovers


class Tar:
    """A layer in the making."""

    def __init__(self) -> None:
        self._out = io.BytesIO()
        self._tar = tarfile.open(
            fileobj=self._out, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape"
        )

    def add(
        self,
        name: str,
        data: bytes = b"",
        *,
        kind: bytes = tarfile.REGTYPE,
        link: str = "",
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
        mtime: int = 1_600_000_000,
        pax: dict[str, str] | None = None,
    ) -> "Tar":
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode, info.mtime = kind, link, mode, mtime
        info.uid, info.gid, info.size = uid, gid, len(data)
        info.pax_headers = pax or {}
        self._tar.addfile(info, io.BytesIO(data))
        return self

    def directory(self, name: str, mode: int = 0o755, **more: int) -> "Tar":
        return self.add(name, kind=tarfile.DIRTYPE, mode=mode, **more)

    def symlink(self, name: str, target: str) -> "Tar":
        return self.add(name, kind=tarfile.SYMTYPE, link=target, mode=0o777)

    def hard_link(self, name: str, target: str) -> "Tar":
        return self.add(name, kind=tarfile.LNKTYPE, link=target)

    def data(self) -> bytes:
        self._tar.close()
        return self._out.getvalue()


def diff_id(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def put(ctx: Context, tar: Tar) -> Path:
    """Unpack; the layer's diff directory."""
    done = unpack(ctx, ctx.paths, io.BytesIO(gzip.compress(tar.data(), 1)))
    return Path(ctx.paths.layer_diff(done.diff_id))


def inside(ctx: Context, *command: str) -> str:
    """A command's output as root of the user namespace."""
    done = subprocess.run(
        ["unshare", "--user", "--map-auto", "--map-root-user", *command],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def assert_nothing_left(ctx: Context) -> None:
    assert leftovers(ctx.paths) == []
    assert layers.list_layers(ctx.paths) == []
    assert check.check(ctx) == []


def is_whiteout(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(path: Path) -> bool:
    try:
        return os.getxattr(path, "user.overlay.opaque") == b"y"
    except OSError:
        return False
