"""The checks of `rl build --check`: what is wrong with a Dockerfile, and what is unwise.

Source: buildkit frontend/dockerfile/dockerfile2llb/validations.go and convert.go.
"""

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence

from rootless.build.dockerfile import instructions as to
from rootless.build.dockerfile.ignore import Matcher, clean
from rootless.build.dockerfile.parse import parse_tolerant
from rootless.build.dockerfile.ports import parse_port
from rootless.build.dockerfile.refused import check_run
from rootless.build.dockerfile.rules import RULES, Options, Rule, options_above, parse_options
from rootless.build.dockerfile.scope import (
    UNKNOWN,
    Base,
    Scope,
    base_of,
    global_arguments,
    platform_of,
    predefined,
)
from rootless.build.dockerfile.shellwords import Expansion
from rootless.build.dockerfile.stages import SCRATCH, Dockerfile, Stage, references
from rootless.build.dockerfile.text import nearest
from rootless.errors import BadReference, BuildError
from rootless.oci import platform as platforms
from rootless.oci import reference
from rootless.records import dataclass, field, replace

_RESERVED = ("context", "scratch")
_SECRET = re.compile(
    r"(?i)(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)"
)
_NO_SECRET = re.compile(r"(?i)(?:_|^)(?:public|file|version)(?:_|$)")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule has to say about lines of the Dockerfile."""

    rule: Rule
    message: str
    first_line: int
    last_line: int


@dataclass(slots=True)
class Report:
    """Errors stop a build; findings do so only if `fails`."""

    errors: list[BuildError] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    options: Options = field(default_factory=Options)
    dockerfile: Dockerfile | None = None

    @property
    def fails(self) -> bool:
        return bool(self.errors) or (self.options.error and bool(self.findings))


@dataclass(frozen=True, slots=True)
class KnownImage:
    """What the checks want to know of a base image's config."""

    platform: platforms.Platform
    environment: Sequence[str] = ()
    shell: Sequence[str] = ()
    workdir: str = "/"


Find = Callable[[str, platforms.Platform, tuple[str, ...]], KnownImage | None]


def _knows_no_image(
    _name: str, _platform: platforms.Platform, _stages: tuple[str, ...]
) -> KnownImage | None:
    return None


@dataclass(frozen=True, slots=True)
class Given:
    """What a build is told besides the Dockerfile.

    `image` is asked for the image that FROM or --from names, expanded, for a platform, with the
    stages that may be meant: None is for one that isn't known here (variables of it may be
    anything, so that they are not reported), a BuildError for one that no build could have.
    `look_for` raises for what COPY, ADD or a mount takes and is not there; it is told which words
    mean stages.
    """

    build_arguments: Mapping[str, str] = field(default_factory=dict)
    build_platform: platforms.Platform = field(default_factory=platforms.host)
    target_platform: platforms.Platform = field(default_factory=platforms.host)
    target: str = ""
    image: Find = _knows_no_image
    ignore: Matcher | None = None
    look_for: Callable[[to.Copy | to.Add | to.Run, frozenset[str]], None] | None = None


def check(data: bytes, name: str = "Dockerfile", given: Given | None = None) -> Report:
    """Everything that can be said about a Dockerfile without running it.  Raises nothing."""
    given = given or Given()
    report = Report()
    dockerfile, errors = parse_tolerant(data, name)
    report.errors += errors
    report.dockerfile = dockerfile
    if dockerfile is None:
        return report
    try:
        text = given.build_arguments.get("BUILDKIT_DOCKERFILE_CHECK", dockerfile.check)
        report.options = parse_options(text)
    except BuildError as e:
        line = dockerfile.source.directives.get("check", ("", 1))[1]
        e.locate((name, line, line), dockerfile.source.excerpt(line, line))
        report.errors.append(e)
    _Linter(dockerfile, given, report).run()
    report.findings.sort(key=lambda finding: finding.first_line)
    report.errors.sort(key=lambda error: error.location[1] if error.location else 0)
    return report


@dataclass(slots=True)
class _StageFacts:
    """What a stage hands to those that start from it."""

    scope: Scope
    environment_known: bool
    shell_set: bool
    workdir_set: bool
    workdir: str | None  # None where it is that of an image that isn't known
    stages: frozenset[str] = frozenset()  # the words after --from and from= that mean stages


