"""ARG and ENV as they stand at each instruction, and what is expanded where.

Source: buildkit frontend/dockerfile/dockerfile2llb/convert.go (dispatch, dispatchArg,
buildMetaArgs), docs/reference.md "Environment replacement" and "Scope".
"""

from collections.abc import Callable, Iterable, Mapping

from rootless.build.dockerfile import instructions as to
from rootless.build.dockerfile.mounts import parse_mount
from rootless.build.dockerfile.ports import parse_port
from rootless.build.dockerfile.shellwords import Expansion, Lexer
from rootless.build.dockerfile.stages import Dockerfile, Stage
from rootless.build.dockerfile.text import did_you_mean
from rootless.errors import BadReference, BuildError, UsageError
from rootless.oci import platform as platforms
from rootless.oci.platform import Platform
from rootless.records import dataclass, replace
from rootless.runtime.options_text import parse_signal

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Build arguments that RUN has in its environment without an ARG, and that no cache key sees.
PROXY_ARGUMENTS = tuple(
    name
    for word in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (word, word.lower())
)
UNKNOWN = "<unknown>"  # no value that anybody could mean, and no image's name
# Said with --build-arg, they speak to the builder and need no ARG.  BUILDKIT_BUILD_NAME is for
# Docker's list of builds, BUILDKIT_MULTI_PLATFORM for its exporter: they change nothing here.
BUILDER_ARGUMENTS = (
    "SOURCE_DATE_EPOCH",
    *(
        f"BUILDKIT_{name}"
        for name in (
            "BUILD_NAME CACHE_MOUNT_NS CONTEXT_KEEP_GIT_DIR DOCKERFILE_CHECK INLINE_CACHE "
            "MULTI_PLATFORM SANDBOX_HOSTNAME SYNTAX"
        ).split()
    ),
)


_PLATFORM_PARTS = ("PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT")
_PLATFORM_ARGUMENTS = {f"{a}{b}" for a in ("BUILD", "TARGET") for b in _PLATFORM_PARTS}
_PLATFORM_ARGUMENTS.add("TARGETSTAGE")


def predefined(
    build: Platform, target: Platform, target_stage: str, build_arguments: Mapping[str, str]
) -> dict[str, str]:
    """The arguments that are there without a default; FROM sees them, a stage after its ARG.

    `target_stage` is the stage's name as asked for, or that of the last one ("" without name).
    """
    values = {}
    for prefix, platform in (("BUILD", build), ("TARGET", target)):
        values[f"{prefix}PLATFORM"] = str(platform)
        values[f"{prefix}OS"] = platform.os
        values[f"{prefix}OSVERSION"] = ""
        values[f"{prefix}ARCH"] = platform.architecture
        values[f"{prefix}VARIANT"] = platform.variant
    values["TARGETSTAGE"] = target_stage or "default"
    return {name: build_arguments.get(name, value) for name, value in values.items()}


def global_arguments(
    dockerfile: Dockerfile,
    predefined_arguments: Mapping[str, str],
    build_arguments: Mapping[str, str],
    failed: Callable[[BuildError], None] | None = None,
) -> dict[str, str]:
    """What FROM sees: the predefined arguments and the ARGs before the first FROM, with values.

    Raises BuildError with its place; or `failed` gets it, and that ARG has the value UNKNOWN.
    """
    values = dict(predefined_arguments)
    lexer = Lexer(dockerfile.escape)
    for arg in dockerfile.globals:
        for argument in arg.arguments:
            if argument.name in build_arguments:
                values[argument.name] = build_arguments[argument.name]
            elif argument.default is not None:
                try:
                    values[argument.name] = lexer.expand(argument.default, values).text
                except BuildError as e:
                    dockerfile.locate(e, arg)
                    if failed is None:
                        raise
                    failed(e)
                    values[argument.name] = UNKNOWN
    return values


@dataclass(frozen=True, slots=True)
class Base:
    """FROM, expanded: the image or stage, and the platform or "" for the target's."""

    name: str
    platform: str


