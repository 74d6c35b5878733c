""".dockerignore and COPY --exclude: which paths of a context are left out.

Source: github.com/moby/patternmatcher (the patterns are Go's path/filepath.Match and "**"),
its ignorefile package, and docs.docker.com/build/concepts/context.
"""

import posixpath
import re
from collections.abc import Callable, Iterable

from rootless.build.dockerfile.text import SPACE
from rootless.errors import BuildError
from rootless.records import dataclass

NAME = ".dockerignore"


def choose(dockerfile: str, context: str, exists: Callable[[str], bool]) -> str | None:
    """The path of the ignore file in force: that of the Dockerfile, else that of the context.

    Only one is read: an existing Dockerfile.dockerignore hides .dockerignore.
    """
    for path in (f"{dockerfile}{NAME}", posixpath.join(context, NAME)):
        if exists(path):
            return path
    return None


def read_patterns(data: bytes) -> list[str]:
    """The patterns of an ignore file, cleaned, in order."""
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    patterns = []
    for line in text.split("\n"):
        # A comment begins in the first column; " #x" is a file of that name.
        if line.startswith("#") or not (line := line.strip(SPACE)):
            continue
        sign = "!" if line.startswith("!") else ""
        pattern = line[len(sign) :].strip(SPACE)
        if pattern:
            pattern = clean(pattern)
            if len(pattern) > 1:
                pattern = pattern.removeprefix("/")
        patterns.append(sign + pattern)
    return patterns


def clean(path: str) -> str:
    """Go's path.Clean."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line: `text` without the "!" of an exception, and the test of a whole path."""

    text: str
    exception: bool
    test: Callable[[str], bool]

    @property
    def literal(self) -> str:
        """The leading directories without wildcards."""
        parts = self.text.split("/")
        plain = next((i for i, p in enumerate(parts) if re.search(r"[*?\[\\]", p)), len(parts))
        return "/".join(parts[:plain])


# What a walk remembers of a directory: which patterns it matched.
State = tuple[bool, ...]


class Matcher:
    """Patterns in order: the last one that matches a path, or a directory above it, decides."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Raises BuildError (RL-BUILD-IGNORE) for a pattern that is none."""
        self.patterns: list[Pattern] = []
        for text in patterns:
            text = text.strip(SPACE)
            if not text:
                continue
            text = clean(text)
            exception = text.startswith("!")
            if exception:
                text = text[1:]
                if not text:
                    raise _bad("!", "write what is not to be ignored after it")
            self.patterns.append(Pattern(text, exception, _compile(text)))
        self.has_exceptions = any(pattern.exception for pattern in self.patterns)

    def ignores(self, path: str) -> bool:
        """Whether `path` (relative, "/" between names) is left out; the root never is."""
        path = clean(path)
        if path == ".":
            return False
        state: State = ()
        ignored = False
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            ignored, state = self.enter(state, "/".join(parts[:end]))
        return ignored

    def enter(self, above: State, path: str) -> tuple[bool, State]:
        """The same for a walk: whether `path` is left out, and the state for what is in it.

        `above` is the state of its directory, () for the root.
        """
        ignored = False
        state = []
        for i, pattern in enumerate(self.patterns):
            matched = bool(above) and above[i]
            if not matched and pattern.exception == ignored:
                matched = pattern.test(path)
            state.append(matched)
            if matched:
                ignored = not pattern.exception
        return ignored, tuple(state)

    def may_hold_exceptions(self, directory: str) -> bool:
        """Whether something in an ignored directory may not be ignored: else don't walk it."""
        inside = f"{directory}/"
        for pattern in self.patterns:
            if pattern.exception:
                literal = f"{pattern.literal}/" if pattern.literal else ""
                if literal.startswith(inside) or inside.startswith(literal):
                    return True
        return False


def _compile(pattern: str) -> Callable[[str], bool]:
    """The test of a pattern.  Plain ones, and "**" at one end only, need no regex."""
    body = pattern.removeprefix("**").removesuffix("**")
    if re.search(r"[*?\[\]\\]", body):
        regex = re.compile(_regex(pattern), re.DOTALL)
        return lambda path: regex.match(path) is not None
    if pattern.startswith("**"):
        suffix = pattern[2:]
        if suffix.endswith("**"):
            regex = re.compile(_regex(pattern), re.DOTALL)
            return lambda path: regex.match(path) is not None
        # "**/foo" is foo everywhere, "**foo" whatever ends so.
        if suffix.startswith("/"):
            return lambda path: path.endswith(suffix) or path == suffix[1:]
        return lambda path: path.endswith(suffix)
    if pattern.endswith("**"):
        prefix = pattern[:-2]
        return lambda path: path.startswith(prefix)
    return lambda path: path == pattern


def _regex(pattern: str) -> str:
    parts = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*":
            if not pattern.startswith("*", position):
                parts.append("[^/]*")
                continue
            # "**/" is any number of directories, "**" at the end everything.
            position += 1
            if pattern.startswith("/", position):
                position += 1
            parts.append("(?:.*/)?" if position < len(pattern) else ".*")
        elif character == "?":
            parts.append("[^/]")
        elif character == "[":
            text, position = _class(pattern, position)
            parts.append(text)
        elif character == "\\":
            if position == len(pattern):
                raise _bad(pattern, "remove the backslash at its end")
            parts.append(re.escape(pattern[position]))
            position += 1
        else:
            parts.append(re.escape(character))
    return "".join(parts) + r"\Z"


def _class(pattern: str, position: int) -> tuple[str, int]:
    """[a-z], [^a-z], with escapes, from behind its bracket."""
    negated = pattern.startswith("^", position)
    position += negated
    ranges: list[str] = []
    first = True
    while first or not pattern.startswith("]", position):
        first = False
        low, position = _class_character(pattern, position)
        high = low
        if pattern.startswith("-", position):
            high, position = _class_character(pattern, position + 1)
        if low <= high:
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
    position += 1
    if not ranges:
        return ("." if negated else "(?!)"), position
    return f"[{'^' if negated else ''}{''.join(ranges)}]", position


def _class_character(pattern: str, position: int) -> tuple[str, int]:
    character = pattern[position : position + 1]
    if character == "\\":
        position += 1
        character = pattern[position : position + 1]
    elif character in ("-", "]"):
        character = ""
    if not character:
        raise _bad(pattern, "a [ needs its ]; write \\[ for the character itself")
    return character, position + 1


def _bad(pattern: str, remedy: str) -> BuildError:
    return BuildError(
        f"the ignore pattern {pattern!r} is none", remedy=remedy, code="RL-BUILD-IGNORE"
    )
