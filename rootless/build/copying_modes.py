"""--chmod and --chown: what they say, and to whom.  Pure but for the reading of passwd(5).

Sources: docs.docker.com/reference/dockerfile (COPY --chown --chmod), chmod(1) for symbolic modes,
buildkit solver/llbsolver/file/user_linux.go for names.
"""

import re
from collections.abc import Callable

from rootless.errors import BuildError

ID_MAX = (1 << 32) - 2  # 2^32 - 1 is "no change" in chown(2)
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=][rwxXstugo]*)+)\Z")
_ACTION = re.compile(r"([-+=])([rwxXstugo]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_PERMISSION = {"r": 4, "w": 2, "x": 1}

# mode of the source, whether it is a directory -> mode
Change = Callable[[int, bool], int]


def parse_chmod(text: str) -> Change | None:
    """What --chmod does to a mode; None without one.  Raises BuildError."""
    if not text:
        return None
    if re.fullmatch(r"[0-7]+", text) and int(text, 8) <= 0o7777:
        mode = int(text, 8)
        return lambda _mode, _directory: mode
    clauses = [_CLAUSE.match(clause) for clause in text.split(",")]
    if not all(clauses):
        raise BuildError(
            f"--chmod={text} is no mode",
            remedy="write an octal number up to 07777, or symbols as in u=rwX,go=rX",
            code="RL-BUILD-VALUE",
        )
    actions = [
        (match[1], action[1], action[2])
        for match in clauses
        if match
        for action in _ACTION.finditer(match[2])
    ]

    def change(mode: int, directory: bool) -> int:
        for who, sign, permissions in actions:
            mode = _apply(mode, who, sign, permissions, directory)
        return mode

    return change


def _apply(mode: int, who: str, sign: str, permissions: str, directory: bool) -> int:
    classes = "ugo" if not who or "a" in who else who
    bits = mask = 0
    for one in classes:
        shift = _SHIFT[one]
        mask |= 7 << shift
        for permission in permissions:
            if permission in _PERMISSION:
                bits |= _PERMISSION[permission] << shift
            elif permission == "X" and (directory or mode & 0o111):
                bits |= 1 << shift
            elif permission in _SHIFT:
                bits |= (mode >> _SHIFT[permission] & 7) << shift
    if "s" in permissions:
        bits |= (0o4000 if "u" in classes else 0) | (0o2000 if "g" in classes else 0)
    if "t" in permissions:
        bits |= 0o1000
    if sign == "+":
        return mode | bits
    if sign == "-":
        return mode & ~bits
    if "u" in classes:
        mask |= 0o4000
    if "g" in classes:
        mask |= 0o2000
    if classes == "ugo":
        mask |= 0o1000
    return mode & ~mask | bits


def parse_chown(text: str, read: Callable[[str], str | None]) -> tuple[int, int] | None:
    """(UID, GID) of --chown=USER[:GROUP]; None without one.

    `read` gives the content of /etc/passwd and /etc/group of the image, None when they are not
    there.  A number alone stands for both; a name has the group that passwd gives it.
    Raises BuildError.
    """
    if not text:
        return None
    user, colon, group = text.partition(":")
    if not user and not group:
        raise _bad(text, "--chown names nobody")
    uid = gid = 0
    if user:
        number = _number(user, text)
        if number is None:
            fields = _find("/etc/passwd", user, 4, read, text)
            uid, gid = int(fields[2]), int(fields[3])
        else:
            uid = gid = number
    if colon and group:
        number = _number(group, text)
        gid = int(_find("/etc/group", group, 3, read, text)[2]) if number is None else number
    return uid, gid


def _number(word: str, text: str) -> int | None:
    if not (word.isascii() and word.isdecimal()):
        return None
    if len(word) > 10 or int(word) > ID_MAX:
        raise _bad(text, f"{word} is too large for an ID")
    return int(word)


def _find(
    path: str, name: str, least: int, read: Callable[[str], str | None], text: str
) -> list[str]:
    content = read(path)
    if content is None:
        raise _bad(text, f"there is no {path} to look up {name}")
    known = []
    for line in content.splitlines():
        fields = line.split(":")
        if len(fields) >= least and all(f.isdecimal() for f in fields[2:least]):
            if fields[0] == name:
                return fields
            known.append(fields[0])
    near = _near(name, known)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise _bad(text, f"{path} of the image has no {name}{hint}")


def _bad(text: str, problem: str) -> BuildError:
    return BuildError(
        f"--chown={text}: {problem}",
        remedy="use numbers, as in --chown=1000:1000, or make the user in a step before",
        code="RL-BUILD-OWNER",
    )


def _near(name: str, known: list[str]) -> list[str]:
    """What was meant, maybe."""
    from difflib import get_close_matches  # 5 ms that only a mistake pays

    return get_close_matches(name, known, 1)
