"""The image config as it stands after an instruction: what Docker's builder makes of each.  Pure.

Source: moby/buildkit frontend/dockerfile/dockerfile2llb/convert.go (dispatch*, commitToHistory).
"""

import copy
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from rootless.build.dockerfile import instructions as to
from rootless.build.dockerfile.ports import parse_port
from rootless.build.dockerfile.scope import DEFAULT_PATH, Scope

Doc = dict[str, Any]

COMMENT = "buildkit.dockerfile.v0"  # what tools look for in the history
LAYER = "_step"  # in a history entry: the place in the stage of the step that makes its layer


class ImageState:
    """`config` is Docker's object of that name; `history` its entries, oldest first."""

    def __init__(self, config: Mapping[str, Any], history: Sequence[Doc], author: str = "") -> None:
        self.config: Doc = copy.deepcopy(dict(config))
        self.history: list[Doc] = [dict(entry) for entry in history]
        self.author = author
        self._has_command = False
        env = self.config.get("Env") or []
        if not any(entry.startswith("PATH=") for entry in env):
            env = [f"PATH={DEFAULT_PATH}", *env]
        self.config["Env"] = env
        self.config["WorkingDir"] = self.config.get("WorkingDir") or "/"

    def child(self) -> "ImageState":
        """The state of a stage FROM this one."""
        return ImageState(self.config, self.history, self.author)

    @property
    def workdir(self) -> str:
        return str(self.config["WorkingDir"])

    @property
    def user(self) -> str:
        return str(self.config.get("User") or "")

    @property
    def shell(self) -> tuple[str, ...]:
        return tuple(self.config.get("Shell") or to.DEFAULT_SHELL)

    def below_workdir(self, path: str) -> str:
        """`path` as an absolute one, clean."""
        return "/" + posixpath.normpath(posixpath.join("/", self.workdir, path)).lstrip("/")

    def take_triggers(self) -> list[str]:
        """The base's ONBUILD, which its children have done and don't inherit."""
        return [str(text) for text in self.config.pop("OnBuild", None) or ()]

    def commit(self, created_by: str, *, layer: int | None = None) -> None:
        """Add to the history; `layer` is the step that makes one."""
        entry: Doc = {"created_by": created_by, "comment": COMMENT}
        if layer is None:
            entry["empty_layer"] = True
        else:
            entry[LAYER] = layer
        self.history.append(entry)

    def apply(self, i: to.Instruction) -> None:
        """Do what an expanded instruction does to the config, if it makes no layer itself."""
        match i:
            case to.Env():
                for pair in i.pairs:
                    self._set_env(pair.key, pair.value)
                self.commit("ENV " + _pairs(i.pairs))
            case to.Label():
                labels = dict(self.config.get("Labels") or {})
                labels.update((pair.key, pair.value) for pair in i.pairs)
                self.config["Labels"] = labels
                self.commit("LABEL " + _pairs(i.pairs))
            case to.Arg():
                words = [
                    a.name if a.default is None else f"{a.name}={a.default}" for a in i.arguments
                ]
                self.commit("ARG " + " ".join(words))
            case to.Maintainer():
                self.author = i.author
                self.commit(f"MAINTAINER {i.author}")
            case to.User():
                self.config["User"] = i.user
                self.commit(f"USER {i.user}")
            case to.Volume():
                volumes = dict(self.config.get("Volumes") or {})
                volumes.update({path: {} for path in i.paths})
                self.config["Volumes"] = volumes
                self.commit(f"VOLUME [{' '.join(i.paths)}]")
            case to.StopSignal():
                self.config["StopSignal"] = i.signal
                self.commit(f"STOPSIGNAL {i.signal}")
            case to.Shell():
                self.config["Shell"] = list(i.words)
                self.commit(f"SHELL [{' '.join(i.words)}]")
            case to.Onbuild():
                self.config["OnBuild"] = [*(self.config.get("OnBuild") or ()), i.expression]
            case _:
                self._apply_program(i)

    def _apply_program(self, i: to.Instruction) -> None:
        match i:
            case to.Cmd():
                words, _ = i.command.arguments(self.shell)
                self.config["Cmd"] = list(words)
                if i.command.shell:
                    self.config["ArgsEscaped"] = True
                self._has_command = True
                self.commit(f"CMD {_quoted(words)}")
            case to.Entrypoint():
                words, _ = i.command.arguments(self.shell)
                self.config["Entrypoint"] = list(words)
                # A CMD of the base was for the old entrypoint; one of this stage is for the new.
                if not self._has_command:
                    self.config.pop("Cmd", None)
                self.commit(f"ENTRYPOINT {_quoted(words)}")
            case to.Healthcheck():
                self.config["Healthcheck"] = _healthcheck(i)
                self.commit(f"HEALTHCHECK {_go_healthcheck(i)}")
            case to.Expose():
                ports = dict(self.config.get("ExposedPorts") or {})
                new: Doc = {}
                for text in i.ports:
                    new.update({port: {} for port in parse_port(text).ports})
                self.config["ExposedPorts"] = ports | new
                self.commit(f"EXPOSE [{' '.join(new)}]")

    def _set_env(self, name: str, value: str) -> None:
        env = list(self.config["Env"])
        for place, entry in enumerate(env):
            if entry.partition("=")[0] == name:
                env[place] = f"{name}={value}"
                break
        else:
            env.append(f"{name}={value}")
        self.config["Env"] = env


