"""Nodes -> typed instructions.

Every mistake that can be seen without the values of variables is found here, before any step
runs.  Source: buildkit frontend/dockerfile/instructions/parse.go, docs/reference.md.
"""

import re
from collections.abc import Callable
from typing import Any

from rootless.build.dockerfile import instructions as to
from rootless.build.dockerfile.durations import parse_duration
from rootless.build.dockerfile.flags import BOOL, TEXT, TEXTS, Flags
from rootless.build.dockerfile.mounts import mount_source, parse_mount
from rootless.build.dockerfile.nodes import (
    Heredoc,
    Node,
    parse_heredoc,
    read_trigger,
)
from rootless.build.dockerfile.shellwords import Lexer
from rootless.build.dockerfile.text import (
    BLANKS,
    SPACE,
    did_you_mean,
    json_words,
    split_blanks,
    split_words,
)
from rootless.errors import BuildError

NETWORKS = ("default", "none", "host")
SECURITY = ("sandbox", "insecure")
_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*\Z", re.ASCII)


def interpret(node: Node, escape: str, lines: tuple[int, int] | None = None) -> to.Instruction:
    """The instruction in a node.  Raises BuildError, mostly without place."""
    build = _TABLE.get(node.name)
    if build is None:
        raise BuildError(
            f"unknown instruction: {node.keyword}",
            remedy=did_you_mean(node.name, tuple(_TABLE))
            or "a line that goes on needs a \\ at the end of the one before",
            code="RL-BUILD-INSTRUCTION",
        )
    return build(_Request(node, escape, lines or (node.first_line, node.last_line)))


class _Request:
    """A node on its way to an instruction."""

    def __init__(self, node: Node, escape: str, lines: tuple[int, int]) -> None:
        self.node = node
        self.name = node.name
        self.rest = node.rest
        self.escape = escape
        self.lines = lines
        self.common: dict[str, Any] = {
            "keyword": node.keyword,
            "line": node.line.strip(SPACE),
            "first_line": lines[0],
            "last_line": lines[1],
            "comments": node.comments,
            "blank_continuation": node.blank_continuation,
        }

    def flags(self, **kinds: str) -> Flags:
        names = {name.replace("_", "-"): kind for name, kind in kinds.items()}
        return Flags(self.name, names, self.node.flags)

    def some(self, example: str) -> None:
        """There must be an argument."""
        if not self.rest:
            raise self.missing(example)

    def missing(self, example: str) -> BuildError:
        return BuildError(
            f"{self.name} has no argument",
            remedy=f"write it as {example}",
            code="RL-BUILD-ARGUMENTS",
        )

    def list(self) -> list[str]:
        """A JSON array, or words between blanks."""
        words = json_words(self.rest)
        return split_blanks(self.rest) if words is None else words

    def command(self, rest: str, heredocs: tuple[Heredoc, ...] = ()) -> to.Command:
        """A JSON array is exec form; all else, broken JSON too, is text for the shell."""
        words = json_words(rest)
        if words is not None:
            return to.Command(tuple(words), False)
        return to.Command((rest,) if rest else (), True, heredocs)


def _error(problem: str, remedy: str | None = None) -> BuildError:
    return BuildError(problem, remedy=remedy, code="RL-BUILD-ARGUMENTS")


def _from(r: _Request) -> to.Instruction:
    words = split_blanks(r.rest)
    flags = r.flags(platform=TEXT)
    named = len(words) == 3 and words[1].lower() == "as"
    if len(words) != 1 and not named:
        raise _error("FROM takes one or three arguments", "write it as FROM IMAGE AS NAME")
    name = words[2].lower() if named else ""
    if named and not _STAGE_NAME.match(name):
        raise BuildError(
            f"{words[2]!r} cannot be the name of a stage",
            remedy="it begins with a letter and has letters, digits, '-', '_' and '.'",
            code="RL-BUILD-STAGE",
        )
    return to.From(
        **r.common,
        base=words[0],
        platform=flags.text("platform"),
        stage_name=name,
        stage_name_written=words[2] if named else "",
        as_keyword=words[1] if named else "",
    )


def _arg(r: _Request) -> to.Instruction:
    r.flags()
    words = split_words(r.rest, r.escape)
    if not words:
        raise r.missing("ARG NAME=default")
    arguments = []
    for word in words:
        name, equals, default = word.partition("=")
        if not name:
            raise _error("ARG has a name that is empty", "write it as ARG NAME=default")
        arguments.append(to.Argument(name, default if equals else None))
    return to.Arg(**r.common, arguments=tuple(arguments))


def _pairs(r: _Request) -> tuple[to.Pair, ...]:
    """name=value ..., or the old form of one name, a blank and the value."""
    r.flags()
    words = split_words(r.rest, r.escape)
    if not words:
        raise r.missing(f"{r.name} NAME=value")
    if "=" not in words[0]:
        parts = BLANKS.split(r.rest, maxsplit=1)
        if len(parts) < 2:
            raise _error(f"{r.name} {words[0]} has no value", f"write {r.name} {words[0]}=value")
        return (to.Pair(parts[0], parts[1], legacy=True),)
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise BuildError(
                f"there is no = in {word!r}",
                remedy=f"write {r.name} name=value, and quote a value with spaces",
                code="RL-BUILD-SYNTAX",
            )
        if not name:
            raise _error(f"{r.name} has a name that is empty", f"write {r.name} NAME=value")
        pairs.append(to.Pair(name, value))
    return tuple(pairs)


