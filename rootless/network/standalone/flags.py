"""A command line as Go's package flag reads it: -x and --x, -x=value and -x value.  Pure.

https://pkg.go.dev/flag#hdr-Command_line_flag_syntax: parsing stops at the first word that is no
flag, or after "--"; a boolean takes its value with "=" alone.  The messages are Go's, too.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class BadFlag(Exception):
    """What is wrong with the command line; "" when help was asked for."""


class Flag:
    """`name` without dashes; `read` gets the text of the value and raises ValueError with the
    reason.  `kind` is the word for the value in the help, "" for a boolean."""

    def __init__(
        self, name: str, kind: str, read: "Callable[[str], None]", help_: str, default: str = ""
    ) -> None:
        self.name = name
        self.kind = kind
        self.read = read
        self.help = help_
        self.default = default


def parse(flags: "Sequence[Flag]", argv: "Sequence[str]") -> "list[str]":
    """Read `argv`; the words behind the flags.  Raises BadFlag."""
    known = {flag.name: flag for flag in flags}
    rest = list(argv)
    while rest and len(rest[0]) > 1 and rest[0].startswith("-"):
        word = rest.pop(0)
        if word == "--":
            break
        name, assigned, value = word.lstrip("-").partition("=")
        if len(word) - len(word.lstrip("-")) > 2 or not name:
            raise BadFlag(f"bad flag syntax: {word}")
        flag = known.get(name)
        if flag is None:
            if name in ("h", "help"):
                raise BadFlag("")
            raise BadFlag(f"flag provided but not defined: -{name}")
        if not assigned:
            if not flag.kind:
                value = "true"
            elif rest:
                value = rest.pop(0)
            else:
                raise BadFlag(f"flag needs an argument: -{name}")
        try:
            flag.read(value)
        except ValueError as e:
            what, for_ = ("value", "for flag") if flag.kind else ("boolean value", "for")
            raise BadFlag(f"invalid {what} {quoted(value)} {for_} -{name}: {e}") from e
    return rest


def usage(program: str, flags: "Sequence[Flag]") -> str:
    """The help that Go would print."""
    lines = [f"Usage of {program}:"]
    for flag in sorted(flags, key=lambda one: one.name):
        lines.append(f"  -{flag.name} {flag.kind}".rstrip())
        default = f" (default {flag.default})" if flag.default else ""
        lines.append(f"    \t{flag.help}{default}")
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """As Go's %q shows it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def boolean(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("parse error")


def integer(text: str) -> int:
    """A whole number as strconv.ParseInt reads it with base 0: 0x1f, 0o17, 0b1, 1_000."""
    try:
        return int(text, 0)
    except ValueError as e:
        raise ValueError("parse error") from e


def unsigned(text: str) -> int:
    number = integer(text)
    if number < 0 or text.startswith("+"):
        raise ValueError("parse error")
    return number


def port(text: str) -> int:
    """A port, with the message of strconv.ParseUint."""
    if not text.isascii() or not text.isdecimal():
        raise ValueError(f"strconv.ParseUint: parsing {quoted(text)}: invalid syntax")
    number = int(text)
    if number > 65535:
        raise ValueError(f"strconv.ParseUint: parsing {quoted(text)}: value out of range")
    return number


def duration(text: str) -> float:
    """Seconds of "300ms", "1h30m", "0": https://pkg.go.dev/time#ParseDuration."""
    rest = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    if rest == "0":
        return 0.0
    total = 0.0
    while rest:
        number = _leading(rest, "0123456789.")
        rest = rest[len(number) :]
        unit = _leading(rest, "nsuµmh")
        rest = rest[len(unit) :]
        try:
            total += float(number) * _UNITS[unit]
        except (ValueError, KeyError) as e:
            raise ValueError("parse error") from e
    if not text.strip("+-"):
        raise ValueError("parse error")
    return -total if text.startswith("-") else total


def _leading(text: str, characters: str) -> str:
    end = 0
    while end < len(text) and text[end] in characters:
        end += 1
    return text[:end]
