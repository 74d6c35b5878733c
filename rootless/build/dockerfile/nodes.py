"""Bytes of a Dockerfile -> directives, and nodes: logical lines with their place and heredocs.

Knows comments, continuation lines, parser directives and where heredocs begin and end; what the
words of an instruction mean is told in parse.py.  Source: buildkit frontend/dockerfile/parser.
"""

import re

from rootless.build.dockerfile.shellwords import Lexer
from rootless.build.dockerfile.text import BLANKS, SPACE, json_words, split_flags
from rootless.errors import BuildError
from rootless.records import dataclass

SIZE_MAX = 16 * 1024 * 1024  # bytes; nobody writes a Dockerfile of more, a wrong -f names one
DIRECTIVES = ("syntax", "escape", "check")
_SHOWN = 400  # characters of a line in an excerpt
HEREDOC_KEYWORDS = ("ADD", "COPY", "RUN")

_DIRECTIVE = re.compile(rf"#[{SPACE}]*([a-zA-Z][a-zA-Z0-9]*)[\t\f\r ]*=")
_HEREDOC = re.compile(r"(\d*)<<(-?)[\t\n\f\r ]*([^<]*)\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A document in an instruction: <<NAME.

    `expand` is false when any part of the name was quoted; `chomp` is the "-" of <<-NAME.
    """

    name: str
    content: str
    expand: bool = True
    chomp: bool = False
    descriptor: int = 0

    @property
    def text(self) -> str:
        """The content, without the tabs that <<- takes from the front of each line."""
        return re.sub(r"(?m)^\t+", "", self.content) if self.chomp else self.content


@dataclass(frozen=True, slots=True)
class Node:
    """One instruction: its logical line, taken apart as far as all instructions agree."""

    keyword: str  # as written
    flags: tuple[str, ...]
    rest: str  # everything after keyword and flags
    line: str  # the logical line: continuation lines joined, comments left out
    first_line: int
    last_line: int
    comments: tuple[str, ...] = ()  # the comment lines right above, without "#"
    heredocs: tuple[Heredoc, ...] = ()
    blank_continuation: int = 0  # the last line, if an empty one stands among the continued

    @property
    def name(self) -> str:
        return self.keyword.upper()


@dataclass(frozen=True, slots=True)
class Source:
    """A Dockerfile as text: `directives` are name -> (value, line)."""

    name: str
    lines: tuple[str, ...]
    nodes: tuple[Node, ...]
    directives: dict[str, tuple[str, int]]
    escape: str

    def excerpt(self, first: int, last: int) -> str:
        return excerpt(self.lines, first, last)


def excerpt(lines: tuple[str, ...], first: int, last: int) -> str:
    """The lines of a mistake, numbered and marked, with two lines around them.

    Long instructions show their first eight lines, and long lines their beginning.
    """
    shown = []
    end = min(last, first + 7)
    for number in range(max(1, first - 2), min(len(lines), end + 2) + 1):
        mark = ">>>" if first <= number <= last else "   "
        text = lines[number - 1].rstrip("\r\n").replace("\t", "    ")
        if len(text) > _SHOWN:
            text = f"{text[:_SHOWN]}…"
        text = "".join(c if c.isprintable() else "\ufffd" for c in text)
        shown.append(f"{number:4} | {mark} {text}".rstrip())
    return "\n".join(shown)


def read(data: bytes, name: str = "Dockerfile", errors: list[BuildError] | None = None) -> Source:
    """Split a Dockerfile into nodes.  Raises BuildError with its place.

    With `errors` wrong directives and a heredoc without its end are added there, and what can
    be read all the same is.
    """
    if len(data) > SIZE_MAX:
        raise BuildError(
            f"{name} has {len(data)} bytes, more than {SIZE_MAX} are not read",
            remedy="name the Dockerfile with -f FILE",
            code="RL-BUILD-SYNTAX",
        )
    _refuse_no_text(data, name)
    data = data.removeprefix(b"\xef\xbb\xbf")
    text = data.decode("utf-8", "surrogateescape")
    lines = tuple(text.split("\n"))
    if lines and not lines[-1]:
        lines = lines[:-1]
    reader = _Reader(name, lines)
    reader.errors = errors
    try:
        reader.run()
        if not reader.nodes and not errors:
            reader.first = reader.at = 1
            raise BuildError(
                "the Dockerfile has no instructions" if lines else "the Dockerfile is empty",
                remedy="begin it with FROM IMAGE",
                code="RL-BUILD-EMPTY",
            )
    except BuildError as e:
        reader.locate(e)
        raise
    return Source(name, lines, tuple(reader.nodes), reader.directives, reader.escape)


def _refuse_no_text(data: bytes, name: str) -> None:
    """Raise BuildError for UTF-16, as editors on Windows write it, and for other NUL bytes."""
    at = data.find(b"\0")
    if at < 0:
        return
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    line = 1 if wide else data.count(b"\n", 0, at) + 1
    raise BuildError(
        "the Dockerfile is in UTF-16" if wide else "there is a NUL byte in this line",
        location=(name, line, line),
        remedy="save it as text in UTF-8",
        code="RL-BUILD-SYNTAX",
    )


def read_trigger(text: str, escape: str = "\\") -> Node:
    """The one node of an ONBUILD trigger, with its heredocs.  Raises BuildError without place."""
    reader = _Reader("ONBUILD", tuple(text.split("\n")))
    reader.directives_done = True
    reader.escape = escape
    reader.run()
    if len(reader.nodes) != 1:
        raise BuildError(
            "the trigger of ONBUILD is not one instruction",
            remedy="write it as ONBUILD RUN make",
            code="RL-BUILD-SYNTAX",
        )
    return reader.nodes[0]


class _Reader:
    def __init__(self, name: str, lines: tuple[str, ...]) -> None:
        self.name = name
        self.lines = lines
        self.at = 0  # lines read so far, which is the number of the last one
        self.first = 1
        self.nodes: list[Node] = []
        self.directives: dict[str, tuple[str, int]] = {}
        self.directives_done = False
        self.escape = "\\"
        self.errors: list[BuildError] | None = None

    def locate(self, e: BuildError) -> None:
        """The place of an error is what has been read last."""
        first, last = self.first, max(self.first, self.at)
        e.locate((self.name, first, last), excerpt(self.lines, first, last))

    def fail(self, e: BuildError) -> None:
        """Raise the error, or keep it where all of them are wanted."""
        if self.errors is None:
            raise e
        self.locate(e)
        self.errors.append(e)

    def run(self) -> None:
        comments: list[str] = []
        while self.at < len(self.lines):
            self.at += 1
            self.first = self.at
            line = self.lines[self.at - 1].rstrip("\r\n").lstrip(SPACE)
            if self.directive(line):
                continue
            if line.startswith("#"):
                comment = line[1:].strip(SPACE)
                comments = [*comments, comment] if comment else []
                continue
            if not line:
                comments = []
                continue
            try:
                self.nodes.append(self.node(line, tuple(comments)))
            except BuildError as e:
                self.fail(e)
                return  # a heredoc goes on to the end: nothing after it is an instruction
            comments = []

    def directive(self, line: str) -> bool:
        """Take a parser directive; anything else ends them."""
        if self.directives_done:
            return False
        match = _DIRECTIVE.match(line)
        key = match[1].lower() if match else ""
        value = line[match.end() :].strip("\t\f\r ") if match else ""
        if key not in DIRECTIVES or not value:
            self.directives_done = True
            return False
        if key in self.directives:
            self.fail(
                BuildError(
                    f"the parser directive {key} stands here twice",
                    remedy=f"remove one; the first is in line {self.directives[key][1]}",
                    code="RL-BUILD-DIRECTIVE",
                )
            )
            return True
        self.directives[key] = (value, self.at)
        if key == "escape":
            if value not in ("\\", "`"):
                self.fail(
                    BuildError(
                        f"the escape character {value!r} is not allowed",
                        remedy="it is \\ or `",
                        code="RL-BUILD-DIRECTIVE",
                    )
                )
                return True
            self.escape = value
        return True

    def node(self, line: str, comments: tuple[str, ...]) -> Node:
        first = self.at
        line, continued = self.continuation(line)
        parts = [line]
        blank = False
        while continued and self.at < len(self.lines):
            self.at += 1
            line = self.lines[self.at - 1].rstrip("\r\n")
            stripped = line.lstrip(SPACE)
            if stripped.startswith("#"):
                continue
            if not stripped:
                blank = True
                continue
            line, continued = self.continuation(line)
            parts.append(line)
        line = "".join(parts)
        blank_at = self.at if blank else 0
        keyword, _, rest = _cut_blanks(line.strip(SPACE))
        flags, rest = split_flags(rest)
        rest = rest.strip(SPACE)
        heredocs = self.heredocs(keyword, line, rest)
        return Node(keyword, tuple(flags), rest, line, first, self.at, comments, heredocs, blank_at)

    def continuation(self, line: str) -> tuple[str, bool]:
        """The line without a continuation sign at its end, and whether it has one.

        A doubled sign is no continuation; buildkit doesn't count further than two.
        """
        body = line.rstrip(" \t")
        if body.endswith(self.escape) and not body.endswith(self.escape * 2):
            return body[:-1], True
        return line, False

    def heredocs(self, keyword: str, line: str, rest: str) -> tuple[Heredoc, ...]:
        if "<<" not in line:
            return ()
        name = keyword.upper()
        if name == "ONBUILD":
            inner, _, rest = _cut_blanks(rest)
            name = inner.upper()
            _, rest = split_flags(rest)
        if name not in HEREDOC_KEYWORDS or json_words(rest) is not None:
            return ()
        return tuple(self.document(begun) for begun in heredocs_of(line))

    def document(self, begun: Heredoc) -> Heredoc:
        start = self.at
        while self.at < len(self.lines):
            self.at += 1
            line = self.lines[self.at - 1].rstrip("\r\n")
            if (line.lstrip("\t") if begun.chomp else line) == begun.name:
                content = "".join(f"{text}\n" for text in self.lines[start : self.at - 1])
                return Heredoc(begun.name, content, begun.expand, begun.chomp, begun.descriptor)
        self.at = start
        raise BuildError(
            f"the heredoc <<{begun.name} is not ended",
            remedy=f"write a line with {begun.name} and nothing else after its text",
            code="RL-BUILD-HEREDOC",
        )


def _cut_blanks(line: str) -> tuple[str, str, str]:
    """The first word, the blanks after it, and the rest."""
    match = BLANKS.search(line)
    if match is None:
        return line, "", ""
    return line[: match.start()], match[0], line[match.end() :]


def heredocs_of(line: str) -> list[Heredoc]:
    """The documents that begin in a line, still without content."""
    lexer = Lexer(keep_quotes=True, keep_escapes=True, keep_unset=True)
    try:
        words = lexer.expand(line, {}).words
    except BuildError:
        return []  # no words by our rules: the shell will say what it thinks of them
    return [heredoc for word in words if (heredoc := parse_heredoc(word))]


def parse_heredoc(word: str) -> Heredoc | None:
    """What begins with <<NAME, 3<<NAME, <<-NAME or <<"NAME"; None for any other word."""
    match = _HEREDOC.match(word)
    if match is None or not match[3]:
        return None
    try:
        plain = Lexer(keep_unset=True).expand(match[3], {}).words
        raw = Lexer(keep_quotes=True, keep_unset=True).expand(match[3], {}).words
    except BuildError:
        return None
    if len(plain) != 1 or len(raw) != 1:
        return None
    expand = _quotes(plain[0]) == _quotes(raw[0])
    return Heredoc(plain[0], "", expand, match[2] == "-", int(match[1][:9] or 0))


def _quotes(word: str) -> int:
    return word.count("'") + word.count('"')