def _maintainer(r: _Request) -> to.Instruction:
    r.some("MAINTAINER NAME, or better LABEL org.opencontainers.image.authors=NAME")
    r.flags()
    return to.Maintainer(**r.common, author=r.rest)


def _run(r: _Request) -> to.Instruction:
    flags = r.flags(mount=TEXTS, network=TEXT, security=TEXT, device=TEXTS)
    texts = flags.texts("mount")
    sources = [mount_source(text) for text in texts]
    mounts = []
    if not any("$" in text for text in texts):
        lexer = Lexer(r.escape)
        mounts = [parse_mount(text, lambda word: lexer.expand(word, {}).text) for text in texts]
    command = r.command(r.rest, r.node.heredocs)
    if not command.words:
        raise r.missing("RUN COMMAND")
    return to.Run(
        **r.common,
        command=command,
        mount_texts=texts,
        mounts=tuple(mounts),
        mount_sources=tuple(source for source in sources if source),
        network=_choice(flags, "network", NETWORKS),
        security=_choice(flags, "security", SECURITY),
        devices=tuple(_device(text) for text in flags.texts("device")),
    )


def _choice(flags: Flags, name: str, known: tuple[str, ...]) -> str:
    value = flags.text(name) or known[0]
    if value not in known:
        raise BuildError(
            f"unknown --{name}={value}",
            remedy=did_you_mean(value, known) or f"known are {', '.join(known)}",
            code="RL-BUILD-FLAG",
        )
    return value


def _device(text: str) -> to.Device:
    name, required = "", False
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if key == "required":
            required = value.lower() not in ("false", "0")
        elif not equals or key == "name" or "/" in key:
            name = value if key == "name" else part
        else:
            raise BuildError(
                f"unknown key {key} in --device={text}",
                remedy="known are name and required",
                code="RL-BUILD-FLAG",
            )
    return to.Device(name=name, required=required)


def _cmd(r: _Request) -> to.Instruction:
    r.flags()
    return to.Cmd(**r.common, command=r.command(r.rest))


def _entrypoint(r: _Request) -> to.Instruction:
    r.flags()
    return to.Entrypoint(**r.common, command=r.command(r.rest))


def _copy(r: _Request) -> to.Instruction:
    flags = r.flags(
        **{"from": TEXT, "chown": TEXT, "chmod": TEXT, "link": BOOL, "parents": BOOL},
        exclude=TEXTS,
    )
    source = flags.text("from")
    if source and Lexer(r.escape).expand(source, {}).text != source:
        raise BuildError(
            f"--from={source}: variables have no meaning here",
            remedy="give the image a stage of its own: FROM $IMAGE AS name",
            code="RL-BUILD-FLAG",
        )
    return to.Copy(
        **r.common,
        **_transfer(r, flags),
        source_stage=source,
        parents=flags.is_set("parents"),
    )


def _add(r: _Request) -> to.Instruction:
    flags = r.flags(
        chown=TEXT,
        chmod=TEXT,
        link=BOOL,
        exclude=TEXTS,
        keep_git_dir=BOOL,
        checksum=TEXT,
        unpack=BOOL,
    )
    return to.Add(
        **r.common,
        **_transfer(r, flags),
        keep_git_dir=flags.choice("keep-git-dir"),
        checksum=flags.text("checksum"),
        unpack=flags.choice("unpack"),
    )


def _transfer(r: _Request, flags: Flags) -> dict[str, Any]:
    words = r.list()
    if len(words) < 2:
        raise _error(
            f"{r.name} takes a source and a destination",
            f"write it as {r.name} SOURCE... DESTINATION",
        )
    if parse_heredoc(words[-1]):
        raise BuildError(
            f"{r.name} cannot write to a heredoc",
            remedy=f"the destination stands last: {r.name} <<EOF /path",
            code="RL-BUILD-HEREDOC",
        )
    contents = {heredoc.name: heredoc.content for heredoc in r.node.heredocs}
    sources, documents = [], []
    for word in words[:-1]:
        begun = parse_heredoc(word)
        if begun is None or begun.name not in contents:
            sources.append(word)
            continue
        document = Heredoc(begun.name, contents[begun.name], begun.expand, begun.chomp)
        documents.append(to.InlineFile(document.name, document.text, document.expand))
    if len(documents) < len(contents):
        raise BuildError(
            f"{r.name} has a heredoc that is no source of it",
            remedy=f"write {r.name} <<EOF /path, without spaces after <<",
            code="RL-BUILD-HEREDOC",
        )
    return {
        "sources": tuple(sources),
        "documents": tuple(documents),
        "target": words[-1],
        "chown": flags.text("chown"),
        "chmod": flags.text("chmod"),
        "link": flags.is_set("link"),
        "exclude": flags.texts("exclude"),
    }


