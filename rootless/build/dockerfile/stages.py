"""A Dockerfile as a value: global arguments and stages; which stage a word means."""

from rootless.build.dockerfile.instructions import Arg, Copy, From, Instruction, Run
from rootless.build.dockerfile.nodes import Source
from rootless.build.dockerfile.text import did_you_mean
from rootless.errors import BuildError
from rootless.records import dataclass

SCRATCH = "scratch"


@dataclass(frozen=True, slots=True)
class Stage:
    """FROM and what follows it.  `base` and `platform` are as written; Scope expands them."""

    index: int
    start: From
    instructions: tuple[Instruction, ...]

    @property
    def name(self) -> str:
        """The name after AS in lower case, "" without one."""
        return self.start.stage_name

    @property
    def label(self) -> str:
        """How progress and messages call it: its name, or stage-2."""
        return self.name or f"stage-{self.index}"

    @property
    def base(self) -> str:
        return self.start.base

    @property
    def platform(self) -> str:
        return self.start.platform


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """`globals` are the ARGs in front of the first FROM; there is at least one stage."""

    source: Source
    globals: tuple[Arg, ...]
    stages: tuple[Stage, ...]

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def escape(self) -> str:
        return self.source.escape

    @property
    def syntax(self) -> str:
        """The value of "# syntax=", or ""."""
        return self.source.directives.get("syntax", ("", 0))[0]

    @property
    def check(self) -> str:
        """The value of "# check=", or ""."""
        return self.source.directives.get("check", ("", 0))[0]

    def error(
        self, where: Instruction, problem: str, *, remedy: str | None = None, code: str
    ) -> BuildError:
        """A BuildError at an instruction, with its lines shown."""
        e = BuildError(problem, remedy=remedy, code=code)
        self.locate(e, where)
        return e

    def locate(self, e: BuildError, where: Instruction) -> None:
        """Give an error its place, if it has none."""
        first, last = where.first_line, where.last_line
        e.locate((self.name, first, last), self.source.excerpt(first, last))

    def base_stage(self, stage: Stage, base: str) -> Stage | None:
        """The stage that FROM `base` (expanded) means: the last one before with that name."""
        found = None
        for earlier in self.stages[: stage.index]:
            if earlier.name and earlier.name == base:
                found = earlier
        return found

    def source_stage(self, word: str, where: Instruction, stage: Stage) -> Stage | None:
        """The stage that --from or from= means in `stage`; None is an image or a named context.

        A number counts stages.  Raises BuildError (RL-BUILD-STAGE) for one that is not above.
        """
        other = self._source_stage(word, where)
        if other is not None and other.index >= stage.index:
            itself = other.index == stage.index
            names = tuple(one.name for one in self.stages[: stage.index] if one.name)
            raise self.error(
                where,
                f"the stage {word} is this one" if itself else f"the stage {word} comes later",
                remedy=did_you_mean(word, names) or "copy from a stage further up",
                code="RL-BUILD-STAGE",
            )
        return other

    def _source_stage(self, word: str, where: Instruction) -> Stage | None:
        if word.isascii() and word.removeprefix("-").isdecimal():
            index = int(word[:9])
            if 0 <= index < len(self.stages):
                return self.stages[index]
            raise self.error(
                where,
                f"there is no stage {word}",
                remedy=f"stages are counted from 0 to {len(self.stages) - 1}; better name them",
                code="RL-BUILD-STAGE",
            )
        return self.named(word)

    def named(self, name: str) -> Stage | None:
        """The last stage of that name, which has no case."""
        found = None
        for stage in self.stages:
            if stage.name and stage.name == name.lower():
                found = stage
        return found

    def target(self, name: str) -> Stage:
        """The stage of --target, the last one for "".  Raises BuildError (RL-BUILD-STAGE)."""
        if not name:
            return self.stages[-1]
        found = self.named(name)
        if (
            found is None
            and name.isascii()
            and name.isdecimal()
            and int(name[:9]) < len(self.stages)
        ):
            found = self.stages[int(name[:9])]
        if found is None:
            names = tuple(stage.name for stage in self.stages if stage.name)
            raise BuildError(
                f"{self.name} has no stage {name!r} to be the target",
                remedy=did_you_mean(name, names)
                or (f"it has {', '.join(names)}" if names else "name one: FROM IMAGE AS NAME"),
                code="RL-BUILD-STAGE",
            )
        return found


def references(instruction: Instruction) -> tuple[str, ...]:
    """The stages, images or named contexts that an instruction reads: --from and from=."""
    if isinstance(instruction, Copy):
        return (instruction.source_stage,) if instruction.source_stage else ()
    return instruction.mount_sources if isinstance(instruction, Run) else ()


OUR_VERSION = (1, 20)


def syntax_note(syntax: str) -> str | None:
    """A note when "# syntax=" asks for a frontend newer or other than ours; it is never fetched."""
    name, _, tag = syntax.split("@")[0].partition(":")
    name = name.removeprefix("docker.io/")
    if name == "dockerfile.v0":  # BuildKit's own, without any image
        return None
    if name not in ("docker/dockerfile", "docker/dockerfile-upstream"):
        return f"the frontend {syntax} is not used: rl reads the Dockerfile itself"
    parts = tag.removesuffix("-labs").split(".")
    if not all(part.isascii() and part.isdecimal() and len(part) < 6 for part in parts):
        return None  # latest, labs, master
    version = tuple(int(part) for part in parts)
    if version[0] > OUR_VERSION[0] or version[:2] > OUR_VERSION:
        ours = ".".join(map(str, OUR_VERSION))
        return f"the Dockerfile asks for syntax {tag}; rl knows that of {ours}"
    return None
