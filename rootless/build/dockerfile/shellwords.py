"""Variables, quotes and escapes in the words of a Dockerfile.

Source of the rules: buildkit frontend/dockerfile/shell/lex.go, and POSIX 2.6.2 for ${...}.
"""

from collections.abc import Mapping

from rootless.build.dockerfile.text import is_space
from rootless.errors import BuildError
from rootless.records import dataclass, field

NESTING_MAX = 100  # ${a:-${b:-...}}: nobody writes more, and Python's stack holds it
_SPECIAL = frozenset("@*#?-$!0")


@dataclass(slots=True)
class Expansion:
    """What a word became: as one text, split into words, and the variables it asked for."""

    text: str = ""
    words: list[str] = field(default_factory=list)
    found: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Lexer:
    """How words are read: `escape` is the Dockerfile's escape character.

    keep_quotes and keep_escapes leave them in the result; quotes=False gives them no meaning
    (bodies of heredocs); keep_unset leaves references to unknown variables as they are.
    """

    escape: str = "\\"
    keep_quotes: bool = False
    keep_escapes: bool = False
    quotes: bool = True
    keep_unset: bool = False

    def expand(self, word: str, environment: Mapping[str, str]) -> Expansion:
        """Expand `word`.  Raises BuildError (RL-BUILD-VARIABLE, RL-BUILD-SYNTAX)."""
        reader = _Reader(self, word, environment)
        text, words = reader.until("", self.keep_escapes)
        return Expansion(text, words, reader.found, reader.missing)


