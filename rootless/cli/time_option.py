"""--since and --until: the forms of a time that Docker takes.  Warm."""

import time

from rootless.errors import UsageError
from rootless.store.containers import rfc3339


def parse_time(text: str) -> str:
    """--since and --until: a Unix time, RFC 3339 (parts may be missing), or an age as 10m or 1h30m.

    Returns RFC 3339 in UTC with nanoseconds, "" for "".  Raises UsageError.
    """
    if not text:
        return ""
    seconds = _age(text)
    if seconds is not None:
        return rfc3339(time.time_ns() - int(seconds * 10**9))
    if text.replace(".", "", 1).isdecimal():
        whole, _, part = text.partition(".")
        return rfc3339(int(whole) * 10**9 + int(part.ljust(9, "0")[:9] or 0))
    from datetime import UTC, datetime

    # datetime knows microseconds alone, and the log's own stamps have nine digits.
    before, _, after = text.partition(".")
    digits = after[: len(after) - len(after.lstrip("0123456789"))]
    try:
        when = datetime.fromisoformat(before + after[len(digits) :])
    except ValueError:
        raise UsageError(
            f"{text} is neither a time nor an age",
            remedy="write 2026-01-02T15:04:05, a Unix time, or an age as 10m",
        ) from None
    if when.tzinfo is None:
        when = when.astimezone()
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    delta = when - epoch
    seconds = delta.days * 86400 + delta.seconds
    return rfc3339(seconds * 10**9 + int(digits.ljust(9, "0")[:9] or 0))


def _age(text: str) -> "float | None":
    """Go's durations, as 1h30m, 90s, 1.5h; None when it is none."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
    seconds, number, place = 0.0, "", 0
    while place < len(text):
        character = text[place]
        if character in "0123456789.":
            number += character
            place += 1
            continue
        unit = text[place : place + 2] if text[place : place + 2] in units else character
        if unit not in units or not number.replace(".", "", 1).isdecimal():
            return None
        seconds += float(number) * units[unit]
        number = ""
        place += len(unit)
    return None if number else seconds