def run_created_by(arguments: Sequence[str], scope: Scope) -> str:
    """The history of RUN, with the build arguments in scope as Docker names them."""
    given = [
        f"{name}={scope.environment.get(name, value or '')}"
        for name, value in scope.arguments.items()
    ]
    words = [f"|{len(given)}", *given] if given else []
    return f"RUN {' '.join([*words, *arguments])} # buildkit"


def transfer_created_by(i: to.Transfer) -> str:
    """The history of COPY and ADD."""
    words = ["ADD" if isinstance(i, to.Add) else "COPY"]
    if isinstance(i, to.Copy) and i.parents:
        words.append("--parents")
    if i.chown:
        words.append(f"--chown={i.chown}")
    if i.chmod:
        words.append(f"--chmod={i.chmod}")
    words += [f"--exclude={pattern}" for pattern in i.exclude]
    words += i.sources
    words += [f"<<{document.name}" for document in i.documents]
    return f"{' '.join([*words, i.target])} # buildkit"


def _pairs(pairs: Sequence[to.Pair]) -> str:
    return " ".join(f"{pair.key}={pair.value}" for pair in pairs)


def _healthcheck(i: to.Healthcheck) -> Doc:
    found: Doc = {"Test": list(i.test)}
    for key, value in (
        ("Interval", i.interval_ns),
        ("Timeout", i.timeout_ns),
        ("StartPeriod", i.start_period_ns),
        ("StartInterval", i.start_interval_ns),
        ("Retries", i.retries),
    ):
        if value:
            found[key] = value
    return found


def _quoted(words: Sequence[str]) -> str:
    """A list of strings by Go's %q."""
    return f"[{' '.join(_quote(word) for word in words)}]"


def _quote(word: str) -> str:
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    escapes |= {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\v": "\\v"}
    shown = "".join(escapes.get(c) or (c if c.isprintable() else f"\\x{ord(c):02x}") for c in word)
    return f'"{shown}"'


def _go_healthcheck(i: to.Healthcheck) -> str:
    """A *HealthcheckConfig by Go's %q, which quotes the durations, and the number as a rune."""
    durations = (i.interval_ns, i.timeout_ns, i.start_period_ns, i.start_interval_ns)
    words = [_quoted(i.test), *(f'"{_duration(value)}"' for value in durations)]
    rune = chr(i.retries)
    shown = rune if rune.isprintable() else f"\\x{i.retries:02x}"
    return f"&{{{' '.join(words)} '{shown}'}}"


def _duration(nanoseconds: int) -> str:
    """Go's Duration.String()."""
    if nanoseconds == 0:
        return "0s"
    for unit, name in ((10**3, "ns"), (10**6, "µs"), (10**9, "ms")):
        if nanoseconds < unit:
            return f"{_plain(nanoseconds * 1000, unit)}{name}"
    seconds, rest = divmod(nanoseconds, 10**9)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    text = f"{hours}h" if hours else ""
    text += f"{minutes}m" if hours or minutes else ""
    return f"{text}{_plain(seconds * 10**9 + rest, 10**9)}s"


def _plain(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    digits = f"{rest:0{len(str(unit)) - 1}d}".rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