def base_of(
    dockerfile: Dockerfile,
    stage: Stage,
    globals_: Mapping[str, str],
    seen: Callable[[str, Expansion], None] | None = None,
) -> Base:
    """What `stage` starts from.  `seen` gets ("base" or "platform", expansion), for the checks.

    Raises BuildError with its place.
    """
    lexer = Lexer(dockerfile.escape)
    results = {"base": "", "platform": ""}
    for what, text in (("base", stage.base), ("platform", stage.platform)):
        if not text:
            continue
        try:
            expansion = lexer.expand(text, globals_)
        except BuildError as e:
            dockerfile.locate(e, stage.start)
            raise
        if seen:
            seen(what, expansion)
        if not expansion.text:
            unset = sorted(expansion.missing) or [text]
            remedy = did_you_mean(unset[0], tuple(globals_))
            raise dockerfile.error(
                stage.start,
                f"the {what} {text} of FROM is empty",
                remedy=remedy
                or f"declare ARG {unset[0].strip('${}')} with a "
                "default before the first FROM, or give --build-arg",
                code="RL-BUILD-VARIABLE",
            )
        results[what] = expansion.text
    return Base(results["base"], results["platform"])


def platform_of(dockerfile: Dockerfile, stage: Stage, text: str) -> Platform:
    """The platform of FROM --platform=`text`, expanded.  Raises BuildError with its place."""
    try:
        return platforms.parse(text)
    except BadReference as e:
        raise dockerfile.error(
            stage.start,
            f"--platform={text} is no platform",
            remedy="write it as linux/amd64",
            code="RL-BUILD-VALUE",
        ) from e


