"""`--change`: Dockerfile instructions that edit an image config.  Pure.

Docker allows the ones that need no build step (docs: `docker image import --change`).
"""

import json
import shlex
from collections.abc import Callable

from rootless.errors import UsageError

Config = dict[str, object]


def apply(config: Config, changes: list[str]) -> Config:
    """`config` with the instructions `changes` applied in order.  Raises UsageError."""
    result = dict(config)
    for change in changes:
        word, _, rest = change.strip().partition(" ")
        instruction = _INSTRUCTIONS.get(word.upper())
        if instruction is None:
            raise UsageError(
                f"--change: {word or change!r} is not an instruction that can be applied",
                remedy=f"use one of {', '.join(_INSTRUCTIONS)}",
            )
        if not rest.strip():
            raise UsageError(f"--change: {word} has no argument", remedy='as in: CMD ["sh"]')
        instruction(result, rest.strip())
    return result


def _command(key: str) -> Callable[[Config, str], None]:
    def change(config: Config, text: str) -> None:
        words = _json_words(text)
        config[key] = words if words is not None else ["/bin/sh", "-c", text]
        if key == "Entrypoint":
            config.pop("Cmd", None)  # as in a Dockerfile: the old one was for the old entrypoint

    return change


def _string(key: str) -> Callable[[Config, str], None]:
    def change(config: Config, text: str) -> None:
        config[key] = _words(text, key.upper())[0] if key != "User" else text

    return change


def _workdir(config: Config, text: str) -> None:
    import posixpath

    current = str(config.get("WorkingDir") or "/")
    config["WorkingDir"] = posixpath.normpath(posixpath.join(current, text))


def _env(config: Config, text: str) -> None:
    old = config.get("Env")
    env = [str(entry) for entry in old] if isinstance(old, list) else []
    for name, value in _pairs(text, "ENV"):
        env = [entry for entry in env if entry.partition("=")[0] != name]
        env.append(f"{name}={value}")
    config["Env"] = env


def _label(config: Config, text: str) -> None:
    old = config.get("Labels")
    labels = dict(old) if isinstance(old, dict) else {}
    labels.update(_pairs(text, "LABEL"))
    config["Labels"] = labels


def _expose(config: Config, text: str) -> None:
    old = config.get("ExposedPorts")
    ports = dict(old) if isinstance(old, dict) else {}
    for word in _words(text, "EXPOSE"):
        numbers, _, protocol = word.partition("/")
        protocol = protocol.lower() or "tcp"
        first, _, last = numbers.partition("-")
        last = last or first
        if not (first.isdecimal() and last.isdecimal()) or protocol not in ("tcp", "udp", "sctp"):
            raise UsageError(f"--change: EXPOSE {word}: not a port", remedy="as in: EXPOSE 80/tcp")
        if not 1 <= int(first) <= int(last) <= 65535:
            raise UsageError(f"--change: EXPOSE {word}: not between 1 and 65535")
        ports.update({f"{port}/{protocol}": {} for port in range(int(first), int(last) + 1)})
    config["ExposedPorts"] = ports


def _volume(config: Config, text: str) -> None:
    old = config.get("Volumes")
    volumes = dict(old) if isinstance(old, dict) else {}
    words = _json_words(text)
    volumes.update({path: {} for path in (_words(text, "VOLUME") if words is None else words)})
    config["Volumes"] = volumes


def _onbuild(config: Config, text: str) -> None:
    """A trigger is kept as it is; what Docker allows none of cannot be built on."""
    word = text.split()[0].upper()
    if word in ("ONBUILD", "FROM", "MAINTAINER"):
        raise UsageError(f"--change: ONBUILD {word} is not allowed", remedy="as in: ONBUILD RUN …")
    old = config.get("OnBuild")
    config["OnBuild"] = [*(old if isinstance(old, list) else []), text]


def _json_words(text: str) -> list[str] | None:
    """The exec form ["a", "b"], None for anything else, as Docker decides it."""
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        return words
    return None


def _words(text: str, instruction: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as e:
        raise UsageError(f"--change: {instruction} {text}: {e}") from e


def _pairs(text: str, instruction: str) -> list[tuple[str, str]]:
    """NAME=VALUE NAME="V W" …, or the old form NAME VALUE."""
    words = _words(text, instruction)
    if "=" not in words[0]:
        name, _, value = text.partition(" ")
        if not value.strip():
            raise UsageError(
                f"--change: {instruction} {text}: no value", remedy=f"{instruction} NAME=VALUE"
            )
        return [(name, value.strip())]
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise UsageError(
                f"--change: {instruction} {word}: no value", remedy=f"{instruction} NAME=VALUE"
            )
        pairs.append((name, value))
    return pairs


_INSTRUCTIONS: dict[str, Callable[[Config, str], None]] = {
    "CMD": _command("Cmd"),
    "ENTRYPOINT": _command("Entrypoint"),
    "ENV": _env,
    "EXPOSE": _expose,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _string("StopSignal"),
    "USER": _string("User"),
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
