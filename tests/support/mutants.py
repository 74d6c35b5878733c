"""Documents with one field spoilt, in all ways: what a stranger may send."""

import copy
import json
from collections.abc import Iterator
from typing import Any

MISSING = object()
# What may stand in a field's place.
VALUES: tuple[Any, ...] = (
    MISSING, None, True, "", "x", "a\0b\n\x1b[31m", "é" * 1000, "/" * 5000, 0, -1, 1 << 70, 1.5,
    [], [None], ["a", 1], {}, {"": None}, {"a": {"b": [1]}}, [[[[]]]],
)  # fmt: skip


def paths(document: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each field of a document, and to the document itself."""
    yield before
    if isinstance(document, dict):
        for key, value in document.items():
            yield from paths(value, (*before, key))
    elif isinstance(document, list):
        for position, value in enumerate(document):
            yield from paths(value, (*before, position))


def mutants(data: bytes) -> Iterator[tuple[str, bytes]]:
    """(what was done, the spoilt document) for each field and value."""
    document = json.loads(data)
    for path in paths(document):
        for value in VALUES:
            name = (
                f"{'.'.join(map(str, path)) or 'all'}={'missing' if value is MISSING else value!r}"
            )
            yield name[:80], json.dumps(_spoilt(document, path, value)).encode()


def _spoilt(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return None if value is MISSING else value
    changed = copy.deepcopy(document)
    parent = changed
    for step in path[:-1]:
        parent = parent[step]
    if value is MISSING:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return changed
