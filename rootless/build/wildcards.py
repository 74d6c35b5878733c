"""The patterns of COPY and ADD: Go's path/filepath.Match, one name at a time.  Pure."""

import re


def has_wildcards(name: str) -> bool:
    """Whether one of *, ? and [ stands there without a backslash."""
    return re.search(r"(?:^|[^\\])(?:\\\\)*[*?\[]", name) is not None


def compile_name(pattern: str) -> "re.Pattern[str] | None":
    """Go's path/filepath.Match for one name; None for what is no pattern, which matches nothing.

    Source: go.dev/src/path/filepath/match.go.
    """
    parts = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*":
            parts.append("[^/]*")
        elif character == "?":
            parts.append("[^/]")
        elif character == "[":
            end = _class_end(pattern, at)
            if end < 0:
                return None
            parts.append(_class(pattern[at:end]))
            at = end + 1
        elif character == "\\":
            if at == len(pattern):
                return None
            parts.append(re.escape(pattern[at]))
            at += 1
        else:
            parts.append(re.escape(character))
    try:
        return re.compile("".join(parts) + r"\Z", re.DOTALL)
    except re.error:
        return None


def _class_end(pattern: str, at: int) -> int:
    """Where the ] of a class is; -1 for none.  A class is not empty."""
    start = at + pattern.startswith("^", at)
    at = start
    while at < len(pattern):
        if pattern[at] == "\\":
            at += 2
            continue
        if pattern[at] == "]":
            return at if at > start else -1
        at += 1
    return -1


def _class(body: str) -> str:
    negated = body.startswith("^")
    text = re.sub(r"\\(.)|([\[\]^&~|])", lambda m: "\\" + (m[1] or m[2]), body[negated:])
    return f"[{'^' if negated else ''}{text}]"
