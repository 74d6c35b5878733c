"""Small grammars that several options share: sizes, addresses, names, CSV.  Pure, no I/O."""

import _socket

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Iterable, Mapping
else:
    import _signal  # signal itself costs enum

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_ALNUM = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))


# Raw values, as the command line's parser hands them over.


def text(values: "Mapping[str, object]", key: str, default: str = "") -> str:
    value = values.get(key)
    return default if value is None else str(value)


def flag(values: "Mapping[str, object]", key: str, default: bool = False) -> bool:
    value = values.get(key)
    return default if value is None else bool(value)


def texts(values: "Mapping[str, object]", key: str) -> list[str]:
    value = values.get(key)
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]


def number(values: "Mapping[str, object]", key: str) -> int | None:
    """An integer option.  Raises UsageError for anything else."""
    value = values.get(key)
    if value is None or value == "":
        return None
    try:
        return int(str(value))
    except ValueError:
        name = key.replace("_", "-")
        raise UsageError(
            f'invalid value "{value}" for --{name}', remedy="give a whole number"
        ) from None


# Words of a grammar.


def closest(word: str, known: "Iterable[str]") -> str:
    """What `word` was meant to be, as "did you mean X?", or "" without an idea."""
    from difflib import get_close_matches  # only ever imported on the way to an error

    found = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {found[0]}?" if found else ""


def parse_bool(value: str) -> bool | None:
    """Go's strconv.ParseBool; None for anything else."""
    if value in _TRUE:
        return True
    return False if value in _FALSE else None


def parse_size(value: str, what: str) -> int:
    """Bytes of "64m", "1.5g", "10 MiB" or "1024": go-units' RAMInBytes.  All units are binary."""
    digits = value.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    suffix = value[len(digits) :].lower()
    digits = digits.removesuffix(" ")
    unit = _UNITS.get(suffix[:1])
    whole, dot, fraction = digits.partition(".")
    decimal = whole.isascii() and whole.isdecimal() and (not dot or fraction.isdecimal())
    if unit is None or suffix[1:] not in ("", "b", "ib") or suffix == "bb" or not decimal:
        raise UsageError(
            f'invalid size "{value}" for {what}',
            remedy="give a number with one of the units b, k, m, g, t, as 512m",
        )
    size = int(whole) * unit
    if fraction:
        size += int(fraction) * unit // 10 ** len(fraction)
    if size >= 1 << 63:
        raise UsageError(f'invalid size "{value}" for {what}', remedy="give less than 8 EiB")
    return size


def parse_address(value: str) -> str | None:
    """An IPv4 or IPv6 address in its usual spelling, None if it is none."""
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            return _socket.inet_ntop(family, _socket.inet_pton(family, value))
        except (OSError, ValueError):
            continue
    return None


def csv_fields(line: str, what: str) -> list[str]:
    """One record of RFC 4180, as Go's encoding/csv reads it: quotes around a whole field only."""
    fields, position = [], 0
    while True:
        if line.startswith('"', position):
            end, parts = position + 1, []
            while True:
                close = line.find('"', end)
                if close < 0:
                    raise _bad_quote(line, what)
                parts.append(line[end:close])
                end = close + 1
                if not line.startswith('"', end):
                    break
                parts.append('"')
                end += 1
            field = "".join(parts)
            if end < len(line) and line[end] != ",":
                raise _bad_quote(line, what)
        else:
            end = line.find(",", position)
            end = len(line) if end < 0 else end
            field = line[position:end]
            if '"' in field:
                raise _bad_quote(line, what)
        fields.append(field)
        if end >= len(line):
            return fields
        position = end + 1


def _bad_quote(line: str, what: str) -> UsageError:
    return UsageError(
        f"invalid argument {line!r} for {what}: a quote in the middle of a field, or not closed",
        remedy='quote a whole field and write a quote in it twice: "source=/a,b"',
    )


