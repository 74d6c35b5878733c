"""Go's text/template: text in, tree out.  Pure, by hand: re and its kin cost imports.  Warm.

Nodes are tuples:
    ("text", text)                     ("print", pipe)
    ("if" | "with", pipe, body, else)  ("range", pipe, body, else)
    ("break",)                         ("continue",)
A pipe is (names, declares, commands); a command is a list of operands, an operand a tuple
(kind, value, fields, position).  The kinds: literal, dot, variable, function, pipe.
"""

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Node = tuple[Any, ...]
    Operand = tuple[str, Any, list[str], int]
    Command = list[Operand]
    Pipe = tuple[list[str], bool, list[Command]]
    Token = tuple[str, Any, int]

_SPACE = " \t\r\n"
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "'": "'", "a": "\a", "b": "\b"}
_KEYWORDS = frozenset(("if", "else", "end", "range", "with", "break", "continue"))
_UNKNOWN_KEYWORDS = frozenset(("define", "template", "block"))


def error(text: str, position: int, why: str) -> UsageError:
    """A UsageError that shows where in the template it is."""
    return UsageError(
        f"bad format {text!r}: at character {position + 1}: {why}",
        remedy="it takes Go's template syntax",
        code="RL-FORMAT",
    )


def parse(text: str) -> "list[Node]":
    """The nodes of a template.  Raises UsageError RL-FORMAT."""
    parser = _Parser(text)
    nodes, stopped_by = parser.nodes(0)
    if stopped_by is not None:
        raise error(text, stopped_by[2], f"unexpected {{{{{stopped_by[1]}}}}}")
    return nodes


