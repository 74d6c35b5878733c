"""The part of YAML 1.2 that programs write: block mappings and sequences, and scalars.  Pure.

For CDI specifications, which tools generate.  Anchors, tags, several documents, block scalars and
nested flow collections are errors: BadDocument, with the line.
"""

from rootless import fastjson
from rootless.errors import BadDocument

_WORDS: "dict[str, object]" = {
    "": None, "~": None, "null": None, "Null": None, "true": True, "True": True, "false": False,
    "False": False,
}  # fmt: skip
_Line = tuple[int, int, str]  # (number, indentation, text)


def parse(text: str, what: str) -> object:
    """The value of a document; `what` names it in errors.  JSON is YAML, too."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return fastjson.loads(text)
        except ValueError as e:
            raise BadDocument(f"{what} is not JSON: {e}", remedy="generate it again") from e
    parser = _Parser(text, what)
    value = parser.block(0)
    parser.end()
    return value


class _Parser:
    def __init__(self, text: str, what: str) -> None:
        self._what = what
        self._lines: list[_Line] = []
        for number, line in enumerate(text.splitlines(), 1):
            body = _without_comment(line)
            if not body.strip() or (body.rstrip() == "---" and not self._lines):
                continue
            indentation = len(body) - len(body.lstrip(" "))
            if body[indentation] == "\t":
                raise self._bad(number, "a tab among the blanks in front")
            self._lines.append((number, indentation, body.strip()))
        self._next = 0

    def end(self) -> None:
        if self._next < len(self._lines):
            raise self._bad(self._lines[self._next][0], "what is this line part of?")

    def block(self, least: int) -> object:
        """The collection whose lines are indented by at least `least`; None for none."""
        if self._next >= len(self._lines) or self._lines[self._next][1] < least:
            return None
        _, indentation, text = self._lines[self._next]
        if text == "-" or text.startswith("- "):
            return self._sequence(indentation)
        if _key(text) is not None:
            return self._mapping(indentation)
        number, _, text = self._lines[self._next]
        self._next += 1
        return self._scalar(text, number)

    def _sequence(self, indentation: int) -> list[object]:
        items: list[object] = []
        while self._next < len(self._lines):
            number, found, text = self._lines[self._next]
            if found != indentation or not (text == "-" or text.startswith("- ")):
                break
            rest = text[1:].lstrip(" ")
            if not rest:
                self._next += 1
                items.append(self.block(indentation + 1))
                continue
            # What follows the dash is the first line of a block that is indented as it stands.
            inner = indentation + len(text) - len(rest)
            self._lines[self._next] = (number, inner, rest)
            items.append(self.block(inner))
        return items

    def _mapping(self, indentation: int) -> dict[str, object]:
        found: dict[str, object] = {}
        while self._next < len(self._lines):
            number, here, text = self._lines[self._next]
            if here < indentation:
                break
            pair = _key(text)
            if here > indentation or pair is None:
                raise self._bad(number, "expected KEY: VALUE")
            name = str(self._scalar(pair[0], number)) if pair[0][:1] in "\"'" else pair[0]
            self._next += 1
            if pair[1]:
                found[name] = self._scalar(pair[1], number)
            elif self._next < len(self._lines) and self._lines[self._next][1] == indentation:
                # A sequence may stand at the key's own indentation.
                is_list = self._lines[self._next][2].startswith("-")
                found[name] = self._sequence(indentation) if is_list else None
            else:
                found[name] = self.block(indentation + 1)
        return found

    def _scalar(self, text: str, number: int) -> object:
        if text.startswith("'"):
            if len(text) < 2 or not text.endswith("'"):
                raise self._bad(number, "a quote that is not closed")
            return text[1:-1].replace("''", "'")
        if text.startswith(('"', "[", "{")):
            if text.startswith("[") and text.endswith("]") and '"' not in text:
                words = [word.strip() for word in text[1:-1].split(",")]
                return [self._scalar(word, number) for word in words if word]
            try:
                value: object = fastjson.loads(text)
            except ValueError as e:
                raise self._bad(number, str(e)) from e
            return value
        if text[:1] in "&*!|>%@`":
            raise self._bad(number, f"{text[:1]} is not understood here")
        if text in _WORDS:
            return _WORDS[text]
        if text.lstrip("-").isdecimal() and text.isascii():
            return int(text, 8) if text.startswith("0") and len(text) > 1 else int(text)
        return text

    def _bad(self, number: int, why: str) -> BadDocument:
        return BadDocument(f"{self._what}, line {number}: {why}", remedy="generate it as JSON")


def _key(text: str) -> tuple[str, str] | None:
    """(key, rest) of KEY: VALUE and KEY:"""
    if text[:1] in ("'", '"'):
        end = text.find(text[0], 1)
        if end > 0 and text[end + 1 : end + 2] == ":" and text[end + 2 : end + 3] in ("", " "):
            return text[: end + 1], text[end + 2 :].strip()
        return None
    if text.endswith(":") and ": " not in text:
        return text[:-1], ""
    name, colon, rest = text.partition(": ")
    return (name, rest.strip()) if colon else None


def _without_comment(line: str) -> str:
    quote = ""
    for index, c in enumerate(line):
        if quote:
            quote = "" if c == quote else quote
        elif c in "\"'" and (index == 0 or line[index - 1] in " -:[,{'"):
            quote = c
        elif c == "#" and (index == 0 or line[index - 1] in " \t"):
            return line[:index]
    return line