class _Words:
    """Splits at white space that was neither quoted nor escaped."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.word: list[str] = []

    def plain(self, text: str) -> None:
        for character in text:
            if is_space(character):
                self.end()
            else:
                self.word.append(character)

    def raw(self, text: str) -> None:
        if text:
            self.word.append(text)

    def end(self) -> None:
        if self.word:
            self.done.append("".join(self.word))
            self.word = []


class _Reader:
    def __init__(self, lexer: Lexer, source: str, environment: Mapping[str, str]) -> None:
        self.lexer = lexer
        self.source = source
        self.environment = environment
        self.position = 0
        self.depth = 0
        self.found: set[str] = set()
        self.missing: set[str] = set()

    def peek(self) -> str:
        return self.source[self.position : self.position + 1]

    def next(self) -> str:
        character = self.peek()
        self.position += 1
        return character

    def error(self, problem: str, remedy: str | None = None) -> BuildError:
        return BuildError(f"{problem} in {self.source!r}", remedy=remedy, code="RL-BUILD-SYNTAX")

    def until(self, stop: str, keep_escapes: bool) -> tuple[str, list[str]]:
        """Everything up to `stop`, which is consumed; "" is the end of the word."""
        text: list[str] = []
        words = _Words()
        while character := self.peek():
            if character == stop:
                self.position += 1
                break
            if character == "$":
                value = self.dollar(keep_escapes)
                text.append(value)
                words.plain(value)
            elif character in ("'", '"') and self.lexer.quotes:
                quoted = self.double(keep_escapes) if character == '"' else self.single()
                text.append(quoted)
                words.raw(quoted)
            elif character == "<" and self.source.startswith("<<", self.position):
                # White space may stand between << and the word that ends the document.
                start = self.position
                self.position += 2
                while self.peek() and is_space(self.peek()):
                    self.position += 1
                text.append(self.source[start : self.position])
                words.raw(self.source[start : self.position])
            elif character == self.lexer.escape:
                self.position += 1
                escaped = self.next()
                if keep_escapes:
                    escaped = character + escaped
                text.append(escaped)
                words.raw(escaped)
            else:
                self.position += 1
                text.append(character)
                words.plain(character)
        else:
            if stop:
                raise self.error(f"no {stop} ends what began")
        words.end()
        return "".join(text), words.done

    def single(self) -> str:
        end = self.source.find("'", self.position + 1)
        if end < 0:
            raise self.error("a single quote is not closed")
        keep = self.lexer.keep_quotes
        text = self.source[self.position + (not keep) : end + keep]
        self.position = end + 1
        return text

    def double(self, keep_escapes: bool) -> str:
        keep = '"' if self.lexer.keep_quotes else ""
        text = [keep]
        self.position += 1
        while character := self.peek():
            if character == '"':
                self.position += 1
                return "".join(text) + keep
            if character == "$":
                text.append(self.dollar(keep_escapes))
                continue
            self.position += 1
            if character == self.lexer.escape:
                following = self.peek()
                if following and following in ('"', "$", self.lexer.escape):
                    self.position += 1
                    text.append(character + following if keep_escapes else following)
                    continue
            text.append(character)
        raise self.error("a double quote is not closed")

    def dollar(self, keep_escapes: bool) -> str:
        start = self.position
        self.position += 1
        if self.peek() != "{":
            name = self.name()
            if not name:
                return "$"
            value = self.get(name)
            return self.source[start : self.position] if self.keeps(value) else value or ""
        self.depth += 1
        if self.depth > NESTING_MAX:
            raise self.error(f"more than {NESTING_MAX} ${{...}} in each other")
        try:
            return self.braces(start)
        finally:
            self.depth -= 1

    def braces(self, start: int) -> str:
        self.position += 1
        if self.peek() in ("", "{", "}", ":"):
            raise self.error("a bad ${...}", "write it as ${NAME} or ${NAME:-default}")
        name = self.name()
        operator = self.next()
        if operator == "}":
            value = self.get(name)
            return self.source[start : self.position] if self.keeps(value) else value or ""
        if operator == "/":
            return self.replace(start, name)
        empty_is_unset = operator == ":"
        if empty_is_unset:
            operator = self.next()
        if not operator:
            raise self.error(f"no }} ends ${{{name}")
        unknown = operator not in "+-?#%"
        if unknown and not empty_is_unset:
            raise self.unknown(name, operator)
        word, _ = self.until("}", operator in "#%")
        value = self.get(name)
        if self.keeps(value):
            return self.source[start : self.position]  # ${v:0:2} too, which a shell will read
        if unknown:
            raise self.unknown(name, f":{operator}")
        if operator in "#%":
            return _trim(value or "", word, operator, self)
        is_set = value is not None and not (empty_is_unset and value == "")
        if operator == "+":
            return word if is_set else ""
        if is_set:
            return value or ""
        if operator == "-":
            return word
        problem = word or f"is not allowed to be {'unset' if value is None else 'empty'}"
        raise BuildError(
            f"{name}: {problem}", remedy=f"set it, as {name}=value", code="RL-BUILD-VARIABLE"
        )

    def unknown(self, name: str, operator: str) -> BuildError:
        return self.error(
            f"the modifier {operator} of ${{{name}}} is unknown",
            "known are :- - :+ + :? ? # ## % %% / //",
        )

    def replace(self, start: int, name: str) -> str:
        everywhere = self.peek() == "/"
        if everywhere:
            self.position += 1
        pattern, _ = self.until("/", True)
        replacement, _ = self.until("}", True)
        value = self.get(name)
        if self.keeps(value):
            return self.source[start : self.position]
        return _substitute(value or "", _tokens(pattern, self), replacement, everywhere)

    def keeps(self, value: str | None) -> bool:
        return value is None and self.lexer.keep_unset

    def name(self) -> str:
        """A name, digits, or one special character; "" where none of them stands."""
        start = self.position
        first = self.peek()
        if first.isdecimal():
            while self.peek().isdecimal():
                self.position += 1
        elif first and first in _SPECIAL:
            self.position += 1
        else:
            while (c := self.peek()).isalpha() or c.isdecimal() or c == "_":
                self.position += 1
        return self.source[start : self.position]

    def get(self, name: str) -> str | None:
        value = self.environment.get(name)
        (self.missing if value is None else self.found).add(name)
        return value


# Patterns: * is any text, ? any character, nothing else is special.  None stands for "*" and ""
# for "?" in a list of tokens.

_Tokens = list[str | None]


def _tokens(pattern: str, reader: _Reader) -> _Tokens:
    tokens: _Tokens = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*":
            tokens.append(None)
        elif character == "?":
            tokens.append("")
        elif character == "\\":
            following = pattern[position : position + 1]
            if not following or following not in "*?\\}/":
                raise reader.error(f"the escape \\{following} in the pattern {pattern!r}")
            tokens.append(following)
            position += 1
        else:
            tokens.append(character)
    return tokens


def _ends(tokens: _Tokens, text: str, start: int) -> set[int]:
    """Where a match that begins at `start` can end.  Never more than len(tokens) * len(text)."""
    ends = {start}
    for token in tokens:
        if not ends:
            break
        if token is None:
            ends = set(range(min(ends), len(text) + 1))
        else:
            ends = {e + 1 for e in ends if e < len(text) and token in ("", text[e])}
    return ends


def _trim(value: str, word: str, operator: str, reader: _Reader) -> str:
    """${v#p} and ${v%p} cut the shortest match, doubled the longest."""
    longest = word.startswith(operator)
    tokens = _tokens(word[longest:], reader)
    if operator == "%":
        value = value[::-1]
        tokens.reverse()
    if ends := _ends(tokens, value, 0):
        value = value[max(ends) if longest else min(ends) :]
    return value[::-1] if operator == "%" else value


def _substitute(value: str, tokens: _Tokens, replacement: str, everywhere: bool) -> str:
    done: list[str] = []
    position, last_end = 0, -1
    while position <= len(value):
        ends = _ends(tokens, value, position)
        end = max(ends) if ends else -1
        if end > position or (end == position and end != last_end):
            done.append(replacement)
            if not everywhere:
                return "".join(done) + value[end:]
            last_end = end
            if end > position:
                position = end
                continue
        done.append(value[position : position + 1])
        position += 1
    return "".join(done)
