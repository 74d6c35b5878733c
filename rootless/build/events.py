"""What a build tells while it goes on, and what it is at its end.

The solver calls `emit(Event)` from one thread, in the order things happen; whoever renders sees a
step `started` once (or `cached` at once, without started), then `output`s, then one of `done`,
`cached` (another build made it meanwhile), `failed` and `cancelled`.  What is done besides the
Dockerfile's steps (`step` 0: an image is fetched, the result goes out) is known by its `name`; an
event without either is about the build as a whole.

`build` is rootless.build.solve.build(ctx, options, context, emit) -> Result.
"""

from collections.abc import Callable
from typing import Any, Literal

from rootless.records import dataclass, field

Kind = Literal["started", "output", "note", "cached", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that has happened.

    step       number from 1 in the order of the Dockerfile; the same step keeps its number
    total      how many steps this build has
    name       what BuildKit prints for the step: "[build 2/5] RUN make", "[internal] load …"
    stream     of `output`: "stdout" or "stderr"
    data       of `output`: the program's bytes as they came; a line may be cut anywhere; of
               `failed`: the last lines of its output
    text       of `note`: a sentence; of `failed`: the error's, without the place; of `cached` and
               `started` with --explain-cache: why the cache was (not) used
    seconds    of `done`, `failed` and `cancelled`: how long the step took
    lines      (first, last) line of the Dockerfile, (0, 0) for what is in none
    """

    kind: Kind
    step: int = 0
    total: int = 0
    name: str = ""
    text: str = ""
    stream: str = ""
    data: bytes = b""
    seconds: float = 0.0
    lines: tuple[int, int] = (0, 0)


Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Result:
    """The image that was built.

    `record` is the store's image record; `names` are the canonical references that were given to
    it.  `cache_keys` are those of the steps that made it, bottom first; `all_cache_keys` those of
    every stage that was built.
    """

    image_id: str
    digest: str
    record: dict[str, Any]
    names: tuple[str, ...] = ()
    steps: int = 0
    cached: int = 0
    cache_keys: tuple[str, ...] = field(default=())
    all_cache_keys: tuple[str, ...] = field(default=())
