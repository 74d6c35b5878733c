"""The build cache: what a step made, by what it depends on.

    buildcache/<key>.json        the layer of a step; good as long as that layer is in the store
    buildcache/<key>.lock        flocked while somebody makes it: who comes second waits
    buildcache/last/<name>.json  what the keys of a Dockerfile's steps were made of the last time,
                                 for --explain-cache
    buildcache/mounts/<id>/      RUN --mount=type=cache

A key depends on the content of the layers below (and so on a chain of diffIDs), on the instruction
as expanded, and on the content of the files that it reads; never on the time of a file, and never
on a secret.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rootless.errors import RlError, StoreError
from rootless.records import asdict, dataclass
from rootless.store import atomic, buildcache, containers, layers
from rootless.store.locks import Locked

if TYPE_CHECKING:
    from rootless.context import Context

VERSION = 1  # of the keys: what a step makes changes with how it is made

_WORDS = {
    "base": "the layers below it have changed",
    "instruction": "the instruction has changed",
    "files": "the files that it reads have changed",
    "environment": "its environment has changed",
    "user": "the user has changed",
    "workdir": "the working directory has changed",
    "mounts": "a mount has changed",
    "epoch": "SOURCE_DATE_EPOCH has changed",
    "network": "the network has changed",
    "hosts": "--add-host has changed",
    "ulimits": "--ulimit has changed",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What a step made.  `diff_id` is "" when nothing has changed in the file system."""

    diff_id: str
    size: int  # bytes, the sum of its files
    tar_size: int  # bytes, of its tar archive
    created: str  # RFC 3339
    name: str = ""


def digest(parts: object) -> str:
    """The key of `parts`, a JSON-able value."""
    text = json.dumps([VERSION, parts], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def timestamp(time_ns: int) -> str:
    """RFC 3339 as Go writes it: without zeros at the end."""
    whole, _, fraction = containers.rfc3339(time_ns).removesuffix("Z").partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"


def chain(diff_ids: Iterable[str]) -> str:
    """What stands for the content of a stack of layers."""
    return hashlib.sha256("\n".join(diff_ids).encode()).hexdigest()


class Cache:
    """The cache of one store."""

    def __init__(self, ctx: "Context") -> None:
        self._paths = ctx.paths
        self.directory = buildcache.directory(ctx.paths)

    def prepare(self) -> None:
        """Make its directories."""
        try:
            os.makedirs(f"{self.directory}/last", 0o700, exist_ok=True)
        except OSError as e:
            raise atomic.store_error(e, f"make {self.directory}") from e

    def load(self, key: str) -> Entry | None:
        """The entry of `key`, if its layer is there."""
        try:
            entry = Entry(**atomic.read_json(f"{self.directory}/{key}.json"))  # type: ignore[arg-type]
        except (FileNotFoundError, RlError, TypeError):
            return None  # a damaged entry is none: it will be made again
        if entry.diff_id and not layers.exists(self._paths, entry.diff_id):
            return None
        buildcache.touch(f"{self.directory}/{key}.json")
        return entry

    def save(self, key: str, entry: Entry) -> None:
        """Keep an entry.  Its layer is in the store."""
        atomic.write_json(f"{self.directory}/{key}.json", asdict(entry), sync=False)

    def making(self, key: str, note: Callable[[str], None] | None = None) -> "Making":
        """A lock for the time in which `key` is made; `note` hears that somebody else does."""
        return Making(f"{self.directory}/{key}.lock", note)

    def last(self, name: str) -> "Last":
        return Last(f"{self.directory}/last/{name}.json")


class Making:
    """Locked, and the file is gone afterwards."""

    def __init__(self, path: str, note: Callable[[str], None] | None = None) -> None:
        self._path = path
        self._note = note
        self._lock = Locked(path, wait_s=0, what="a build step")

    def __enter__(self) -> "Making":
        try:
            self._lock.__enter__()
        except StoreError as e:
            if e.code != "RL-STORE-BUSY":
                raise
            if self._note is not None:
                self._note("another build makes this step now: waiting for it")
            self._lock = Locked(self._path, what="a build step").__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        # Held still: who waits for it finds that its file is no longer the one of that name.
        try:
            os.unlink(self._path)
        except OSError:
            pass
        self._lock.release()


class Last:
    """What the keys were made of in the last build of the same Dockerfile."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._before: dict[str, Any] | None = None
        self._now: dict[str, Any] = {}

    @property
    def before(self) -> dict[str, Any]:
        if self._before is None:
            try:
                self._before = atomic.read_json(self._path)
            except (FileNotFoundError, RlError):
                self._before = {}
        return self._before

    def note(self, slot: str, parts: Mapping[str, object]) -> None:
        """Remember the parts of a key; long ones by their digests, as they may tell too much."""
        self._now[slot] = {name: digest(value)[:16] for name, value in parts.items()}

    def explain(self, slot: str, parts: Mapping[str, object]) -> str:
        """Why the key is another than the last time."""
        before = self.before.get(slot)
        if not isinstance(before, dict):
            return "it has not been built before"
        changed = [
            words
            for name, words in _WORDS.items()
            if before.get(name) != (digest(parts[name])[:16] if name in parts else None)
        ]
        return "; ".join(changed) or "its result is no longer in the store"

    def save(self) -> None:
        """Write it down, if it is new."""
        if self._now and any(self.before.get(slot) != parts for slot, parts in self._now.items()):
            atomic.write_json(self._path, {**self.before, **self._now}, sync=False)
