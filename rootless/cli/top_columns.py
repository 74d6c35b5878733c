"""The columns of `rl top`, by the names that ps(1) gives them (procps, "STANDARD FORMAT
SPECIFIERS").
"""

import os
import time

from rootless.errors import UsageError
from rootless.linux import pidtree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.linux.pidtree import Process

    Cell = Callable[["Machine", Process], str]


class Machine:
    """What the cells need beside a process: the clock, memory, and the container's users."""

    def __init__(self, init: int) -> None:
        self.init = init
        self.now = time.time()
        with open("/proc/uptime") as file:
            self.booted = self.now - float(file.read().split()[0])
        self.memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        self._users = _names(f"/proc/{init}/root/etc/passwd")
        self._groups = _names(f"/proc/{init}/root/etc/group")
        self._uid_map = _id_map(f"/proc/{init}/uid_map")
        self._gid_map = _id_map(f"/proc/{init}/gid_map")

    def identity(self, one: "Process", what: str, index: int) -> int:
        """A UID or GID of the process as the container has it; `what` is "Uid" or "Gid"."""
        ids = status(one, what).split()
        host = int(ids[index]) if len(ids) > index else 65534
        for inside, outside, count in self._uid_map if what == "Uid" else self._gid_map:
            if outside <= host < outside + count:
                return inside + host - outside
        return 65534  # as the kernel shows what is not mapped

    def user(self, one: "Process", index: int) -> str:
        uid = self.identity(one, "Uid", index)
        return self._users.get(uid, str(uid))

    def group(self, one: "Process", index: int) -> str:
        gid = self.identity(one, "Gid", index)
        return self._groups.get(gid, str(gid))

    def started(self, one: "Process") -> float:
        return self.booted + one.started / pidtree.TICKS

    def age(self, one: "Process") -> int:
        return max(0, int(self.now - self.started(one)))


def _names(path: str) -> dict[int, str]:
    """ID -> name of passwd(5) or group(5).  The image's file: it may be anything."""
    found: dict[int, str] = {}
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(fd, encoding="utf-8", errors="replace") as file:
            for line in file.read(1 << 20).splitlines():
                fields = line.split(":")
                if len(fields) > 2 and fields[2].isdecimal():
                    found.setdefault(int(fields[2]), fields[0])
    except OSError:
        pass
    return found


def _id_map(path: str) -> list[tuple[int, int, int]]:
    try:
        with open(path) as file:
            rows = [line.split() for line in file]
    except OSError:
        return []
    return [(int(row[0]), int(row[1]), int(row[2])) for row in rows]


