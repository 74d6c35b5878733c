"""Fields out of JSON that a stranger wrote: each is what its type says, or BadDocument says why.

Pure: bytes in, values out.
"""

import json
from typing import TypeVar

from rootless.errors import BadDocument

T = TypeVar("T")

DOCUMENT_MAX = 4 * 1024 * 1024  # bytes; distribution-spec, "Pushing Manifests"

_WORDS = {
    str: "a string",
    int: "a number",
    dict: "an object",
    list: "a list",
    bool: "true or false",
}


def load(data: bytes, where: str) -> dict[str, object]:
    """The JSON object in `data`.  `where` names it in messages: "manifest", "config"."""
    if len(data) > DOCUMENT_MAX:
        raise BadDocument(f"{where}: {len(data)} bytes, more than {DOCUMENT_MAX} are not read")
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as e:
        start = data[:40].decode("utf-8", "replace")
        raise BadDocument(f"{where}: not JSON ({e}), it begins with {start!r}") from e
    if not isinstance(value, dict):
        raise BadDocument(f"{where}: not an object")
    return value


def is_a(value: object, kind: type) -> bool:
    """isinstance(), where true and false are no numbers."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def require(doc: dict[str, object], key: str, kind: type[T], where: str) -> T:
    """`doc[key]`, which must be there.  Raises BadDocument."""
    value = doc.get(key)
    if not is_a(value, kind):
        problem = "is missing" if value is None else f"is not {_WORDS[kind]}"
        raise BadDocument(f"{where}: {key} {problem}")
    return value  # type: ignore[return-value]  # is_a() has checked it


def optional(doc: dict[str, object], key: str, kind: type[T], where: str, default: T) -> T:
    """`doc[key]`; `default` where it is missing or null, as Go's encoding/json reads it."""
    if doc.get(key) is None:
        return default
    return require(doc, key, kind, where)


def objects(doc: dict[str, object], key: str, where: str) -> list[dict[str, object]]:
    """The list `doc[key]`, which must be there, of objects."""
    found = []
    for position, item in enumerate(require(doc, key, list, where)):
        if not isinstance(item, dict):
            raise BadDocument(f"{where}: {key}[{position}] is not an object")
        found.append(item)
    return found


def strings(doc: dict[str, object], key: str, where: str) -> list[str]:
    """The list `doc[key]` of strings, [] where it is missing or null."""
    found: list[object] = optional(doc, key, list, where, [])
    for position, item in enumerate(found):
        if not isinstance(item, str):
            raise BadDocument(f"{where}: {key}[{position}] is not a string")
    return [str(item) for item in found]


def string_map(doc: dict[str, object], key: str, where: str) -> dict[str, str]:
    """The object `doc[key]` with strings in it, {} where it is missing or null."""
    found: dict[str, object] = optional(doc, key, dict, where, {})
    for name, item in found.items():
        if not isinstance(item, str):
            raise BadDocument(f"{where}: {key}[{name!r}] is not a string")
    return {name: str(item) for name, item in found.items()}
