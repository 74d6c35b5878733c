"""Files in the syntax of systemd.syntax(7): sections of assignments.  Pure: text in, values out."""

from difflib import get_close_matches

from rootless.errors import QuadletError
from rootless.records import dataclass

_SPACE = " \t\r"


@dataclass(frozen=True, slots=True)
class Entry:
    """One assignment, and where it stands: `file` as the user named it, `line` from 1."""

    section: str
    key: str
    value: str
    file: str
    line: int

    def error(self, problem: str, remedy: str, code: str = "RL-QUADLET") -> QuadletError:
        """The error of what is wrong in this line."""
        return QuadletError(f"{self.file}:{self.line}: {problem}", remedy=remedy, code=code)


class UnitFile:
    """The assignments of a file and its drop-ins, in their order."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries

    def all(self, section: str, key: str) -> list[Entry]:
        """The assignments of a key that is a list; an empty one empties the list."""
        found: list[Entry] = []
        for entry in self.entries:
            if (entry.section, entry.key) == (section, key):
                found = [*found, entry] if entry.value else []
        return found

    def last(self, section: str, key: str) -> Entry | None:
        """The assignment that counts of a key with one value; None without one, or an empty one."""
        found = self.all(section, key)
        return found[-1] if found else None

    def value(self, section: str, key: str, default: str = "") -> str:
        entry = self.last(section, key)
        return entry.value if entry is not None else default

    def flag(self, section: str, key: str, default: bool = False) -> bool:
        """A boolean.  Raises QuadletError for a value that is none."""
        entry = self.last(section, key)
        return default if entry is None else boolean(entry)

    def of(self, section: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.section == section]


def parse(text: str, file: str) -> list[Entry]:
    """The assignments of a file.  Raises QuadletError RL-QUADLET with the line.

    A backslash at the end of a line joins the next one with a space; comments in between are
    left out.
    """
    entries: list[Entry] = []
    section = pending = ""
    first = 0
    # Not splitlines(): of its many line ends systemd knows one.
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip(_SPACE)
        if line.startswith(("#", ";")) or (not line and not pending):
            continue
        first = first if pending else number
        joined = f"{pending} {line}" if pending else line
        if line.endswith("\\"):
            pending = joined[:-1].rstrip() or " "
            continue
        pending = ""
        section = _take(entries, joined.strip(_SPACE), section, file, first)
    if pending.strip(_SPACE):
        _take(entries, pending.strip(_SPACE), section, file, first)
    return entries


def _take(entries: list[Entry], line: str, section: str, file: str, number: int) -> str:
    """One joined line: a section's heading or an assignment; the section that holds after it."""
    if not line:
        return section
    if line.startswith("["):
        name = line[1:-1]
        if not line.endswith("]") or not name or "[" in name or "]" in name:
            raise _wrong(file, number, f"{line} is no section", "write it as [Container]")
        return name
    key, equals, value = line.partition("=")
    key = key.strip()
    if not equals or not key or len(key.split()) > 1:
        raise _wrong(file, number, f"{line!r} is no assignment", "write it as Key=value")
    if not section:
        raise _wrong(file, number, f"{key}= is in no section", "begin with [Container] or its like")
    if any((ord(c) < 32 and c != "\t") or ord(c) == 127 for c in value):
        raise _wrong(file, number, f"{key}= has control characters", "write them as \\xHH")
    entries.append(Entry(section, key, value.strip(_SPACE), file, number))
    return section


def _wrong(file: str, line: int, problem: str, remedy: str) -> QuadletError:
    return QuadletError(f"{file}:{line}: {problem}", remedy=remedy)


def boolean(entry: Entry) -> bool:
    """As systemd.syntax(7) has them: 1 yes true on, 0 no false off.  Raises QuadletError."""
    word = entry.value.lower()
    if word in ("1", "yes", "true", "on", "y", "t"):
        return True
    if word in ("0", "no", "false", "off", "n", "f"):
        return False
    raise entry.error(f"{entry.key}={entry.value} is neither yes nor no", "write true or false")


def near(word: str, known: "list[str] | tuple[str, ...]") -> str:
    """ " (did you mean X?)", or "" where nothing is near; the case of letters does not count."""
    folded = {one.lower(): one for one in known}
    close = get_close_matches(word.lower(), list(folded), n=1)
    return f" (did you mean {folded[close[0]]}?)" if close else ""