class _Parser:
    """Holds the pieces of the template and where we are in them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.pieces = _pieces(text)
        self.at = 0
        self.loops = 0

    def nodes(self, opened: int) -> "tuple[list[Node], Token | None]":
        """Nodes up to {{end}}, {{else}} (whose token is returned) or the end of the text."""
        found: list[Node] = []
        while self.at < len(self.pieces):
            is_action, content, position = self.pieces[self.at]
            self.at += 1
            if not is_action:
                found.append(("text", content))
                continue
            tokens = _tokens(self.text, content, position)
            if not tokens:
                raise error(self.text, position, "nothing between the braces")
            kind, word, _ = tokens[0]
            if kind == "name" and word in ("end", "else"):
                self.rest = tokens[1:]
                return found, tokens[0]
            if kind == "name" and word in _KEYWORDS:
                found.append(self.control(word, tokens))
            elif kind == "name" and word in _UNKNOWN_KEYWORDS:
                raise error(self.text, position, f"{word} is not supported")
            else:
                found.append(("print", self.pipe(tokens)))
        return found, None

    def control(self, word: str, tokens: "list[Token]") -> "Node":
        """The node of an action that begins with a keyword."""
        position = tokens[0][2]
        if word in ("break", "continue"):
            if not self.loops:
                raise error(self.text, position, f"{word} outside of a range")
            return (word,)
        if len(tokens) == 1:
            raise error(self.text, position, f"{word} needs a value")
        pipe = self.pipe(tokens[1:])
        self.loops += word == "range"
        body, stopped_by = self.nodes(position)
        self.loops -= word == "range"
        otherwise: list[Node] = []
        if stopped_by is not None and stopped_by[1] == "else":
            rest = self.rest
            if rest and rest[0][0] == "name" and rest[0][1] in ("if", "with"):
                # {{else if x}} is {{else}}{{if x}} with one {{end}} for both.
                return (word, pipe, body, [self.control(rest[0][1], rest)])
            otherwise, stopped_by = self.nodes(position)
        if stopped_by is None or stopped_by[1] != "end":
            raise error(self.text, position, f"{word} without an end")
        return (word, pipe, body, otherwise)

    def pipe(self, tokens: "list[Token]") -> "Pipe":
        """[$a[, $b] :=] command | command ..."""
        names: list[str] = []
        declares = False
        for index, (kind, value, _) in enumerate(tokens[:4]):
            if kind == "mark" and value in (":=", "="):
                heads = tokens[:index:2]
                if not heads or any(token[0] != "variable" or token[1][1] for token in heads):
                    raise error(self.text, tokens[index][2], f"no variable before {value}")
                names = [token[1][0] for token in heads]
                declares = value == ":="
                tokens = tokens[index + 1 :]
                break
        commands: list[Command] = []
        command: Command = []
        index = 0
        while index < len(tokens):
            kind, value, position = tokens[index]
            if kind == "mark" and value == "|":
                if not command:
                    raise error(self.text, position, "nothing before |")
                commands.append(command)
                command = []
                index += 1
            elif kind == "mark" and value == "(":
                inner, index = self.parenthesis(tokens, index)
                command.append(inner)
            elif kind == "mark":
                raise error(self.text, position, f"unexpected {value}")
            else:
                command.append(_operand(kind, value, position))
                index += 1
        if not command:
            where = tokens[-1][2] if tokens else len(self.text)
            raise error(self.text, where, "a value is missing")
        commands.append(command)
        return names, declares, commands

    def parenthesis(self, tokens: "list[Token]", index: int) -> "tuple[Operand, int]":
        """The operand of tokens[index], an opening parenthesis, and the index after it."""
        depth = 0
        for end in range(index, len(tokens)):
            kind, value, _ = tokens[end]
            if kind == "mark" and value in ("(", ")"):
                depth += 1 if value == "(" else -1
                if depth == 0:
                    fields: list[str] = []
                    pipe = self.pipe(tokens[index + 1 : end])
                    after = end + 1
                    # (pipe).Field: the field follows without a space.
                    if after < len(tokens) and tokens[after][0] == "field":
                        position = tokens[after][2]
                        if self.text[position - 1] == ")":
                            fields = tokens[after][1]
                            after += 1
                    return ("pipe", pipe, fields, tokens[index][2]), after
        raise error(self.text, tokens[index][2], "( without )")


def _operand(kind: str, value: "Any", position: int) -> "Operand":
    if kind == "field":
        return "dot", None, value, position
    if kind == "variable":
        return "variable", value[0], value[1], position
    if kind == "name":
        if value in ("true", "false"):
            return "literal", value == "true", [], position
        if value == "nil":
            return "literal", None, [], position
        return "function", value, [], position
    return "literal", value, [], position


def _pieces(text: str) -> "list[tuple[bool, str, int]]":
    """Text and actions: (is an action, content, its position); comments are left out."""
    pieces: list[tuple[bool, str, int]] = []
    at = 0
    trim_next = False
    while True:
        start = text.find("{{", at)
        plain = text[at:] if start < 0 else text[at:start]
        if trim_next:
            plain = plain.lstrip(_SPACE)
        if start < 0:
            if plain:
                pieces.append((False, plain, at))
            return pieces
        inner = start + 2
        if text[inner : inner + 1] == "-" and text[inner + 1 : inner + 2] in tuple(_SPACE):
            plain = plain.rstrip(_SPACE)
            inner += 2
        if plain:
            pieces.append((False, plain, at))
        end = _end_of_action(text, inner)
        content = text[inner:end]
        trim_next = len(content) > 1 and content[-1] == "-" and content[-2] in _SPACE
        if trim_next:
            content = content[:-1]
        if not content.lstrip(_SPACE).startswith("/*"):
            pieces.append((True, content, inner))
        elif not content.rstrip(_SPACE).endswith("*/"):
            raise error(text, start, "a comment without an end")
        at = end + 2


def _end_of_action(text: str, at: int) -> int:
    """Where the }} of an action is that begins at `at`; those in strings do not count."""
    start = at
    if text[at:].lstrip(_SPACE).startswith("/*"):
        end = text.find("*/", at)
        at = end if end >= 0 else len(text)
    while at < len(text):
        c = text[at]
        if c in "\"'":
            at = _end_of_string(text, at)
        elif c == "`":
            close = text.find("`", at + 1)
            if close < 0:
                raise error(text, at, "a string without an end")
            at = close + 1
        elif text.startswith("}}", at):
            return at
        else:
            at += 1
    raise error(text, start, "{{ without }}")


def _end_of_string(text: str, at: int) -> int:
    quote = text[at]
    end = at + 1
    while end < len(text) and text[end] != quote:
        end += 2 if text[end] == "\\" else 1
    if end >= len(text):
        raise error(text, at, "a string without an end")
    return end + 1


def _tokens(text: str, content: str, base: int) -> "list[Token]":
    """The words of an action: (kind, value, position in the template)."""
    tokens: list[Token] = []
    at = 0
    while at < len(content):
        c = content[at]
        position = base + at
        if c in _SPACE:
            at += 1
        elif c in "\"'":
            end = _end_of_string(content, at)
            string = _unquote(text, content[at + 1 : end - 1], position)
            # A Go character constant is a number.
            tokens.append(("literal", string if c == '"' else ord(string[:1] or "\0"), position))
            at = end
        elif c == "`":
            end = content.index("`", at + 1)
            tokens.append(("literal", content[at + 1 : end], position))
            at = end + 1
        elif c in "|(),=":
            tokens.append(("mark", c, position))
            at += 1
        elif content.startswith(":=", at):
            tokens.append(("mark", ":=", position))
            at += 2
        elif c == "." and not content[at + 1 : at + 2].isdecimal():
            fields, at = _fields(text, content, at, base)
            tokens.append(("field", fields, position))
        elif c == "$":
            end = _end_of_name(content, at + 1)
            fields, after = _fields(text, content, end, base)
            tokens.append(("variable", (content[at:end], fields), position))
            at = after
        elif c.isdecimal() or c in "+-.":
            end = at + 1
            while end < len(content) and (content[end].isalnum() or content[end] in "._+-"):
                end += 1
            tokens.append(("literal", _number(text, content[at:end], position), position))
            at = end
        elif c.isalpha() or c == "_":
            end = _end_of_name(content, at)
            tokens.append(("name", content[at:end], position))
            at = end
        else:
            raise error(text, position, f"unexpected {c!r}")
    return tokens


def _fields(text: str, content: str, at: int, base: int) -> "tuple[list[str], int]":
    """`.A.B` from `at` on: the names (none for `.` alone), and where it ends."""
    fields: list[str] = []
    while at < len(content) and content[at] == ".":
        end = _end_of_name(content, at + 1)
        if end == at + 1:
            if fields or content[end : end + 1] == ".":
                raise error(text, base + at, "a field's name is missing")
            return [], end
        fields.append(content[at + 1 : end])
        at = end
    return fields, at


def _end_of_name(content: str, at: int) -> int:
    while at < len(content) and (content[at].isalnum() or content[at] == "_"):
        at += 1
    return at


def _unquote(text: str, body: str, position: int) -> str:
    if "\\" not in body:
        return body
    out = ""
    at = 0
    while at < len(body):
        c = body[at]
        if c != "\\":
            out += c
            at += 1
            continue
        kind = body[at + 1 : at + 2]
        digits = {"x": 2, "u": 4, "U": 8}.get(kind, 0)
        if digits:
            try:
                out += chr(int(body[at + 2 : at + 2 + digits], 16))
            except (ValueError, OverflowError):
                raise error(text, position, "a bad escape in a string") from None
        elif kind in _ESCAPES:
            out += _ESCAPES[kind]
        else:
            raise error(text, position, f"a bad escape in a string: \\{kind}")
        at += 2 + digits
    return out


def _number(text: str, word: str, position: int) -> "int | float":
    try:
        return int(word, 0)
    except ValueError:
        pass
    try:
        return float(word)
    except ValueError:
        raise error(text, position, f"{word} is no number") from None