def is_restricted_name(name: str) -> bool:
    """Docker's rule for names of containers and volumes: [a-zA-Z0-9][a-zA-Z0-9_.-]+."""
    return len(name) >= 2 and name[0] in _ALNUM and all(c in _ALNUM or c in "_.-" for c in name)


def is_hostname(name: str) -> bool:
    """Letters, digits, '-', '_' and '.', none of the signs in front, at most the kernel's 64."""
    return (
        1 <= len(name) <= 64
        and name[0] in _ALNUM
        and all(c in _ALNUM or c in "-_." for c in name)
        and ".." not in name
    )


def parse_signal(value: str) -> str:
    """The canonical name ("SIGTERM", "SIGRTMIN+3") of a signal given by name or number."""
    if value.isascii() and value.isdecimal():
        number_ = int(value)
        if 1 <= number_ <= 64:
            return signal_name(number_)
    else:
        name = value.upper()
        name = name if name.startswith("SIG") else f"SIG{name}"
        if signal_number(name):
            return name
    known = [n for n in dir(_signal) if n.startswith("SIG") and n[3] != "_"]
    hint = closest(value.upper(), known + [n[3:] for n in known])
    raise UsageError(f'invalid signal "{value}"', remedy=hint or "`kill -l` lists them")


def signal_number(name: str) -> int:
    """The number of "SIGTERM", "SIGRTMIN+3" or "15"; 0 for what is no signal."""
    if name.isascii() and name.isdecimal():
        return int(name) if 1 <= int(name) <= 64 else 0
    if name in ("SIG_BLOCK", "SIG_UNBLOCK", "SIG_SETMASK", "SIG_DFL", "SIG_IGN"):
        return 0
    for base, sign, first in (("SIGRTMIN", "+", 34), ("SIGRTMAX", "-", 64)):
        if name.startswith(base):
            offset = name[len(base) :]
            if not offset:
                return first
            step = offset[1:]
            if offset[0] != sign or not step.isdecimal() or int(step) > 30:
                return 0
            return first + int(step) if sign == "+" else first - int(step)
    return int(getattr(_signal, name, 0)) if name.startswith("SIG") else 0


def signal_name(number_: int) -> str:
    """The name of a signal's number, as Docker writes it."""
    if number_ >= 34:
        return "SIGRTMIN" + (f"+{number_ - 34}" if number_ > 34 else "")
    for name in sorted(dir(_signal)):
        # SIGCLD and SIGPOLL are other names of SIGCHLD and SIGIO.
        other = name in ("SIGCLD", "SIGPOLL") or name[3:4] == "_"
        if name.startswith("SIG") and not other and getattr(_signal, name) == number_:
            return name
    return str(number_)


def parse_detach_keys(value: str) -> bytes:
    """The bytes of a sequence as "ctrl-p,ctrl-q" or "a,b": moby/term's ToBytes."""
    keys = bytearray()
    for key in value.split(","):
        if len(key) == 1 and key.isascii():
            keys.append(ord(key))
            continue
        letter = key.lower().removeprefix("ctrl-")
        if len(letter) == 1 and key.lower() != letter and "a" <= letter <= "z":
            keys.append(ord(letter) - ord("a") + 1)
        elif len(letter) == 1 and key.lower() != letter and letter in "@[\\]^_":
            keys.append(ord(letter) - ord("@"))
        else:
            raise UsageError(
                f'invalid detach keys "{value}": "{key}" is no key',
                remedy="give single characters or ctrl-X (a-z @ [ \\ ] ^ _), separated by commas",
            )
    return bytes(keys)


def absolute(path: str, cwd: str) -> str:
    """`path` from the directory `cwd`, without "." and "..": filepath.Abs.

    Raises UsageError for a relative path where `cwd` is "": see paths.current_directory().
    """
    if not cwd and not path.startswith("/"):
        raise UsageError(
            f"cannot find {path}: the current directory has been removed",
            remedy="change to another one, or give the path from / on",
        )
    parts: list[str] = []
    for part in (path if path.startswith("/") else f"{cwd}/{path}").split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)