def _expose(r: _Request) -> to.Instruction:
    r.some("EXPOSE PORT")
    r.flags()
    return to.Expose(**r.common, ports=tuple(sorted(split_blanks(r.rest))))


def _user(r: _Request) -> to.Instruction:
    r.some("USER NAME")
    r.flags()
    return to.User(**r.common, user=r.rest)


def _workdir(r: _Request) -> to.Instruction:
    r.some("WORKDIR /PATH")
    r.flags()
    return to.Workdir(**r.common, path=r.rest)


def _volume(r: _Request) -> to.Instruction:
    r.flags()
    paths = tuple(word.strip(SPACE) for word in r.list())
    if not paths:
        raise r.missing("VOLUME /PATH")
    if not all(paths):
        raise _error("VOLUME has a path that is empty", "write it as VOLUME /PATH")
    return to.Volume(**r.common, paths=paths)


def _stop_signal(r: _Request) -> to.Instruction:
    r.some("STOPSIGNAL SIGTERM")
    r.flags()
    return to.StopSignal(**r.common, signal=r.rest)


def _shell(r: _Request) -> to.Instruction:
    r.flags()
    words = json_words(r.rest)
    if words is None and r.rest:
        raise _error(f"SHELL is no JSON array: {r.rest}", 'write it as SHELL ["/bin/bash", "-c"]')
    if not words:
        raise r.missing('SHELL ["/bin/bash", "-c"]')
    return to.Shell(**r.common, words=tuple(words))


def _healthcheck(r: _Request) -> to.Instruction:
    kind, _, rest = _cut(r.rest)
    flags = r.flags(
        interval=TEXT, timeout=TEXT, start_period=TEXT, start_interval=TEXT, retries=TEXT
    )
    if kind.upper() == "NONE":
        if rest:
            raise _error("HEALTHCHECK NONE takes no arguments", "or is it HEALTHCHECK CMD?")
        return to.Healthcheck(**r.common, test=("NONE",))
    if not kind:
        raise r.missing("HEALTHCHECK CMD COMMAND")
    if kind.upper() != "CMD":
        raise _error(f"unknown HEALTHCHECK {kind}", "write HEALTHCHECK CMD COMMAND, or NONE")
    command = r.command(rest)
    if not command.words:
        raise _error("HEALTHCHECK CMD has no command", "write it as HEALTHCHECK CMD COMMAND")
    retries = flags.text("retries")
    if retries and not (retries.isascii() and retries.isdecimal() and len(retries) < 10):
        raise _value(f"--retries={retries} is no number from 0", "write it as --retries=3")
    return to.Healthcheck(
        **r.common,
        test=("CMD-SHELL" if command.shell else "CMD", *command.words),
        interval_ns=_interval(flags, "interval"),
        timeout_ns=_interval(flags, "timeout"),
        start_period_ns=_interval(flags, "start-period"),
        start_interval_ns=_interval(flags, "start-interval"),
        retries=int(retries or 0),
    )


def _interval(flags: Flags, name: str) -> int:
    text = flags.text(name)
    if not text:
        return 0
    value = parse_duration(text)
    if value is None:
        raise _value(f"--{name}={text} is no time", f"write it as --{name}=1m30s")
    if value < 0 or 0 < value < 1_000_000:
        raise _value(f"--{name}={text} is less than 1ms", "0 stands for the default")
    return value


def _value(problem: str, remedy: str) -> BuildError:
    return BuildError(problem, remedy=remedy, code="RL-BUILD-VALUE")


def _onbuild(r: _Request) -> to.Instruction:
    r.flags()
    r.some("ONBUILD INSTRUCTION")
    # As written, with its heredocs: this is what an image config carries.
    expression = _cut(r.node.line.strip(SPACE))[2]
    expression += "".join(f"\n{h.content}{h.name}" for h in r.node.heredocs)
    node = read_trigger(expression, r.escape)
    check_trigger(node)
    trigger = interpret(node, r.escape, r.lines)
    return to.Onbuild(**r.common, expression=expression, trigger=trigger)


def check_trigger(node: Node) -> None:
    """Raises BuildError for an instruction that ONBUILD cannot carry."""
    if node.name in ("ONBUILD", "FROM", "MAINTAINER"):
        raise _error(f"{node.name} cannot be a trigger of ONBUILD", "all other instructions can")


def _cut(text: str) -> tuple[str, str, str]:
    """The first word, the white space after it, and the rest."""
    for i, character in enumerate(text):
        if character in SPACE:
            rest = text[i:].lstrip(SPACE)
            return text[:i], text[i : len(text) - len(rest)], rest
    return text, "", ""


_TABLE: dict[str, Callable[[_Request], to.Instruction]] = {
    "ADD": _add,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": lambda r: to.Env(**r.common, pairs=_pairs(r)),
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _healthcheck,
    "LABEL": lambda r: to.Label(**r.common, pairs=_pairs(r)),
    "MAINTAINER": _maintainer,
    "ONBUILD": _onbuild,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
INSTRUCTIONS = tuple(_TABLE)
