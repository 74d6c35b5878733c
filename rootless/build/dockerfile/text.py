"""White space as Go sees it, words of an instruction, flags in front of them, JSON arrays.

Source: buildkit frontend/dockerfile/parser, line_parsers.go and split_command.go.
"""

import json
import re

from rootless.errors import BuildError

# unicode.IsSpace, which differs from str.isspace() in U+001C..U+001F.
SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_SPACES = frozenset(SPACE)
# What separates words: not the newline, and nothing beyond ASCII.
BLANKS = re.compile(r"[\t\v\f\r ]+")


def is_space(character: str) -> bool:
    """Go's unicode.IsSpace."""
    return character in _SPACES


def split_blanks(rest: str) -> list[str]:
    """Words between blanks, quotes without meaning, as of COPY, FROM and EXPOSE."""
    return BLANKS.split(rest) if rest else []


def split_words(rest: str, escape: str) -> list[str]:
    """Words between spaces, where quotes and escapes protect; both are kept for the expansion."""
    words: list[str] = []
    word: list[str] = []
    quote = ""
    may_be_empty = False
    position, end = 0, len(rest)
    while position < end:
        character = rest[position]
        position += 1
        if not quote and is_space(character):
            if word or may_be_empty:
                words.append("".join(word))
            word, may_be_empty = [], False
            continue
        if character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote, may_be_empty = character, True
        elif character == escape and quote != "'":
            if position == end:
                break  # an escape at the very end means nothing
            word.append(character)
            character = rest[position]
            position += 1
        word.append(character)
    if word or may_be_empty:
        words.append("".join(word))
    return words


def split_flags(rest: str) -> tuple[list[str], str]:
    """The words in front that begin with "--", unquoted, and what comes after them.

    A word "--" ends them and is dropped.  The escape here is always the backslash.
    """
    flags: list[str] = []
    position = 0
    while True:
        while position < len(rest) and is_space(rest[position]):
            position += 1
        if not rest.startswith("--", position):
            return flags, rest[position:]
        word, position = _flag_word(rest, position)
        if word == "--":
            return flags, rest[position:]
        if word:
            flags.append(word)


def _flag_word(rest: str, position: int) -> tuple[str, int]:
    word: list[str] = []
    quote = ""
    while position < len(rest):
        character = rest[position]
        if not quote and is_space(character):
            break
        position += 1
        if character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        elif character == "\\":
            if position < len(rest):
                word.append(rest[position])
                position += 1
        else:
            word.append(character)
    return "".join(word), position


def json_words(rest: str) -> list[str] | None:
    """The strings of a JSON array; None for anything that is no valid JSON array.

    Raises BuildError for a valid array with something else than strings in it, and for NUL.
    """
    rest = rest.lstrip(SPACE)
    if not rest.startswith("["):
        return None
    try:
        value = json.loads(rest, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(word, str) for word in value):
        raise BuildError(
            "the JSON array has something else than strings in it",
            remedy='write every word in double quotes: ["sleep", "10"]',
            code="RL-BUILD-SYNTAX",
        )
    if any("\0" in word for word in value):
        raise BuildError(
            "a word of the JSON array has a NUL character in it",
            remedy="no argument, path or name can hold one: take \\u0000 out",
            code="RL-BUILD-SYNTAX",
        )
    # Go turns half a surrogate pair into U+FFFD; here it would be taken for a raw byte.
    return [re.sub("[\ud800-\udfff]", "\ufffd", word) for word in value] if "\\u" in rest else value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def nearest(word: str, known: "list[str] | tuple[str, ...]") -> str | None:
    """What `word` was meant to be: at most a third of it mistyped, as BuildKit suggests."""
    best, best_distance = None, 4
    for candidate in known:
        distance = _distance(word.lower(), candidate.lower(), best_distance)
        limit = max(1, min(len(word), len(candidate)) // 3 + (len(word) > 4))
        if candidate != word and distance <= limit and distance < best_distance:
            best, best_distance = candidate, distance
    return best


def did_you_mean(word: str, known: "list[str] | tuple[str, ...]") -> str | None:
    """The remedy "did you mean X?", or None without an idea."""
    found = nearest(word, known)
    return f"did you mean {found}?" if found else None


def _distance(a: str, b: str, limit: int) -> int:
    """Edits (insert, delete, replace, swap of neighbours) from a to b; `limit` if that many."""
    if abs(len(a) - len(b)) >= limit:
        return limit
    before: list[int] = []
    previous = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, previous = previous, row
    return min(previous[-1], limit)
