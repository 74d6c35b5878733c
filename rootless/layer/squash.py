"""A layer's directory as one squashfs file that overlayfs can use as it is.

sqfstar(1) packs a tar stream that a worker writes, so the owners in the file are those of the
image, whatever the mapping of who makes it.  Whiteouts stay what they are on disk: devices 0/0 and
user.overlay.opaque.
"""

import hashlib
import os
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from rootless.errors import StoreError
from rootless.layer import tarstream, whiteout
from rootless.layer.archive import Writer, xattrs_of
from rootless.layer.tarstream import Member
from rootless.layer.tarwriter import END
from rootless.layer.userns import Worker
from rootless.linux import process
from rootless.store import shared

if TYPE_CHECKING:
    from rootless.context import Context

_MEMORY = "256M"  # of sqfstar; its default is a quarter of the machine's
_CAPABILITY = b"security.capability"


class _OverlayWriter(Writer):
    """The tree as overlayfs has it on disk."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        super().__init__(write, layer=True)
        self.max_id = 0
        self.skipped_capabilities = 0

    def opaque(self, prefix: bytes, status: os.stat_result) -> None:
        pass  # its extended attribute says so

    def hidden(self, prefix: bytes, name: bytes, status: os.stat_result) -> None:
        member = Member(prefix + name, tarstream.CHARACTER)
        member.mode = 0
        member.mtime_ns = status.st_mtime_ns
        self.member(member)

    def xattrs(self, fd: int) -> dict[bytes, bytes]:
        # squashfuse up to 0.5 gives security.* out as trusted.*, on which a copy-up fails.
        found = xattrs_of(
            fd,
            lambda name: (
                name == whiteout.OPAQUE_XATTR
                or (name.startswith(b"user.") and not whiteout.is_reserved_xattr(name))
                or name == _CAPABILITY
            ),
        )
        if found.pop(_CAPABILITY, None) is not None:
            self.skipped_capabilities += 1
        return found

    def member(self, member: Member) -> None:
        self.max_id = max(self.max_id, member.uid, member.gid)
        super().member(member)


def write_overlay(root_fd: int, write: Callable[[bytes], object]) -> dict[str, int]:
    """The worker's part: mode (of the root), max_id, skipped_capabilities."""
    writer = _OverlayWriter(write)
    writer.tree(root_fd)
    write(END)
    return {
        "mode": os.fstat(root_fd).st_mode & 0o7777,
        "max_id": writer.max_id,
        "skipped_capabilities": writer.skipped_capabilities,
    }


def pack(ctx: "Context", directory: str, staged: str) -> dict[str, Any]:
    """Make the squashfs files of the layer `directory` in the directory `staged`.

    Returns what write_overlay() says, and "files": name -> {"size", "sha256"}.
    Raises HostError RL-HOST-SQUASHFS-TOOLS, StoreError.
    """
    sqfstar = process.need_program(
        "sqfstar", ctx.environ, "ask the admin for: apt-get install squashfs-tools",
        "RL-HOST-SQUASHFS-TOOLS",
    )  # fmt: skip
    found = _pack(ctx, sqfstar, directory, f"{staged}/{shared.WITH_OWNERS}", [])
    names = [shared.WITH_OWNERS]
    if found["max_id"]:
        _pack(ctx, sqfstar, directory, f"{staged}/{shared.ROOT_ONLY}", ["-all-root"])
        names.append(shared.ROOT_ONLY)
    return {**found, "files": {name: describe(f"{staged}/{name}") for name in names}}


def describe(path: str) -> dict[str, object]:
    """Size and digest of a file, synced."""
    with open(path, "rb", buffering=0) as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"size": os.fstat(file.fileno()).st_size, "sha256": digest}


def _pack(
    ctx: "Context", sqfstar: str, directory: str, target: str, options: list[str]
) -> dict[str, int]:
    mode = f"{os.stat(directory).st_mode & 0o7777:o}"
    argv = [sqfstar, "-no-progress", "-quiet", "-comp", "lz4", "-mkfs-time", "0", "-mem", _MEMORY,
            "-root-mode", mode, *options, target]  # fmt: skip
    arguments: dict[str, object] = {"directory": directory}
    with Worker(ctx, "overlay_archive", arguments, stdout=subprocess.PIPE) as worker:
        done = subprocess.run(
            argv,
            stdin=worker.process.stdout,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=dict(ctx.environ),
            check=False,
        )
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip().splitlines() or ["it was killed"]
            raise StoreError(
                f"sqfstar could not write {target}: {words[-1]}",
                remedy="look for space there, and whether the directory is yours",
                code="RL-STORE-UNWRITABLE",
            )
        found = cast("dict[str, int]", worker.result())
    os.chmod(target, 0o644)
    return found