def _read(one: "Process", name: str) -> bytes:
    try:
        with open(f"/proc/{one.pid}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""


def status(one: "Process", key: str) -> str:
    """A line of /proc/PID/status; "" when the process has ended."""
    for line in _read(one, "status").decode("utf-8", "replace").splitlines():
        if line.startswith(f"{key}:"):
            return line.partition(":")[2].strip()
    return ""


def _arguments(_: Machine, one: "Process") -> str:
    words = _read(one, "cmdline").rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
    return words or f"[{one.comm}]"


def _clock(seconds: int, *, hours: bool) -> str:
    """[DD-]HH:MM:SS, or without hours as ps has it for etime."""
    days, rest = divmod(seconds, 86400)
    hour, minute, second = rest // 3600, rest // 60 % 60, rest % 60
    if days:
        return f"{days}-{hour:02}:{minute:02}:{second:02}"
    if hour or hours:
        return f"{hour:02}:{minute:02}:{second:02}"
    return f"{minute:02}:{second:02}"


def _cpu_share(machine: Machine, one: "Process") -> float:
    """CPU time over the time since its start, in percent."""
    seconds = max(machine.now - machine.started(one), 0.01)
    return one.ticks / pidtree.TICKS / seconds * 100


def _start_time(machine: Machine, one: "Process") -> str:
    """HH:MM of today, else the day, else the year."""
    then, now = time.localtime(machine.started(one)), time.localtime(machine.now)
    if then.tm_year != now.tm_year:
        return str(then.tm_year)
    return time.strftime("%H:%M" if then.tm_yday == now.tm_yday else "%b%d", then)


def _terminal(_: Machine, one: "Process") -> str:
    """tty_nr of proc(5): major in bits 8-15, minor in 0-7 and 20-31."""
    if one.terminal == 0:
        return "?"
    major = one.terminal >> 8 & 0xFFF
    minor = one.terminal & 0xFF | one.terminal >> 12 & 0xFFF00
    if 136 <= major <= 143:
        return f"pts/{(major - 136 << 8) + minor}"
    return f"tty{minor}" if major == 4 else f"{major}:{minor}"


def _state(_: Machine, one: "Process") -> str:
    flags = "<" if one.nice < 0 else "N" if one.nice > 0 else ""
    flags += "s" if one.session == one.pid else ""
    flags += "l" if one.threads > 1 else ""
    flags += "+" if one.foreground == one.group else ""
    return one.state + flags


def _kilobytes(size: int) -> str:
    return str(size >> 10)


# Heading, and the cell.  BSD's and System V's names for one thing share a row below.
_COLUMNS: "dict[str, tuple[str, Cell]]" = {
    "pid": ("PID", lambda _, one: str(one.pid)),
    "ppid": ("PPID", lambda _, one: str(one.parent)),
    "pgid": ("PGID", lambda _, one: str(one.group)),
    "sid": ("SID", lambda _, one: str(one.session)),
    "user": ("USER", lambda machine, one: machine.user(one, 1)),
    "ruser": ("RUSER", lambda machine, one: machine.user(one, 0)),
    "uid": ("UID", lambda machine, one: str(machine.identity(one, "Uid", 1))),
    "ruid": ("RUID", lambda machine, one: str(machine.identity(one, "Uid", 0))),
    "group": ("GROUP", lambda machine, one: machine.group(one, 1)),
    "rgroup": ("RGROUP", lambda machine, one: machine.group(one, 0)),
    "gid": ("GID", lambda machine, one: str(machine.identity(one, "Gid", 1))),
    "rgid": ("RGID", lambda machine, one: str(machine.identity(one, "Gid", 0))),
    "comm": ("COMMAND", lambda _, one: one.comm),
    "args": ("COMMAND", _arguments),
    "cmd": ("CMD", _arguments),
    "tty": ("TTY", _terminal),
    "stat": ("STAT", _state),
    "s": ("S", lambda _, one: one.state),
    "time": ("TIME", lambda _, one: _clock(one.ticks // pidtree.TICKS, hours=True)),
    "etime": ("ELAPSED", lambda machine, one: _clock(machine.age(one), hours=False)),
    "etimes": ("ELAPSED", lambda machine, one: str(machine.age(one))),
    "pcpu": ("%CPU", lambda machine, one: f"{_cpu_share(machine, one):.1f}"),
    "c": ("C", lambda machine, one: str(min(99, int(_cpu_share(machine, one))))),
    "pmem": ("%MEM", lambda machine, one: f"{one.resident / machine.memory * 100:.1f}"),
    "rss": ("RSS", lambda _, one: _kilobytes(one.resident)),
    "vsz": ("VSZ", lambda _, one: _kilobytes(one.virtual)),
    "nice": ("NI", lambda _, one: str(one.nice)),
    "pri": ("PRI", lambda _, one: str(39 - one.priority)),
    "nlwp": ("NLWP", lambda _, one: str(one.threads)),
    "stime": ("STIME", _start_time),
    "start": ("START", _start_time),
    "lstart": (
        "STARTED",
        lambda machine, one: time.ctime(machine.started(one)),
    ),
    "hpid": ("HPID", lambda _, one: str(one.pid)),
    "cpid": ("CPID", lambda _, one: (status(one, "NSpid").split() or ["?"])[-1]),
    "cap": ("EFFECTIVE CAPS", lambda _, one: status(one, "CapEff")),
    "seccomp": ("SECCOMP", lambda _, one: status(one, "Seccomp")),
}
_SAME = {
    "command": "args", "ucmd": "comm", "ucomm": "comm", "pgrp": "pgid", "sess": "sid",
    "session": "sid", "euser": "user", "uname": "user", "euid": "uid", "egroup": "group",
    "egid": "gid", "tt": "tty", "tname": "tty", "state": "s", "cputime": "time", "%cpu": "pcpu",
    "%mem": "pmem", "rssize": "rss", "rsz": "rss", "vsize": "vsz", "ni": "nice", "thcount": "nlwp",
    "start_time": "stime", "bsdstart": "start", "capeff": "cap",
}  # fmt: skip
_FULL = ("user=UID", "pid", "ppid", "c", "stime", "tty", "time", "cmd")
_JOBS = ("pid", "pgid", "sid", "tty", "time", "cmd")
_LONG = ("s", "uid", "pid", "ppid", "c", "pri", "nice", "rss", "tty", "time", "cmd")
_BSD = (
    "user", "pid", "pcpu", "pmem", "vsz", "rss", "tty", "stat", "start", "time", "args",
)  # fmt: skip
_PLAIN = ("pid", "tty", "time", "comm=CMD")


class Columns:
    """What `rl top CONTAINER WORDS…` shows: `chosen` has (heading, cell).  Raises UsageError."""

    def __init__(self, words: list[str]) -> None:
        self.chosen: list[tuple[str, Cell]] = []
        form: tuple[str, ...] = () if words else _FULL
        position = 0
        while position < len(words):
            word = words[position]
            position += 1
            letters, value = _split(word)
            if letters is None:
                self._add(value)
                continue
            if letters.endswith("o"):
                if not value:
                    if position == len(words):
                        raise _unknown(word, "name columns after it, as -o pid,user,args")
                    value = words[position]
                    position += 1
                self._add(value)
                letters = letters[:-1]
            form = _form(word, letters) or form
        if not self.chosen:
            for name in form or _PLAIN:
                self._add(name)

    def _add(self, text: str) -> None:
        """pid,user=WHO,args: after "=" a heading of one's own."""
        for part in text.replace(" ", ",").split(","):
            name, equals, heading = part.partition("=")
            if not name:
                continue
            key = name.lower()
            known = _COLUMNS.get(_SAME.get(key, key))
            if known is None:
                raise _unknown(part, f"columns are {', '.join(sorted(_COLUMNS))}")
            self.chosen.append((heading if equals else known[0], known[1]))


def _split(word: str) -> tuple[str | None, str]:
    """(letters, value) of -eo, -opid, --format=pid, axo; (None, columns) for podman's bare names.

    Letters without a dash are BSD's, as in `ps aux`.
    """
    if word.startswith(("--format", "--fmt")):
        return "o", word.partition("=")[2]
    if word.startswith("--"):
        raise _unknown(word, "give columns: -o pid,user,args")
    if word.startswith("-"):
        letters, o, value = word[1:].partition("o")
        return letters + o, value
    first = word.partition(",")[0].partition("=")[0].lower()
    if _SAME.get(first, first) in _COLUMNS and first not in ("s", "c"):
        return None, word
    letters, o, value = word.partition("o")
    return "b" + letters + o, value


def _form(word: str, letters: str) -> tuple[str, ...]:
    """The layout that these letters ask for; which processes is settled by the container."""
    bsd = letters.startswith("b")
    found: tuple[str, ...] = ()
    for letter in letters[1:] if bsd else letters:
        if letter in "eAaxdgw" or (bsd and letter in "fh"):
            continue  # all processes, a wider page: there is nothing to do
        layouts = {"l": _LONG, "j": _JOBS} | ({"u": _BSD} if bsd else {"f": _FULL, "F": _FULL})
        if letter not in layouts:
            raise _unknown(word, "known are -e -f -l -j -o COLUMNS, and aux")
        found = layouts[letter]
    return found


def _unknown(word: str, remedy: str) -> UsageError:
    return UsageError(f"rl top cannot show {word!r}", remedy=remedy, code="RL-TOP")
