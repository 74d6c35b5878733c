"""Times as Go writes them: "1m30s", "500ms", "1.5h"."""

import re

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, the micro sign
    "μs": 1_000,  # U+03BC, the Greek letter
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"([0-9]*)(\.[0-9]*)?([a-zµμ]+)")
_MAX_NS = (1 << 63) - 1


def parse_duration(text: str) -> int | None:
    """Nanoseconds, or None if it is no time: Go's time.ParseDuration."""
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    total, position = 0, 0
    if len(rest) > 100:
        return None
    while match := _PART.match(rest, position):
        whole, fraction, unit = match[1], (match[2] or "")[1:], _UNITS_NS.get(match[3])
        if unit is None or not (whole or fraction):
            return None
        total += int(whole or 0) * unit
        if fraction:
            total += int(fraction) * unit // 10 ** len(fraction)
        position = match.end()
    if not position or position < len(rest) or total > _MAX_NS:
        return None
    return sign * total
