"""Messages on stderr, and where a file descriptor is a terminal, in colour."""

import os


def _say(word: str, colour: str, text: str) -> None:
    if os.isatty(2) and "NO_COLOR" not in os.environ:
        word = f"\x1b[{colour}m{word}\x1b[0m"
    try:
        # One write, so that messages of two processes are not mixed.
        os.write(2, f"{word}: {printable(text)}\n".encode("utf-8", "surrogateescape"))
    except OSError:
        pass  # a full disk, a terminal that has gone: nobody can be told, and the status says it


def printable(text: str) -> str:
    """`text` without control characters: names from images and registries must not steer a
    terminal.  In messages only: tables and names that are to be used again, cli/output.py."""
    return "".join(c if c.isprintable() or c == "\t" else _escaped(ord(c)) for c in text)


def _escaped(code: int) -> str:
    # U+DC80 to U+DCFF stand for bytes that are not UTF-8: PEP 383.
    return f"\\x{code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code:02x}"


def error(text: str) -> None:
    _say("Error", "1;31", text)


def warning(text: str) -> None:
    _say("Warning", "1;33", text)


def note(text: str) -> None:
    _say("Note", "1;36", text)
