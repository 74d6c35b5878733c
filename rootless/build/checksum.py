"""The content key of a COPY or ADD: what it reads, and never when that was changed.

Names, kinds, modes, owners where they count, link targets, extended attributes and bytes go in.
Files of contexts are hashed once: what their inode, size, mtime and ctime were is remembered with
the digest in buildcache/checksums/.  Layers never change, so the whole answer is remembered.
"""

import hashlib
import os
import stat
import time
from typing import TYPE_CHECKING

from rootless import fastjson
from rootless.build.copying import Transfer, in_worker
from rootless.build.copying_select import Layers, Source, Tree, split_pivot
from rootless.build.copying_target import owner_of, read_xattrs, storage_failure
from rootless.build.dockerfile.ignore import Matcher
from rootless.build.wildcards import has_wildcards
from rootless.errors import RlError
from rootless.layer.view import Node, View
from rootless.store import atomic

if TYPE_CHECKING:
    from rootless.context import Context

# A file changed right after it was hashed may have the same times: the kernel's clock for them
# ticks every 4 ms (CONFIG_HZ=250), or 10.  Such a digest is not remembered.
_RACY_NS = 20_000_000
_FORGET = 20_000  # files
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


def checksums_directory(ctx: "Context") -> str:
    return f"{ctx.paths.store}/buildcache/checksums"


def transfer_digest(ctx: "Context", transfer: Transfer) -> str:
    """ "sha256:…" of everything that decides what perform() writes, but for the layers below.

    Two transfers with one digest write the same.  Raises BuildError as perform() does for sources
    that are not there.  The caller has one thread.
    """
    digest = hashlib.sha256()
    _line(digest, "transfer 1", _words(transfer))
    for document in transfer.documents:
        _line(digest, "document", document.name, document.content)
    try:
        for text, fetched in sorted(transfer.fetched.items()):
            if fetched.tree:
                source = Source(Tree(fetched.path), transfer.exclude)
                sums = _Sums("")
                _line(digest, "repository", text)
                _walk(digest, source, source.view.root(), sums, None)
            else:
                _line(digest, "url", text, fetched.name, _hash_file(os.open(fetched.path, _OPEN)))
        local = [text for text in transfer.sources if text not in transfer.fetched]
        if local:
            _line(digest, "local", _local(ctx, transfer, local))
    except OSError as e:
        raise storage_failure(e, "read what is to be copied") from e
    return f"sha256:{digest.hexdigest()}"


def _words(transfer: Transfer) -> str:
    """The parameters, as JSON."""
    return fastjson.dumps(
        [
            transfer.sources, transfer.target, transfer.add, transfer.chown, transfer.chmod,
            transfer.link, transfer.parents, transfer.exclude, transfer.unpack, transfer.epoch,
            isinstance(transfer.source, Layers),
        ]
    )  # fmt: skip


def _local(ctx: "Context", transfer: Transfer, sources: list[str]) -> str:
    origin = transfer.source
    if isinstance(origin, Layers):
        return _layers(ctx, transfer, origin, sources)
    path = ""
    # What was unpacked for this build has a new place each time: nothing to remember.
    if not origin.root.startswith(f"{ctx.paths.tmp}/"):
        name = hashlib.sha256(os.fsencode(origin.root)).hexdigest()
        path = f"{checksums_directory(ctx)}/{name}.json"
    sums = _Sums(path)
    result = _content(transfer, sources, sums)
    sums.save()
    return result


