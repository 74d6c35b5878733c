"""Whether layers are what their diffIDs say, and damaged ones unpacked again.

A layer that was built here is packed, and hashed: that is its diffID.  One that was received has
its blob, which is unpacked beside it and compared: the archive's own form is not known any more.
A layer without its blob (another image brought it in another form) is compared with its size.
"""

import os
import stat
from typing import TYPE_CHECKING

from rootless.errors import RlError
from rootless.layer import pack, unpack
from rootless.linux.namespaces import run_in_user_namespace
from rootless.paths import Paths
from rootless.store import atomic, blobs, containers, images, layers, mapping, shared
from rootless.store.check import Problem

if TYPE_CHECKING:
    from rootless.context import Context

_CHUNK = 1 << 20


def problems(ctx: "Context") -> list[Problem]:
    """The layers whose content is not what it was.  Takes as long as unpacking all of them."""
    known = blobs_of(ctx)
    found = []
    for diff_id in layers.list_layers(ctx.paths):
        if not layers.exists(ctx.paths, diff_id) or not os.path.isdir(
            ctx.paths.layer_diff(diff_id)
        ):
            continue  # store/check.py tells
        if shared.is_shared(ctx.paths.layer_diff(diff_id)):
            continue  # a file of a shared store, which that has a digest of: store/check.py
        why = _why_damaged(ctx, diff_id, known.get(diff_id, ""))
        if why:
            found.append(Problem("layer", diff_id, f"layer {diff_id[7:19]}: {why}"))
    return found


def blobs_of(ctx: "Context") -> dict[str, str]:
    """diffID -> the digest of a blob of it that is in the store."""
    found: dict[str, str] = {}
    for record in _records(ctx):
        pairs = zip(_list(record.get("layers")), _list(record.get("layer_blobs")), strict=False)
        for diff_id, blob in pairs:
            if diff_id != blob and blobs.has(ctx.paths, str(blob)):
                found.setdefault(str(diff_id), str(blob))
    return found


def users(ctx: "Context", diff_id: str) -> tuple[list[str], list[containers.Container]]:
    """The images (a name, or the short ID) and the containers that have the layer."""
    having = [one for one in _records(ctx) if diff_id in _list(one.get("layers"))]
    named = []
    for record in having:
        names = images.names_of(ctx.paths, str(record["id"]))
        named += names or [str(record["id"])[7:19]]
    found = []
    for one in containers.list_all(ctx):
        try:
            held = one.runtime_config()["rl"]["layers"]
        except (OSError, RlError, KeyError):
            continue
        if diff_id in held:
            found.append(one)
    return named, found


def repair(ctx: "Context", problem: Problem) -> str:
    """Unpack the layer again, or take it out so that a pull brings it; what was done.

    Nothing is done, and "" returned, as long as a container runs on it.
    """
    diff_id = problem.key
    _, held_by = users(ctx, diff_id)
    if any(one.running for one in held_by):
        return ""
    blob = blobs_of(ctx).get(diff_id, "")
    with atomic.TemporaryDirectory(ctx.paths, ctx) as directory:
        fresh = ""
        try:
            fresh = _unpack(ctx, diff_id, blob, directory) if blob else ""
        except RlError:
            pass  # the blob is damaged, too
        os.makedirs(f"{directory}/old", exist_ok=True)
        try:
            if os.path.lexists(ctx.paths.layer(diff_id)):
                os.rename(ctx.paths.layer(diff_id), f"{directory}/old/layer")
            if fresh:
                os.rename(fresh, ctx.paths.layer(diff_id))
        except OSError as e:
            raise atomic.store_error(e, f"replace the layer {diff_id[7:19]}") from e
    return "unpacked again from its blob" if fresh else "removed"