class Scope:
    """The variables of one stage, moved on by apply(), instruction by instruction.

    `environment` is what expansions see and RUN gets: the base's Env, ARG and ENV, the last one
    wins.  `arguments` are the ARGs declared so far, in order, as RUN's history names them; None
    is without value.  `used` are all variables that expansions have asked for and found,
    `unmatched` those of the last apply() that they have not.
    """

    def __init__(
        self,
        dockerfile: Dockerfile,
        globals_: Mapping[str, str],
        build_arguments: Mapping[str, str],
        environment: Iterable[str] = (),
    ) -> None:
        """`environment` is the base image's Env: "NAME=value"."""
        self.dockerfile = dockerfile
        self.globals = globals_
        self.build_arguments = build_arguments
        self.environment = dict(entry.partition("=")[::2] for entry in environment)
        self.environment.setdefault("PATH", DEFAULT_PATH)
        self.arguments: dict[str, str | None] = {}
        self.used: set[str] = set()
        self.unmatched: set[str] = set()
        self._lexer = Lexer(dockerfile.escape)

    def child(self) -> "Scope":
        """The scope of a stage that starts FROM this one: it inherits ENV and ARG."""
        scope = Scope(self.dockerfile, self.globals, self.build_arguments)
        scope.environment = dict(self.environment)
        scope.arguments = dict(self.arguments)
        return scope

    def word(self, text: str) -> str:
        """`text` with quotes and variables expanded, as one word.  Raises BuildError."""
        return self._note(self._lexer.expand(text, self.environment)).text

    def words(self, text: str) -> list[str]:
        """The same, split at white space that is not quoted."""
        return self._note(self._lexer.expand(text, self.environment)).words

    def shown(self, line: str, masked: Iterable[str] = ()) -> str:
        """A line for progress: variables that are known have their values, quotes stay.

        `masked` are variables that a secret fills.
        """
        environment = {**self.environment, **dict.fromkeys(masked, "****")}
        lexer = Lexer(self.dockerfile.escape, keep_quotes=True, keep_escapes=True, keep_unset=True)
        try:
            return lexer.expand(line, environment).text
        except BuildError:
            return line

    def _note(self, expansion: Expansion) -> Expansion:
        self.used |= expansion.found
        self.unmatched |= expansion.missing - self.arguments.keys()
        return expansion

    def apply(self, instruction: to.Instruction) -> to.Instruction:
        """The instruction, expanded; ARG and ENV change the scope after it.

        CMD, ENTRYPOINT, SHELL, HEALTHCHECK, ONBUILD, MAINTAINER and the command of RUN are left
        to the shell in the container; --from and --exclude know no variables.  An ARG comes back
        with the values in force as defaults.
        Raises BuildError with its place.
        """
        self.unmatched = set()
        try:
            return self._apply(instruction)
        except BuildError as e:
            self.dockerfile.locate(e, instruction)
            raise

    def _apply(self, i: to.Instruction) -> to.Instruction:
        match i:
            case to.Arg():
                return self._declare(i)
            case to.Env():
                env = replace(i, pairs=self._pairs(i.pairs))
                self.environment.update((pair.key, pair.value) for pair in env.pairs)
                return env
            case to.Label():
                return replace(i, pairs=self._pairs(i.pairs))
            case to.Run():
                return replace(
                    i,
                    mounts=tuple(parse_mount(text, self.word) for text in i.mount_texts),
                    devices=tuple(replace(d, name=self.word(d.name)) for d in i.devices),
                )
            case to.Copy() | to.Add():
                return self._transfer(i)
            case to.Expose():
                ports = tuple(word for text in i.ports for word in self.words(text))
                for port in ports:
                    parse_port(port)
                return replace(i, ports=ports)
            case to.User():
                return replace(i, user=self.word(i.user))
            case to.Workdir():
                return replace(i, path=self.word(i.path))
            case to.Volume():
                paths = tuple(self.word(path) for path in i.paths)
                if not all(paths):
                    raise BuildError(
                        "VOLUME has a path that is empty",
                        remedy="check the variables in it",
                        code="RL-BUILD-VALUE",
                    )
                return replace(i, paths=paths)
            case to.StopSignal():
                return self._stop_signal(i)
        return i

    def _pairs(self, pairs: tuple[to.Pair, ...]) -> tuple[to.Pair, ...]:
        # All see the environment before the instruction: ENV a=1 b=$a knows an older a only.
        expanded = tuple(
            to.Pair(self.word(pair.key), self.word(pair.value), pair.legacy) for pair in pairs
        )
        if not all(pair.key for pair in expanded):
            raise BuildError(
                "a name is empty", remedy="check the variables in it", code="RL-BUILD-VALUE"
            )
        return expanded

    def _declare(self, arg: to.Arg) -> to.Arg:
        done = []
        for argument in arg.arguments:
            value: str | None
            if argument.name in self.build_arguments:
                value = self.build_arguments[argument.name]
            elif argument.default is not None:
                value = self.word(argument.default)
            else:
                value = self.globals.get(argument.name)
            if value is not None:
                self.environment[argument.name] = value
            self.arguments[argument.name] = value
            done.append(to.Argument(argument.name, value))
        return replace(arg, arguments=tuple(done))

    def _transfer(self, i: to.Copy | to.Add) -> to.Instruction:
        # Quotes have no meaning in the body of a heredoc, and its escape is the backslash.
        bodies = Lexer(quotes=False)
        documents = tuple(
            replace(d, content=self._note(bodies.expand(d.content, self.environment)).text)
            if d.expand
            else d
            for d in i.documents
        )
        expanded = replace(
            i,
            sources=tuple(self.word(source) for source in i.sources),
            documents=documents,
            target=self.word(i.target),
            chown=self.word(i.chown),
            chmod=self.word(i.chmod),
        )
        if isinstance(expanded, to.Add):
            return replace(expanded, checksum=self.word(expanded.checksum))
        return expanded

    def _stop_signal(self, i: to.StopSignal) -> to.StopSignal:
        signal = self.word(i.signal)
        try:
            parse_signal(signal)
        except UsageError as e:
            raise BuildError(e.what, remedy=e.remedy, code="RL-BUILD-VALUE") from e
        return replace(i, signal=signal)


def unknown_arguments(dockerfile: Dockerfile, build_arguments: Iterable[str]) -> list[str]:
    """The --build-arg that no ARG in the Dockerfile declares, for a warning."""
    declared = {argument.name for arg in dockerfile.globals for argument in arg.arguments}
    for stage in dockerfile.stages:
        for instruction in stage.instructions:
            if isinstance(instruction, to.Arg):
                declared.update(argument.name for argument in instruction.arguments)
    known = declared.union(PROXY_ARGUMENTS, BUILDER_ARGUMENTS)
    return [
        name for name in build_arguments if name not in known and name not in _PLATFORM_ARGUMENTS
    ]
