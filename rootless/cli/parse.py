"""The fast parser: one command's words against its row of the generated table.  Warm.

It answers only where every word is understood, and then as Typer does; else it returns None and
Typer parses again, so that help and messages have one author.  Three things of Docker's command
line that Typer lacks are put right for both: `--flag=true`, `--flag=false` and `-p=8080:80`.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Flag as written ("--rm", "-p") -> (name of the value, kind).
    Options = dict[str, tuple[str, int]]
    # (name, ONE, OPTIONAL, MANY or ANY)
    Arguments = tuple[tuple[str, int], ...]
    # (action, interspersed, options, arguments, defaults)
    Row = tuple[str, bool, Options, Arguments, dict[str, object]]

# Kinds of options.
ON = 0  # a flag that sets True
OFF = 1  # a flag that sets False: the --no-x of an --x that is on by default
TEXT = 2
LIST = 3
INTEGER = 4
MAYBE = 5  # --trace[=FILE]: alone it is ""

# Kinds of arguments; the last two only at the end.
ONE = 0
OPTIONAL = 1
MANY = 2  # at least one
ANY = 3

# As pflag, Docker's parser, reads a boolean.
_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))


def parse(row: "Row", words: "list[str]") -> "dict[str, object] | None":
    """The values of `words` (after the command's name), or None to let Typer say it."""
    _, interspersed, options, arguments, defaults = row
    values: dict[str, object] = {}
    positional: list[str] = []
    position, end = 0, len(words)
    while position < end:
        word = words[position]
        position += 1
        if len(word) < 2 or word[0] != "-":
            positional.append(word)
            if not interspersed:
                break
        elif word == "--":
            break
        elif word[1] == "-":
            flag, equals, value = word.partition("=")
            found = options.get(flag)
            if found is None:
                return None
            if OFF < found[1] < MAYBE and not equals:
                if position == end:
                    return None
                value = words[position]
                position += 1
            if not _put(values, found, value, bool(equals)):
                return None
        else:
            position = _bundle(values, options, words, position)
            if position < 0:
                return None
    positional += words[position:]
    if not _arguments(values, arguments, positional):
        return None
    for name, default in defaults.items():
        if name not in values:
            values[name] = list(default) if isinstance(default, list) else default
    return values


def _bundle(
    values: "dict[str, object]", options: "Options", words: "list[str]", position: int
) -> int:
    """Take the word before `position`: -i, -it, -p80, -p 80, -p=80, -itp 80, -i=false.

    The position of the next word, -1 when it is not understood.
    """
    word = words[position - 1]
    for index in range(1, len(word)):
        found = options.get("-" + word[index])
        if found is None:
            return -1
        rest = word[index + 1 :]
        if found[1] > OFF:
            if rest:
                value = rest.removeprefix("=")
            elif position < len(words):
                value = words[position]
                position += 1
            else:
                return -1
            return position if _put(values, found, value, True) else -1
        if rest.startswith("="):
            return position if _put(values, found, rest[1:], True) else -1
        _put(values, found, "", False)
    return position


def _put(
    values: "dict[str, object]", found: "tuple[str, int]", value: str, has_value: bool
) -> bool:
    """Keep one option's value; False when it makes no sense."""
    name, kind = found
    if kind == LIST:
        several = values.setdefault(name, [])
        assert isinstance(several, list)
        several.append(value)
    elif kind in (TEXT, MAYBE):
        values[name] = value
    elif kind == INTEGER:
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal()) or len(digits) > 18:
            return False
        values[name] = int(value)
    elif not has_value or value in _TRUE:
        values[name] = kind == ON
    elif value in _FALSE:
        values[name] = kind == OFF
    else:
        return False
    return True


def _arguments(
    values: "dict[str, object]", arguments: "Arguments", positional: "list[str]"
) -> bool:
    """Give the positional words their names; False when there are too few or too many."""
    taken = 0
    for name, kind in arguments:
        if kind >= MANY:
            values[name] = positional[taken:]
            if kind == MANY and taken == len(positional):
                return False
            taken = len(positional)
        elif taken < len(positional):
            values[name] = positional[taken]
            taken += 1
        elif kind == ONE:
            return False
    return taken == len(positional)


def normalise(options: "Options", interspersed: bool, words: "list[str]") -> "list[str]":
    """`words` as Typer understands them: `--flag=false` takes the flag's earlier uses away, or
    becomes its --no-flag, `-p=80` becomes `-p80`, and a `--trace` alone `--trace=`.  What is not
    understood stays as it is.
    """
    if not any(word[:1] == "-" and "=" in word for word in words) and not any(
        options.get(word, ("", ON))[1] == MAYBE for word in words
    ):
        return words
    out: list[str] = []
    position, end = 0, len(words)
    while position < end:
        word = words[position]
        position += 1
        if len(word) < 2 or word[0] != "-":
            out.append(word)
            if not interspersed:
                break
        elif word == "--":
            out.append(word)
            break
        elif word[1] == "-":
            flag, equals, value = word.partition("=")
            found = options.get(flag)
            if found is None or (found[1] > OFF and equals):
                out.append(word)
            elif found[1] == MAYBE:
                out.append(f"{word}=")
            elif found[1] > OFF:
                out += words[position - 1 : position + 1]
                position += 1
            else:
                _flag(out, options, flag, value if equals else None)
        else:
            position = _normalise_bundle(out, options, words, position)
    return out + words[position:]


def _normalise_bundle(
    out: "list[str]", options: "Options", words: "list[str]", position: int
) -> int:
    """normalise() for a word of short options; flags are written one by one."""
    word = words[position - 1]
    for index in range(1, len(word)):
        flag = "-" + word[index]
        found = options.get(flag)
        rest = word[index + 1 :]
        if found is None:
            out.append("-" + word[index:])
            return position
        if found[1] > OFF:
            out.append(flag)
            if rest:
                # As a word of its own: `-e=` is an empty value.
                out.append(rest.removeprefix("="))
            elif position < len(words):
                out.append(words[position])
                position += 1
            return position
        if rest.startswith("="):
            _flag(out, options, flag, rest[1:])
            return position
        out.append(flag)
    return position


def _flag(out: "list[str]", options: "Options", flag: str, value: "str | None") -> None:
    """Write a flag and its value so that Typer, where the last one counts, agrees."""
    name, kind = options[flag]
    if value is None or value in _TRUE:
        out.append(flag)
    elif value not in _FALSE:
        out.append(f"{flag}={value}")  # Typer complains
    else:
        opposite = [
            other for other, (its, k) in options.items() if its == name and k == (OFF - kind)
        ]
        if opposite:
            out.append(opposite[0])
        else:
            mine = [other for other, (its, _) in options.items() if its == name]
            out[:] = _without(out, options, mine)


def _without(out: "list[str]", options: "Options", flags: "list[str]") -> "list[str]":
    """`out` without `flags`; a word that is the value of an option stays, whatever it is."""
    kept: list[str] = []
    is_value = False
    for word in out:
        if is_value or word not in flags:
            kept.append(word)
        is_value = not is_value and OFF < options.get(word, ("", ON))[1] < MAYBE
    return kept
