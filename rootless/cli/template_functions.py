"""The functions of --format templates: Go's built-in ones and Docker's.  Pure.  Warm.

A function raises TypeError or ValueError with a sentence for what it cannot take.
"""

from rootless.fastjson import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

NO_VALUE = "<no value>"


class Map(dict):  # type: ignore[type-arg]
    """A map with any keys (labels, ports): a missing one is no error, as in Go."""

    __slots__ = ()


def show(value: "Any") -> str:
    """`value` as Go's %v prints it."""
    if isinstance(value, str):
        return value
    if value is None:
        return NO_VALUE
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + " ".join(show(one) for one in value) + "]"
    if isinstance(value, dict):
        pairs = (f"{key}:{show(one)}" for key, one in sorted(value.items()) if not callable(one))
        return "map[" + " ".join(pairs) + "]"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def truth(value: "Any") -> bool:
    """Go's truth: false, 0, nil, and what is empty are false."""
    return bool(value)


def to_json(value: "Any") -> str:
    """Compact JSON; methods (callables) are no part of it."""
    if isinstance(value, dict):
        value = {key: one for key, one in value.items() if not callable(one)}
    return dumps(value)


def _join(values: "Any", separator: str = "") -> str:
    if values is None:
        return ""
    if not isinstance(values, list | tuple):
        raise TypeError("join needs a list")
    return _text(separator).join(show(one) for one in values)


def _split(text: str, separator: str) -> "list[str]":
    return _text(text).split(_text(separator)) if separator else list(_text(text))


def _title(text: str) -> str:
    out = ""
    for index, c in enumerate(_text(text)):
        out += c.upper() if index == 0 or not (out[-1].isalnum() or out[-1] in "_'") else c
    return out


def _pad(text: str, before: int, after: int) -> str:
    return " " * _whole(before) + _text(text) + " " * _whole(after) if text else text


def _truncate(text: str, length: int) -> str:
    return _text(text)[: _whole(length)]


def _length(value: "Any") -> int:
    if not isinstance(value, str | list | tuple | dict):
        raise TypeError(f"len of {show(value)}")
    return len(value.encode("utf-8", "surrogateescape")) if isinstance(value, str) else len(value)


def _index(value: "Any", *keys: "Any") -> "Any":
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list | tuple | str):
            number = _whole(key)
            if not 0 <= number < len(value):
                raise ValueError(f"index out of range: {number}")
            value = value[number]
        elif value is None:
            raise TypeError("index of nothing")
        else:
            raise TypeError(f"cannot index {show(value)}")
    return value


def _slice(value: "Any", *bounds: int) -> "Any":
    if not isinstance(value, str | list) or len(bounds) > 2:
        raise TypeError("slice needs a string or list and at most two numbers")
    start = _whole(bounds[0]) if bounds else 0
    end = _whole(bounds[1]) if len(bounds) > 1 else len(value)
    if not 0 <= start <= end <= len(value):
        raise ValueError("slice out of range")
    return value[start:end]


def _print(*values: "Any") -> str:
    # As fmt.Sprint: a space between two operands when neither is a string.
    out = ""
    for index, value in enumerate(values):
        both = index and not isinstance(value, str) and not isinstance(values[index - 1], str)
        out += (" " if both else "") + show(value)
    return out


def _println(*values: "Any") -> str:
    return " ".join(show(value) for value in values) + "\n"


def printf(form: str, *values: "Any") -> str:
    """Go's Sprintf: flags, width, precision and the verbs v s d q t f g e x X o c U."""
    form = _text(form)
    out = ""
    at = used = 0
    while at < len(form):
        c = form[at]
        at += 1
        if c != "%":
            out += c
            continue
        start = at
        while at < len(form) and form[at] in "+-# 0123456789.":
            at += 1
        verb = form[at : at + 1]
        modifiers = form[start:at]
        at += 1
        if verb == "%":
            out += "%"
        elif not verb:
            out += "%!(NOVERB)"
        elif used == len(values):
            out += f"%!{verb}(MISSING)"
        else:
            out += _verb(modifiers, verb, values[used])
            used += 1
    if used < len(values):
        out += "%!(EXTRA " + ", ".join(show(value) for value in values[used:]) + ")"
    return out


def _verb(modifiers: str, verb: str, value: "Any") -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if verb in "dxXoc" and isinstance(value, int) and not isinstance(value, bool):
        return str(f"%{modifiers}{verb}" % value)
    if verb in "fgeFGE" and number:
        return str(f"%{modifiers}{verb}" % value)
    if verb == "q":
        quoted: str = dumps(show(value))
        return f"%{modifiers}s" % quoted
    if verb in "vs" or (verb == "t" and isinstance(value, bool)):
        plain = modifiers.replace("#", "").replace("+", "")
        zero = plain.startswith("0") and not number
        return f"%{plain.lstrip('0') if zero else plain}s" % show(value)
    if verb in "xX" and isinstance(value, str):
        digits = value.encode("utf-8", "surrogateescape").hex()
        return digits.upper() if verb == "X" else digits
    return f"%!{verb}({show(value)})"


def _text(value: "Any") -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a string, not {show(value)}")
    return value


def _whole(value: "Any") -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"expected a whole number, not {show(value)}")
    return value


def _equal(first: "Any", *others: "Any") -> bool:
    if not others:
        raise TypeError("eq needs two values")
    return any(first == other and _comparable(first, other) for other in others)


def _comparable(a: "Any", b: "Any") -> bool:
    return isinstance(a, bool) == isinstance(b, bool)


def _less(a: "Any", b: "Any") -> bool:
    both_numbers = isinstance(a, int | float) and isinstance(b, int | float)
    if not both_numbers and not (isinstance(a, str) and isinstance(b, str)):
        raise TypeError(f"cannot compare {show(a)} and {show(b)}")
    return bool(a < b)


FUNCTIONS: "dict[str, Callable[..., Any]]" = {
    "json": to_json,
    "join": _join,
    "split": _split,
    "lower": lambda text: _text(text).lower(),
    "upper": lambda text: _text(text).upper(),
    "title": _title,
    "pad": _pad,
    "truncate": _truncate,
    "len": _length,
    "index": _index,
    "slice": _slice,
    "print": _print,
    "println": _println,
    "printf": printf,
    "not": lambda value: not truth(value),
    "eq": _equal,
    "ne": lambda a, b: not _equal(a, b),
    "lt": _less,
    "le": lambda a, b: a == b or _less(a, b),
    "gt": lambda a, b: _less(b, a),
    "ge": lambda a, b: a == b or _less(b, a),
}

# For the heading of a table, where the values are the headings.
HEADING_FUNCTIONS: "dict[str, Callable[..., Any]]" = {
    **FUNCTIONS,
    **dict.fromkeys(
        ("json", "join", "split", "lower", "upper", "title", "pad", "truncate"),
        lambda value, *_: value,
    ),
}