def _layers(ctx: "Context", transfer: Transfer, origin: Layers, sources: list[str]) -> str:
    """In the worker: the files may be anybody's."""
    path = ""
    if origin.identity:
        key = fastjson.dumps([origin.identity, sources, transfer.exclude, transfer.parents])
        path = f"{checksums_directory(ctx)}/layers-{hashlib.sha256(key.encode()).hexdigest()}.json"
        try:
            return str(atomic.read_json(path)["digest"])
        except (OSError, KeyError, RlError):
            pass

    def work() -> object:
        try:
            return _content(transfer, sources, _Sums(""))
        except OSError as e:
            raise storage_failure(e, "read what is to be copied") from e

    result = str(in_worker(ctx, work, origin.directories))
    if path:
        os.makedirs(checksums_directory(ctx), mode=0o700, exist_ok=True)
        atomic.write_json(path, {"digest": result}, sync=False)
    return result


def _content(transfer: Transfer, sources: list[str], sums: "_Sums") -> str:
    source = Source(transfer.source, transfer.exclude)
    digest = hashlib.sha256()
    for text in sources:
        _line(digest, "source", text)
        include = None
        pattern = text
        if transfer.parents:
            pattern, kept = split_pivot(text)
            include = Matcher([kept]) if kept else None
            if not has_wildcards(pattern) and not has_wildcards(kept):
                source.find(f"{pattern}/{kept}" if pattern != "/" else kept)
        for found in source.find(pattern):
            if found.node.is_directory:
                _line(digest, "directory", found.node.path if transfer.parents else "")
                _walk(digest, source, found.node, sums, include)
            else:
                _node(digest, source, found.node, found.name, sums)
    return digest.hexdigest()


def _walk(
    digest: "hashlib._Hash", source: Source, top: Node, sums: "_Sums", include: Matcher | None
) -> None:
    for relative, node in source.walk(top, include):
        _node(digest, source, node, relative, sums)


def _node(digest: "hashlib._Hash", source: Source, node: Node, name: str, sums: "_Sums") -> None:
    status = node.status
    owner = "{}:{}".format(*owner_of(node.places[0], status)) if source.keeps_owners else ""
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFLNK:
        _line(digest, name, "link", owner, node.read_link())
        return
    extra = []
    if kind == stat.S_IFREG:
        extra.append(sums.of(source.view, node))
    if kind in (stat.S_IFREG, stat.S_IFDIR):
        for key, value in sorted(read_xattrs(node.places[0]).items()):
            extra += [key, value.hex()]
    _line(digest, name, f"{status.st_mode:o}", owner, *extra)


def _line(digest: "hashlib._Hash", *words: str) -> None:
    """Words that no other words look like: each with its length."""
    text = "".join([f"{len(word)}:{word}" for word in words]) + "\n"
    digest.update(text.encode("utf-8", "surrogateescape"))


def _hash_file(fd: int) -> str:
    """The digest of what is in the open file, which is closed."""
    with open(fd, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Sums:
    """Digests of files, remembered in the file `path` ("" for not at all)."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._known: dict[str, list[object]] = {}
        self._kept: dict[str, list[object]] = {}
        self._changed = False
        self._began_ns = time.time_ns()
        if path:
            try:
                with open(path, "rb") as file:
                    known = fastjson.loads(file.read())
                if isinstance(known, dict):
                    self._known = known
            except (OSError, ValueError):
                pass  # it is made again

    def of(self, view: View, node: Node) -> str:
        """The SHA-256 of a file's bytes."""
        status = node.status
        key = [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        known = self._known.get(node.path)
        if known is not None and known[:4] == key:
            self._kept[node.path] = known
            return str(known[4])
        value = _hash_file(view.open(node, _OPEN))
        if self._path and status.st_ctime_ns < self._began_ns - _RACY_NS:
            self._kept[node.path] = [*key, value]
            self._changed = True
        return value

    def save(self) -> None:
        """Write what was learnt.  A cache that cannot be written costs time, nothing else."""
        if not self._changed:
            return
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            # Steps read different parts of a context; but what is no more is forgotten some time.
            if len(self._known) > _FORGET + 4 * len(self._kept):
                self._known = {}
            atomic.write_json(self._path, {**self._known, **self._kept}, sync=False)
        except (OSError, RlError):
            pass
