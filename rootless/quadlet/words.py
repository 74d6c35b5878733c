"""Command lines in units, as systemd.service(5) and systemd.syntax(7) have them.  Pure.

A word "in the unit's language" may hold specifiers (%h) and variables (${HOME}); literal() puts a
plain string into that language, and expand() evaluates it where no systemd does.
"""

from collections.abc import Callable, Mapping

_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", '"': '"', "'": "'", "s": " ",
}  # fmt: skip
_WRITTEN = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
            "\v": "\\v", "\\": "\\\\", '"': '\\"'}  # fmt: skip
_DIGITS = {"x": 2, "u": 4, "U": 8}


def split(text: str) -> list[str]:
    """The words of a value: quotes are taken off, C escapes evaluated, unknown ones kept.

    Raises ValueError for a quote without an end.
    """
    words: list[str] = []
    word, quote = "", ""
    started = False
    position = 0
    while position < len(text):
        char = text[position]
        if char == "\\":
            char, position = _escape(text, position)
            word, started = word + char, True
            continue
        position += 1
        if quote:
            if char == quote:
                quote = ""
            else:
                word += char
        elif char in "\"'":
            quote, started = char, True
        elif char in " \t\n\r":
            if started:
                words.append(_joined(word))
            word, started = "", False
        else:
            word, started = word + char, True
    if quote:
        raise ValueError(f"the quote {quote} has no end")
    return [*words, _joined(word)] if started else words


def _escape(text: str, position: int) -> tuple[str, int]:
    """The character of the escape that begins at `position`, and the position after it."""
    kind = text[position + 1 : position + 2]
    if kind in _ESCAPES:
        return _ESCAPES[kind], position + 2
    count = _DIGITS.get(kind, 0)
    digits = text[position + 2 : position + 2 + count]
    if count and len(digits) == count and all(c in "0123456789abcdefABCDEF" for c in digits):
        code = int(digits, 16)
        if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000:
            return _byte(code) if kind == "x" else chr(code), position + 2 + count
    octal = text[position + 1 : position + 4]
    if len(octal) == 3 and all(c in "01234567" for c in octal) and 0 < int(octal, 8) < 256:
        return _byte(int(octal, 8)), position + 4
    return "\\", position + 1


def _byte(code: int) -> str:
    r"""\xHH and \nnn are bytes, as Python holds those that are no text."""
    return bytes([code]).decode("utf-8", "surrogateescape")


def _joined(word: str) -> str:
    """Bytes that are text together become so."""
    return word.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def quote(word: str) -> str:
    """One word as it is written in a command line or an Environment=; the reverse of split()."""
    if word and word != ";" and not any(c in " \"'\\" or _is_odd(c) for c in word):
        return word
    written = ""
    for char in word:
        plain = f"\\x{ord(char) & 0xFF:02x}" if _is_odd(char) else char
        written += _WRITTEN.get(char, plain)
    return f'"{written}"'


def _is_odd(char: str) -> bool:
    """Control characters, and bytes that are no text."""
    return char < " " or char == "\x7f" or "\udc80" <= char <= "\udcff"


def command_line(words: list[str]) -> str:
    """The value of an ExecStart= of words in the unit's language."""
    return " ".join(quote(word) for word in words)


def literal(text: str) -> str:
    """A plain string in the unit's language: nothing in it is a specifier or a variable."""
    return text.replace("%", "%%").replace("$", "$$")


def expand(
    words: list[str], specifier: Callable[[str], str], environ: Mapping[str, str]
) -> list[str]:
    """The words as the program would see them: specifiers first, then variables.

    `${X}` is replaced anywhere, `$X` as a word of its own by any number of words, `$$` is a dollar
    (systemd.service(5), "Command lines").  A variable that is not set is empty.
    """
    found: list[str] = []
    for raw in words:
        word = specifiers(raw, specifier)
        name = word[1:]
        if word.startswith("$") and _is_name(name):
            found += environ.get(name, "").split()
        else:
            found.append(_variables(word, environ))
    return found


def specifiers(text: str, value: Callable[[str], str]) -> str:
    """`text` with %x replaced by value("x"), and %% by %."""
    out, position = "", 0
    while position < len(text):
        char = text[position]
        following = text[position + 1 : position + 2]
        if char != "%" or not following:
            out, position = out + char, position + 1
        else:
            out += "%" if following == "%" else value(following)
            position += 2
    return out


def _variables(word: str, environ: Mapping[str, str]) -> str:
    out, position = "", 0
    while position < len(word):
        if word.startswith("$$", position):
            out, position = out + "$", position + 2
            continue
        end = word.find("}", position)
        name = word[position + 2 : end]
        if word.startswith("${", position) and end > 0 and _is_name(name):
            out, position = out + environ.get(name, ""), end + 1
        else:
            out, position = out + word[position], position + 1
    return out


def _is_name(text: str) -> bool:
    return (
        bool(text)
        and text.replace("_", "a").isalnum()
        and text.isascii()
        and not (text[0].isdigit())
    )