def _why_damaged(ctx: "Context", diff_id: str, blob: str) -> str:
    """ "" for a sound layer."""
    meta = layers.read_meta(ctx.paths, diff_id)
    place = os.path.realpath(ctx.paths.layer_diff(diff_id))  # a linked one, where it lies
    if "tar_size" in meta:
        return "" if pack.diff_id_of(ctx, place)[0] == diff_id else "its files have changed"
    if not blob:
        same = _size(ctx, place) == meta.get("size")
        return "" if same else "its size is another; it has no blob to compare with"
    with atomic.TemporaryDirectory(ctx.paths, ctx) as directory:
        try:
            fresh = _unpack(ctx, diff_id, blob, directory)
        except RlError:
            # Its blob is at fault, which store/check.py tells.
            same = _size(ctx, place) == meta.get("size")
            return "" if same else "its size is another"
        path = _difference(ctx, f"{fresh}/diff", place)
    return f"{path} is not what it was" if path else ""


def _unpack(ctx: "Context", diff_id: str, blob: str, directory: str) -> str:
    """The layer's directory, made of its blob in a little store of its own.  Raises RlError."""
    scratch = Paths(f"{directory}/store", ctx.paths.runtime)
    for needed in (scratch.tmp, scratch.layers):
        os.makedirs(needed, 0o700, exist_ok=True)
    with blobs.VerifiedFile(ctx.paths, blob) as file:
        unpack.unpack(ctx, scratch, file, "", diff_id)
    return scratch.layer(diff_id)


def _size(ctx: "Context", top: str) -> int:
    """The sum of the file sizes; a hard link counts once, as in the layer's record."""

    def work() -> int:
        seen: set[int] = set()
        total = 0
        for _, status in _walk(top):
            if stat.S_ISREG(status.st_mode) and status.st_ino not in seen:
                seen.add(status.st_ino)
                total += status.st_size
        return total

    answer = run_in_user_namespace(mapping.default_map(ctx), ctx.environ, work)
    assert isinstance(answer, int)
    return answer


def _difference(ctx: "Context", expected: str, actual: str) -> str:
    """The first path that differs, "" for none."""

    def work() -> str:
        wanted = dict(_walk(expected))
        for path, status in _walk(actual):
            other = wanted.pop(path, None)
            if other is None or not _is_same(f"{expected}{path}", other, f"{actual}{path}", status):
                return path or "/"
        return next(iter(wanted), "")

    return str(run_in_user_namespace(mapping.default_map(ctx), ctx.environ, work))


def _walk(top: str) -> "list[tuple[str, os.stat_result]]":
    """Everything in a directory, itself included: (path that begins with a slash, lstat)."""
    found = [("", os.lstat(top))]
    pending = [top]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                found.append((entry.path[len(top) :], status))
                if stat.S_ISDIR(status.st_mode):
                    pending.append(entry.path)
    return found


def _is_same(expected: str, wanted: os.stat_result, actual: str, found: os.stat_result) -> bool:
    if (wanted.st_mode, wanted.st_uid, wanted.st_gid, wanted.st_rdev) != (
        found.st_mode, found.st_uid, found.st_gid, found.st_rdev
    ):  # fmt: skip
        return False
    if _xattrs(expected) != _xattrs(actual):
        return False
    if stat.S_ISLNK(wanted.st_mode):
        return os.readlink(expected) == os.readlink(actual)
    if not stat.S_ISREG(wanted.st_mode):
        return True
    if wanted.st_size != found.st_size:
        return False
    with open(expected, "rb", buffering=0) as one, open(actual, "rb", buffering=0) as other:
        while chunk := one.read(_CHUNK):
            if chunk != other.read(_CHUNK):
                return False
    return True


def _xattrs(path: str) -> dict[str, bytes]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
        return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
    except OSError:
        return {}


def _records(ctx: "Context") -> list[dict[str, object]]:
    """The records that can be read."""
    found = []
    for name in os.listdir(ctx.paths.images_by_id):
        if name.endswith(".json") and not atomic.is_temporary(name):
            try:
                found.append(images.resolve(ctx.paths, f"sha256:{name.removesuffix('.json')}"))
            except RlError:
                continue
    return found


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
