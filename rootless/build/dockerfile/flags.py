"""The flags between an instruction's keyword and its arguments: --name, --name=value.

Source: buildkit frontend/dockerfile/instructions/bflag.go.
"""

from collections.abc import Iterable, Mapping

from rootless.build.dockerfile.text import did_you_mean
from rootless.errors import BuildError

BOOL, TEXT, TEXTS = "bool", "text", "texts"


class Flags:
    """The flags of one instruction: text() and the like give the default for what is not there."""

    def __init__(self, keyword: str, kinds: Mapping[str, str], given: Iterable[str]) -> None:
        """Raises BuildError (RL-BUILD-FLAG) for a flag that is unknown, twice or has no value."""
        self._values: dict[str, list[str]] = {}
        for word in given:
            name, equals, value = word[2:].partition("=")
            kind = kinds.get(name)
            if kind is None:
                known = tuple(f"--{k}" for k in kinds)
                usual = f"{keyword} knows {', '.join(known)}" if known else f"{keyword} has none"
                raise _error(
                    f"unknown flag --{name} for {keyword}",
                    did_you_mean(f"--{name}", known) or usual,
                )
            if name in self._values and kind != TEXTS:
                raise _error(f"the flag --{name} stands twice", "keep one of them")
            if kind == BOOL and not equals:
                value = "true"
            elif kind == BOOL and value.lower() not in ("true", "false"):
                raise _error(
                    f"--{name}={value} is neither true nor false",
                    f"write --{name} or --{name}=false",
                )
            elif not equals:
                raise _error(f"the flag --{name} has no value", f"write it as --{name}=VALUE")
            self._values.setdefault(name, []).append(value)

    def text(self, name: str) -> str:
        return self._values.get(name, [""])[-1]

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(self._values.get(name, ()))

    def is_set(self, name: str) -> bool:
        return self.choice(name) is True

    def choice(self, name: str) -> bool | None:
        value = self._values.get(name)
        return None if value is None else value[-1].lower() == "true"


def _error(problem: str, remedy: str) -> BuildError:
    return BuildError(problem, remedy=remedy, code="RL-BUILD-FLAG")
