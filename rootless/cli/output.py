"""Text for people, in Docker's forms: tables, sizes, durations.  Pure but for `write`.  Warm."""

import sys

from rootless.errors import RlError
from rootless.fastjson import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_DAYS_BEFORE_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


def write(text: str) -> None:
    """Print `text` as it is.  Names that are not UTF-8 pass through unchanged."""
    if sys.stdout is None:
        return
    data = text.encode("utf-8", "surrogateescape")
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as e:
        raise cannot_write(e) from e


def cannot_write(e: OSError) -> RlError:
    """The error for a standard output that refuses: a full disk, an ended terminal."""
    return RlError(
        f"cannot write the output: {e.strerror}",
        remedy="check where standard output goes",
        code="RL-OUTPUT",
    )


def table(rows: "Iterable[Sequence[str]]") -> str:
    """Columns as wide as their widest cell and three spaces, at least 10; the last one as it
    comes.  (Docker: tabwriter.NewWriter(out, 10, 1, 3, ' ', 0).)
    """
    listed = [[printable(cell) for cell in row] for row in rows]
    if not listed:
        return ""
    widths = [10] * max(len(row) for row in listed)
    for row in listed:
        for index, cell in enumerate(row):
            widths[index] = max(widths[index], len(cell) + 3)
    lines = []
    for row in listed:
        cells = [cell.ljust(widths[index]) for index, cell in enumerate(row[:-1])]
        lines.append("".join(cells) + row[-1] + "\n")
    return "".join(lines)


def printable(text: str) -> str:
    """`text` without control characters: nothing from an image may steer a terminal."""
    if text.isprintable():
        return text
    # Surrogates stand for bytes that are not UTF-8, of a file name on the command line.
    return "".join(
        c if c.isprintable() or "\udc80" <= c <= "\udcff" else f"\\x{ord(c):02x}" for c in text
    )


def human_size(size: "int | float", digits: int = 3) -> str:
    """Docker's sizes: decimal units, `digits` significant digits: 4.26MB, 117MB, 0B."""
    value = float(size)
    unit = 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value /= 1000
        unit += 1
    text = f"{value:.{digits}g}"
    if "e" in text:  # 999.6 is a thousand in three digits
        text, unit = "1", unit + 1
    return text + _UNITS[min(unit, len(_UNITS) - 1)]


def human_duration(seconds: "int | float") -> str:
    """Docker's durations: Less than a second, 5 seconds, About a minute, 3 weeks, 2 years."""
    if seconds < 1:
        return "Less than a second"
    if seconds < 2:
        return "1 second"
    if seconds < 60:
        return f"{int(seconds)} seconds"
    minutes = int(seconds // 60)
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{int(seconds // 3600) // 24 // 365} years"


def parse_time(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time; 0 for none and for Go's zero time.

    By hand: datetime costs 3 ms of import and reads no nanoseconds.
    """
    if len(text) < 20 or text[10] not in "Tt ":
        return 0.0
    try:
        year, month, day = int(text[0:4]), int(text[5:7]), int(text[8:10])
        clock = int(text[11:13]) * 3600 + int(text[14:16]) * 60 + int(text[17:19])
        rest = text[19:]
        fraction = 0.0
        if rest[0] == ".":
            end = 1
            while end < len(rest) and rest[end].isdecimal():
                end += 1
            fraction = float("0" + rest[:end])
            rest = rest[end:]
        offset = 0
        if rest[:1] in ("+", "-"):
            offset = int(rest[1:3]) * 3600 + int(rest[4:6]) * 60
            offset = -offset if rest[0] == "-" else offset
        if year < 1970:
            return 0.0
        days = (year - 1970) * 365 + _leap_days(year - 1) - _leap_days(1969)
        days += _DAYS_BEFORE_MONTH[month - 1] + day - 1
    except (ValueError, IndexError):
        return 0.0
    if month > 2 and (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)):
        days += 1
    return days * 86400 + clock - offset + fraction


def _leap_days(year: int) -> int:
    return year // 4 - year // 100 + year // 400


def familiar(name: str) -> str:
    """A canonical name as Docker shows it: docker.io/library/busybox:latest is busybox:latest."""
    for prefix in ("docker.io/library/", "docker.io/"):
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name


def repository_and_tag(name: str) -> "tuple[str, str]":
    """The parts of a familiar name."""
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        return name, "<none>"
    return repository, tag


def pretty_json(value: object, indent: str = "") -> str:
    """JSON over several lines, four spaces a level, as `docker inspect` writes it."""
    inner = indent + "    "
    if isinstance(value, dict) and value:
        lines = [f"{inner}{dumps(str(k))}: {pretty_json(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list | tuple) and value:
        lines = [inner + pretty_json(one, inner) for one in value]
        return "[\n" + ",\n".join(lines) + f"\n{indent}]"
    return dumps(value)


def local_time(seconds: float) -> str:
    """Docker's long form: 2026-01-31 12:00:00 +0000 UTC."""
    import time

    t = time.localtime(seconds)
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", t)