class _Linter:
    def __init__(self, dockerfile: Dockerfile, given: Given, report: Report) -> None:
        self.dockerfile = dockerfile
        self.given = given
        self.report = report
        self.facts: dict[int, _StageFacts] = {}

    def say(self, rule: str, where: to.Instruction, *words: str) -> None:
        record = RULES[rule]
        if options_above(self.report.options, where.comments).enabled(record):
            message = record.message.format(*words)
            finding = Finding(record, message, where.first_line, where.last_line)
            if finding not in self.report.findings:
                self.report.findings.append(finding)

    def run(self) -> None:
        self.texts()
        self.casing()
        self.stage_names()
        given = self.given
        try:
            self.dockerfile.target(given.target)
        except BuildError as e:
            self.report.errors.append(e)
        target = given.target or self.dockerfile.stages[-1].name
        fixed = predefined(
            given.build_platform, given.target_platform, target, given.build_arguments
        )
        self.default_bases(fixed)
        globals_ = global_arguments(
            self.dockerfile, fixed, given.build_arguments, self.report.errors.append
        )
        for stage in self.dockerfile.stages:
            self.stage(stage, globals_)

    # What needs no variables.

    def instructions(self) -> list[to.Instruction]:
        found: list[to.Instruction] = list(self.dockerfile.globals)
        for stage in self.dockerfile.stages:
            found += (stage.start, *stage.instructions)
        return found

    def texts(self) -> None:
        for i in self.instructions():
            if line := i.blank_continuation:
                self.say("NoEmptyContinuation", replace(i, first_line=line, last_line=line))
            if isinstance(i, to.Maintainer):
                self.say("MaintainerDeprecated", i)
            elif isinstance(i, to.Arg):
                self.description(i, [argument.name for argument in i.arguments], "<arg_key>")
            elif isinstance(i, to.From) and i.stage_name:
                self.description(i, [i.stage_name], i.stage_name)

    def description(self, i: to.Instruction, names: list[str], several: str) -> None:
        if i.comments and i.comments[-1].split(" ")[0] not in names:
            example = names[0] if len(names) == 1 else several
            self.say("InvalidDefinitionDescription", i, i.name, example)

    def casing(self) -> None:
        found = [i for s in self.dockerfile.stages for i in (s.start, *s.instructions)]
        lower = sum(i.keyword.islower() for i in found)
        upper = sum(i.keyword.isupper() for i in found)
        wanted = "lowercase" if lower > upper else "uppercase"
        for i in found:
            if i.keyword != (i.keyword.lower() if lower > upper else i.keyword.upper()):
                self.say("ConsistentInstructionCasing", i, i.keyword, wanted)

    def stage_names(self) -> None:
        seen: set[str] = set()
        for stage in self.dockerfile.stages:
            start = stage.start
            if not start.stage_name:
                continue
            if start.stage_name_written != start.stage_name:
                self.say("StageNameCasing", start, start.stage_name_written)
            word, other = start.keyword, start.as_keyword
            if (word.islower() and not other.islower()) or (word.isupper() and not other.isupper()):
                self.say("FromAsCasing", start, other, word)
            if start.stage_name in _RESERVED:
                self.say("ReservedStageName", start, start.stage_name)
            if start.stage_name in seen:
                self.say("DuplicateStageName", start, start.stage_name)
            seen.add(start.stage_name)

    # What needs them.

    def default_bases(self, fixed: Mapping[str, str]) -> None:
        try:
            defaults = global_arguments(self.dockerfile, fixed, {})
        except BuildError:
            return  # reported where the given values are used
        for stage in self.dockerfile.stages:
            if "$" not in stage.base:
                continue  # it is wrong with all values: an error
            try:
                reference.parse(base_of(self.dockerfile, stage, defaults).name)
            except (BadReference, BuildError):
                self.say("InvalidDefaultArgInFrom", stage.start, stage.base)

    def stage(self, stage: Stage, globals_: Mapping[str, str]) -> None:
        facts = self.begin(stage, globals_)
        self.facts[stage.index] = facts
        last: dict[str, to.Instruction] = {}
        for i in stage.instructions:
            try:
                facts.stages = self.source_stages(i, stage)
                self.instruction(i, facts)
            except BuildError as e:
                self.error(e, i)
            if isinstance(i, (to.Cmd, to.Entrypoint, to.Healthcheck)):
                if i.name in last:
                    self.say("MultipleInstructionsDisallowed", last[i.name], i.keyword)
                last[i.name] = i

    def error(self, e: BuildError, where: to.Instruction) -> None:
        """Add an error, with the place of the instruction unless it has one."""
        self.dockerfile.locate(e, where)
        self.report.errors.append(e)

    def source_stages(self, i: to.Instruction, stage: Stage) -> frozenset[str]:
        """The words in `i` that mean stages; all others mean images, which have to be there."""
        words = references(i)
        found = {word for word in words if self.dockerfile.source_stage(word, i, stage)}
        for word in words:
            if word not in found:
                self.given.image(word, self.given.target_platform, self.names(stage))
        return frozenset(found)

    def names(self, stage: Stage) -> tuple[str, ...]:
        """Those of the stages above."""
        return tuple(one.name for one in self.dockerfile.stages[: stage.index] if one.name)

    def begin(self, stage: Stage, globals_: Mapping[str, str]) -> _StageFacts:
        try:
            base = self.base(stage, globals_)
            parent = self.dockerfile.base_stage(stage, base.name)
            if parent is not None and parent.index in self.facts:
                above = self.facts[parent.index]
                return replace(above, scope=above.scope.child())
            image = None
            if parent is None and base.name != SCRATCH and UNKNOWN not in base.name:
                image = self.base_image(stage, base)
        except BuildError as e:
            self.error(e, stage.start)
            base, image = Base(UNKNOWN, ""), None
        known = image is not None or base.name == SCRATCH
        environment = image.environment if image else ()
        scope = Scope(self.dockerfile, globals_, self.given.build_arguments, environment)
        workdir = None
        if known:
            workdir = image.workdir if image else "/"
        return _StageFacts(scope, known, bool(image and image.shell), False, workdir)

    def base(self, stage: Stage, globals_: Mapping[str, str]) -> Base:
        def seen(what: str, expansion: Expansion) -> None:
            declared = {a.name for arg in self.dockerfile.globals for a in arg.arguments}
            known = tuple(declared | globals_.keys())
            for name in sorted(expansion.missing - set(known)):
                self.say("UndefinedArgInFrom", stage.start, name, _hint(name, known))
            if what == "platform":
                self.platform(stage, expansion, globals_)

        return base_of(self.dockerfile, stage, globals_, seen)

    def platform(self, stage: Stage, expansion: Expansion, globals_: Mapping[str, str]) -> None:
        if expansion.found == {"TARGETPLATFORM"} and not expansion.missing:
            if expansion.text == globals_.get("TARGETPLATFORM"):
                self.say("RedundantTargetPlatform", stage.start, stage.platform)
        elif not expansion.found and not expansion.missing:
            fixed = platform_of(self.dockerfile, stage, expansion.text)
            # A name such as build-arm64 says that it is meant so.
            if fixed.os not in stage.name and fixed.architecture not in stage.name:
                self.say("FromPlatformFlagConstDisallowed", stage.start, expansion.text)

    def base_image(self, stage: Stage, base: Base) -> KnownImage | None:
        wanted = self.given.target_platform
        if base.platform:
            wanted = platform_of(self.dockerfile, stage, base.platform)
        image = self.given.image(base.name, wanted, self.names(stage))
        if image is not None and not platforms.matches(image.platform, wanted):
            words = (base.name, str(image.platform), str(wanted))
            self.say("InvalidBaseImagePlatform", stage.start, *words)
        return image

    def instruction(self, i: to.Instruction, facts: _StageFacts) -> None:
        scope = facts.scope
        before = tuple(scope.environment)
        try:
            expanded = scope.apply(i)
        finally:
            if facts.environment_known:
                for name in sorted(scope.unmatched):
                    self.say("UndefinedVar", i, name, _hint(name, before, "$"))
        match expanded:
            case to.Env() | to.Label():
                if any(pair.legacy for pair in expanded.pairs):
                    self.say("LegacyKeyValueFormat", i, i.keyword)
                if isinstance(expanded, to.Env):
                    self.secrets(i, [pair.key for pair in expanded.pairs])
            case to.Arg():
                self.secrets(i, [argument.name for argument in expanded.arguments])
            case to.Shell():
                facts.shell_set = True
            case to.Cmd() | to.Entrypoint():
                if expanded.command.shell and not facts.shell_set:
                    self.say("JSONArgsRecommended", i, i.keyword)
            case to.Workdir():
                if not facts.workdir_set and not expanded.path.startswith("/"):
                    self.say("WorkdirRelativePath", i, expanded.path)
                facts.workdir_set = True
                if facts.workdir is not None or expanded.path.startswith("/"):
                    facts.workdir = posixpath.join(facts.workdir or "", expanded.path)
            case to.Run():
                check_run(expanded, facts.workdir)
                if self.given.look_for is not None:
                    self.given.look_for(expanded, facts.stages)
            case to.Expose():
                self.ports(i, expanded)
            case to.Copy() | to.Add():
                self.sources(i, expanded, facts.stages)

    def secrets(self, i: to.Instruction, names: list[str]) -> None:
        for name in names:
            if _SECRET.search(name) and not _NO_SECRET.search(name):
                self.say("SecretsUsedInArgOrEnv", i, i.name, name)

    def ports(self, i: to.Instruction, expanded: to.Expose) -> None:
        for text in expanded.ports:
            port = parse_port(text)
            if port.protocol_written != port.protocol_written.lower():
                self.say("ExposeProtoCasing", i, text)
            if port.has_host_part:
                self.say("ExposeInvalidFormat", i, text)

    def sources(
        self, i: to.Instruction, expanded: to.Copy | to.Add, stages: frozenset[str]
    ) -> None:
        if self.given.look_for is not None:
            self.given.look_for(expanded, stages)
        ignore = self.given.ignore
        # With exceptions, an ignored directory may hold what is wanted.
        if ignore is None or ignore.has_exceptions:
            return
        if isinstance(expanded, to.Copy) and expanded.source_stage:
            return
        word = "Copy" if isinstance(expanded, to.Copy) else "Add"
        for source in expanded.sources:
            if isinstance(expanded, to.Add) and re.match(r"(?:\w+://|git@)", source):
                continue
            path = clean(source).lstrip("/") or "."
            everything = any(p.text in ("*", "**", "**/*") for p in ignore.patterns)
            if ignore.ignores(path) or (path == "." and everything):
                self.say("CopyIgnoredFile", i, word, source)


def _hint(name: str, known: Sequence[str], sign: str = "") -> str:
    found = nearest(name, tuple(known))
    return f" (did you mean {sign}{found}?)" if found else ""
