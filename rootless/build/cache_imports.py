"""--cache-from: steps that were done elsewhere, taken into this store when a build asks for them.

What a cache offers is read at the beginning; a layer is fetched when the step is there that it is
the layer of.  A cache that is missing, or cannot be reached, is a note: the steps are done here.
Keys don't depend on the store, the user or the host (cache.py), so that they mean the same there.
"""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rootless.build.cache import Entry
from rootless.errors import BuildError, RegistryError, RlError
from rootless.records import asdict
from rootless.store import atomic, layers

if TYPE_CHECKING:
    from rootless.build.option_forms import CacheStore
    from rootless.context import Context

Note = Callable[[str], object]

KEY = re.compile("[0-9a-f]{64}")
DIGEST = re.compile("sha256:[0-9a-f]{64}")
REMEDY = "remove that cache, or name another one"


class Offer(Protocol):
    """One cache.  `steps` are the entries that it has, by their keys."""

    name: str
    steps: dict[str, Entry]

    def unpack(self, ctx: "Context", key: str) -> None:
        """Put the layer of a step into the store.  Raises RlError."""


class Imports:
    """All caches of a build, in the order in which they were given."""

    def __init__(self, offers: Sequence[Offer] = ()) -> None:
        self._offers = offers

    def take(self, ctx: "Context", key: str, note: Note) -> Entry | None:
        """The entry of `key`, its layer being in the store now; None where no cache has it.

        A cache that fails is noted, and the next one asked.
        """
        for offer in self._offers:
            entry = offer.steps.get(key)
            if entry is None:
                continue
            if not entry.diff_id or layers.exists(ctx.paths, entry.diff_id):
                return entry
            try:
                offer.unpack(ctx, key)
            except RlError as e:
                note(f"cannot take this step from the cache {offer.name}: {e.what}")
                continue
            # What a manifest says of the layer's archive.
            meta = layers.read_meta(ctx.paths, entry.diff_id)
            place = f"{ctx.paths.layer(entry.diff_id)}/meta.json"
            atomic.write_json(place, {**meta, "tar_size": entry.tar_size}, sync=False)
            note(f"taken from the cache {offer.name}")
            return entry
        return None


def open_caches(ctx: "Context", wanted: "Sequence[CacheStore]", note: Note) -> Imports:
    """What --cache-from gives.  Raises BuildError RL-BUILD-CACHE for one that is damaged."""
    found = []
    for one in wanted:
        try:
            offer = _open(ctx, one)
        except RegistryError as e:
            note(f"cannot use the cache {one.place}: {e.what}")
            continue
        if offer is None:
            note(f"there is no cache in {one.place}")  # as the first time that a CI job runs
        else:
            note(f"using the cache {offer.name}: {len(offer.steps)} steps")
            found.append(offer)
    return Imports(found)


def _open(ctx: "Context", wanted: "CacheStore") -> Offer | None:
    if wanted.type == "local":
        from rootless.build import cache_exchange

        return cache_exchange.offer(wanted.place)
    from rootless.build import cache_registry

    return cache_registry.offer(ctx, wanted.place)


def described(entry: Entry) -> dict[str, Any]:
    """An entry as caches write it down."""
    return asdict(entry)


def entry_of(key: str, step: Any, where: str) -> Entry:
    """The checked entry of what a cache has written down.  Raises BuildError RL-BUILD-CACHE."""
    try:
        entry = Entry(
            diff_id=str(step["diff_id"]),
            size=int(step["size"]),
            tar_size=int(step["tar_size"]),
            created=str(step["created"]),
            name=str(step["name"]),
        )
    except (KeyError, TypeError, ValueError) as e:
        raise failed(f"the cache {where} is damaged") from e
    if not KEY.fullmatch(key) or (entry.diff_id and not DIGEST.fullmatch(entry.diff_id)):
        raise failed(f"the cache {where} is damaged")
    return entry


def failed(what: str) -> BuildError:
    """The error of a cache that cannot be used."""
    return BuildError(what, remedy=REMEDY, code="RL-BUILD-CACHE")
