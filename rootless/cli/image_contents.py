"""What is in the layers of an image: counted and compared by a worker, as files may belong to
subordinate IDs.  The caller has one thread.
"""

import os
import stat
from typing import TYPE_CHECKING, Any

from rootless.layer.view import Node, View, is_opaque
from rootless.oci import image_config
from rootless.records import dataclass
from rootless.store import blobs, layers, shared_mounts

if TYPE_CHECKING:
    from rootless.context import Context

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class LayerContent:
    """One layer of an image; `number` counts from 1 at the bottom."""

    number: int
    diff_id: str
    blob: str  # the digest of its blob, "" when it has none in the store
    stored: int  # bytes of that blob
    size: int  # bytes of its files
    files: int  # all that is no directory
    directories: int
    removed: int  # whiteouts and opaque directories: what it takes away from the layers below
    created_by: str


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: `kind` is "A", "C" or "D"; sizes are 0 for what is no file.

    A removed directory stands for everything in it, and its `old` size is the sum of that.
    """

    kind: str
    path: str
    old: int
    new: int


def layer_contents(ctx: "Context", record: dict[str, Any]) -> list[LayerContent]:
    """The layers, bottom first.  Raises StoreError for a damaged store."""
    diff_ids = [str(one) for one in record["layers"]]
    described = [str(one) for one in record.get("layer_blobs") or ()]
    described = described if len(described) == len(diff_ids) else [""] * len(diff_ids)
    counts = _counts(ctx, sorted(set(diff_ids)))
    words = instructions(ctx, record)
    found = []
    for position, (diff_id, blob) in enumerate(zip(diff_ids, described, strict=True)):
        files, directories, removed = counts[diff_id]
        try:
            stored = os.stat(ctx.paths.blob(blob)).st_size if blob else 0
        except OSError:
            blob, stored = "", 0
        size = layers.size(ctx.paths, diff_id)
        found.append(
            LayerContent(
                position + 1, diff_id, blob, stored, size, files, directories, removed,
                words[position],
            )
        )  # fmt: skip
    return found


def instructions(ctx: "Context", record: dict[str, Any]) -> list[str]:
    """For each layer, bottom first, what made it: "" where the history does not tell."""
    data = blobs.read(ctx.paths, str(record["id"]))
    config = image_config.parse(data, "the image's config")
    told = [
        str(entry.get("created_by") or entry.get("comment") or "")
        for entry in config.history
        if not entry.get("empty_layer")
    ]
    missing = len(config.diff_ids) - len(told)
    return (told + [""] * max(missing, 0))[: len(config.diff_ids)]


def compare(ctx: "Context", old: list[str], new: list[str]) -> list[Change]:
    """What differs between two images, given by their diffIDs, bottom first; by path.

    Where both have the same layers, nothing is looked at twice.
    """
    tops = [[ctx.paths.layer_diff(one) for one in reversed(stack)] for stack in (old, new)]

    def work() -> object:
        found = _Comparison(View(tops[0]), View(tops[1])).run()
        return [[one.kind, one.path, one.old, one.new] for one in found]

    answer = shared_mounts.run_in_worker(ctx, dict.fromkeys([*tops[0], *tops[1]]), work)
    assert isinstance(answer, list)
    return [Change(*one) for one in answer]


def _counts(ctx: "Context", diff_ids: list[str]) -> dict[str, list[int]]:
    """diffID -> [files, directories, removals]."""
    tops = {one: ctx.paths.layer_diff(one) for one in diff_ids}

    def count() -> object:
        return {one: _count(top) for one, top in tops.items()}

    if not tops:
        return {}
    found = shared_mounts.run_in_worker(ctx, tops.values(), count)
    assert isinstance(found, dict)
    return found


def _count(top: str) -> list[int]:
    files = directories = removed = 0
    pending = [top]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    directories += 1
                    removed += is_opaque(entry.path)
                    pending.append(entry.path)
                elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
                    files += 1
                else:
                    status = entry.stat(follow_symlinks=False)
                    gone = stat.S_ISCHR(status.st_mode) and status.st_rdev == 0
                    removed += gone
                    files += not gone
    return [files, directories, removed]


class _Comparison:
    def __init__(self, old: View, new: View) -> None:
        self._old = old
        self._new = new
        self._found: list[Change] = []

    def run(self) -> list[Change]:
        pending = [(_root(self._old), _root(self._new))]
        while pending:
            old, new = pending.pop()
            was = {one.path: one for one in (self._old.children(old) if old else ())}
            now = {one.path: one for one in (self._new.children(new) if new else ())}
            for path in was.keys() | now.keys():
                pending += self._entry(was.get(path), now.get(path))
        return sorted(self._found, key=lambda one: one.path)

    def _entry(self, old: Node | None, new: Node | None) -> list[tuple[Node | None, Node]]:
        """Note how one name differs; the directories to look into."""
        if new is None:
            assert old is not None
            self._note("D", old.path, _total(self._old, old), 0)
            return []
        if old is None:
            self._note("A", new.path, 0, _size(new))
            return [(None, new)] if new.is_directory else []
        if old.places == new.places:
            return []  # the same files of the same layers
        if old.is_directory and new.is_directory:
            if _metadata(old) != _metadata(new):
                self._note("C", new.path, 0, 0)
            return [(old, new)]
        if _metadata(old) != _metadata(new) or not _same_content(old, new):
            self._note("C", new.path, _total(self._old, old), _size(new))
        return [(None, new)] if new.is_directory else []

    def _note(self, kind: str, path: str, old: int, new: int) -> None:
        self._found.append(Change(kind, f"/{path}", old, new))


def _root(view: View) -> Node | None:
    return view.root() if view.directories else None


def _size(node: Node) -> int:
    return node.status.st_size if node.is_file else 0


def _total(view: View, node: Node) -> int:
    total = 0
    pending = [node]
    while pending:
        one = pending.pop()
        total += _size(one)
        if one.is_directory:
            pending += view.children(one)
    return total


def _metadata(node: Node) -> tuple[int, int, int, int, int]:
    status = node.status
    size = 0 if node.is_directory else status.st_size
    return status.st_mode, status.st_uid, status.st_gid, size, status.st_rdev


def _same_content(old: Node, new: Node) -> bool:
    """Whether two of the same type and size have the same content."""
    if old.is_link:
        return old.read_link() == new.read_link()
    if not old.is_file:
        return True
    with open(old.places[0], "rb") as one, open(new.places[0], "rb") as other:
        while True:
            chunk = one.read(_CHUNK)
            if chunk != other.read(_CHUNK):
                return False
            if not chunk:
                return True
