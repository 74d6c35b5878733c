"""From stages to steps: what the target needs, every instruction expanded, before anything runs.

A stage's steps run one after the other, stages beside each other.  Instructions that change the
image config alone are no steps: they are done here.  Source: moby/buildkit
frontend/dockerfile/dockerfile2llb/convert.go.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rootless.build.dockerfile import instructions as to
from rootless.build.dockerfile.mounts import Mount
from rootless.build.dockerfile.parse import parse_trigger
from rootless.build.dockerfile.refused import check_run
from rootless.build.dockerfile.scope import (
    PROXY_ARGUMENTS,
    Scope,
    base_of,
    global_arguments,
    platform_of,
    predefined,
)
from rootless.build.dockerfile.stages import SCRATCH, Dockerfile, Stage, references
from rootless.build.state import ImageState, run_created_by, transfer_created_by
from rootless.errors import BuildError
from rootless.linux.mount import LAYERS_MAX
from rootless.oci import platform as platforms
from rootless.oci.platform import Platform
from rootless.records import dataclass, field

if TYPE_CHECKING:
    from rootless.build.options import BuildOptions

OCI_LAYOUT = "oci-layout://"
DOCKER_IMAGE = "docker-image://"
IMAGE_CONTEXTS = (DOCKER_IMAGE, OCI_LAYOUT)  # kinds of --build-context


@dataclass(frozen=True, slots=True)
class BaseImage:
    """An image of the store that a stage starts from or copies from.

    `document` is its image config, whole.
    """

    name: str
    record: dict[str, Any]
    document: dict[str, Any]

    @property
    def layers(self) -> list[str]:
        return list(self.record["layers"])


@dataclass(frozen=True, slots=True)
class Need:
    """An image that the build needs: its name as written, where, and for which platform."""

    name: str
    platform: Platform
    where: to.Instruction = field(compare=False)


Images = Callable[[Need], BaseImage]


@dataclass(frozen=True, slots=True)
class Source:
    """Where files come from: the stage, the image, or the named context; else the context."""

    stage: "StagePlan | None" = None
    image: BaseImage | None = None
    context: str = ""

    @property
    def is_context(self) -> bool:
        return self.stage is None and self.image is None


@dataclass(slots=True, kw_only=True)
class Step:
    """An instruction that makes a layer.

    `environment`, `user`, `workdir` and `shell` are as in force there; `hidden` is what RUN's
    environment has and no cache key knows.  `mounts` are those of RUN with their sources.
    """

    stage: "StagePlan"
    place: int
    instruction: to.Instruction
    name: str = ""
    number: int = 0
    environment: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    user: str = ""
    workdir: str = "/"
    arguments: tuple[str, ...] = ()
    script: to.InlineFile | None = None
    mounts: tuple[tuple[Mount, Source], ...] = ()
    source: Source | None = None

    @property
    def lines(self) -> tuple[int, int]:
        return self.instruction.first_line, self.instruction.last_line

    def stages_needed(self) -> "list[StagePlan]":
        """The stages that have to be ready before this step."""
        sources = [self.source, *(source for _, source in self.mounts)]
        return [one.stage for one in sources if one is not None and one.stage is not None]


@dataclass(slots=True)
class StagePlan:
    """A stage that the target needs.  `base` is None for scratch."""

    stage: Stage
    platform: Platform
    base: "BaseImage | StagePlan | None"
    state: ImageState
    scope: Scope
    steps: list[Step] = field(default_factory=list)

    @property
    def label(self) -> str:
        return self.stage.label

    @property
    def layers(self) -> int:
        """How many there are so far at least: WORKDIR makes one only where there is none."""
        base = self.base
        below = 0
        if base is not None:
            below = base.layers if isinstance(base, StagePlan) else len(base.layers)
        return below + sum(not isinstance(step.instruction, to.Workdir) for step in self.steps)


@dataclass(frozen=True, slots=True)
class Plan:
    """`stages` in the order of the Dockerfile; `target` is one of them."""

    target: StagePlan
    stages: tuple[StagePlan, ...]

    @property
    def steps(self) -> list[Step]:
        return [step for stage in self.stages for step in stage.steps]


class Planner:
    """Make the plan in two parts: needs() says which images, plan() has them."""

    def __init__(self, dockerfile: Dockerfile, options: "BuildOptions") -> None:
        self.dockerfile = dockerfile
        self.options = options
        self.arguments = options.given_args
        self.host = platforms.host()
        self.platform = options.platform or self.host
        self.target = dockerfile.target(options.target)
        name = options.target or self.target.name
        predefined_ = predefined(self.host, self.platform, name, self.arguments)
        self.globals = global_arguments(dockerfile, predefined_, self.arguments)
        self._planned: dict[int, StagePlan] = {}
        self._images: Images | None = None

    def needs(self) -> list[Need]:
        """The images that the target needs, as far as ONBUILD doesn't bring more."""
        found: dict[Need, None] = {}
        seen: set[int] = set()
        todo = [self.target]
        while todo:
            stage = todo.pop()
            if stage.index in seen:
                continue
            seen.add(stage.index)
            base, need = self._base(stage)
            todo += [base] if base else []
            found |= {need: None} if need else {}
            for instruction in stage.instructions:
                for word in references(instruction):
                    other, need = self._source(word, instruction, stage)
                    todo += [other] if other else []
                    found |= {need: None} if need else {}
        return list(found)

    def plan(self, images: Images) -> Plan:
        """The whole plan; `images` gives the image of a need.  Raises BuildError."""
        self._images = images
        target = self._stage(self.target)
        stages = tuple(self._planned[index] for index in sorted(self._planned))
        plan = Plan(target, stages)
        self._name_steps(plan)
        return plan

    def _base(self, stage: Stage) -> tuple[Stage | None, Need | None]:
        """The stage or the image that `stage` starts from; neither for scratch."""
        base = base_of(self.dockerfile, stage, self.globals)
        other = self.dockerfile.base_stage(stage, base.name)
        if other is not None or base.name == SCRATCH or self._directory_of(base.name):
            return other, None
        return None, Need(base.name, self._platform_of(stage, base.platform), stage.start)

    def _directory_of(self, word: str) -> str:
        """The name of the context that `word` means, if that is files and no image."""
        name = self.options.context_of(word)
        is_image = not name or self.options.build_contexts[name].startswith(IMAGE_CONTEXTS)
        return "" if is_image else name

    def _platform_of(self, stage: Stage, text: str) -> Platform:
        return platform_of(self.dockerfile, stage, text) if text else self.platform

    def _source(
        self, word: str, where: to.Instruction, stage: Stage
    ) -> tuple[Stage | None, Need | None]:
        """What --from means at `where`: a stage, or an image; neither for a named context."""
        other = self.dockerfile.source_stage(word, where, stage)
        if other is None:
            if self._directory_of(word):
                return None, None
            return None, Need(word, self.platform, where)
        return other, None

    def _stage(self, stage: Stage) -> StagePlan:
        if stage.index in self._planned:
            return self._planned[stage.index]
        assert self._images is not None
        other, need = self._base(stage)
        if other is not None:
            below = self._stage(other)
            planned = StagePlan(
                stage, below.platform, below, below.state.child(), below.scope.child()
            )
        elif need is not None:
            image = self._images(need)
            state = ImageState(
                image.document.get("config") or {},
                image.document.get("history") or (),
                str(image.document.get("author") or ""),
            )
            scope = Scope(self.dockerfile, self.globals, self.arguments, state.config["Env"])
            planned = StagePlan(stage, need.platform, image, state, scope)
        else:
            state = ImageState({}, ())
            scope = Scope(self.dockerfile, self.globals, self.arguments, state.config["Env"])
            planned = StagePlan(stage, self.platform, None, state, scope)
            name = self._directory_of(base_of(self.dockerfile, stage, self.globals).name)
            if name:  # FROM a directory: its files on nothing
                self._instruction(planned, self._trigger(f"COPY --from={name} . /", stage))
        triggers = [self._trigger(text, stage) for text in planned.state.take_triggers()]
        for instruction in (*triggers, *stage.instructions):
            try:
                self._instruction(planned, instruction)
            except BuildError as e:
                self.dockerfile.locate(e, instruction)
                raise
        self._planned[stage.index] = planned
        return planned

    def _trigger(self, text: str, stage: Stage) -> to.Instruction:
        try:
            return parse_trigger(text, stage.start)
        except BuildError as e:
            self.dockerfile.locate(e, stage.start)
            raise

    def _instruction(self, planned: StagePlan, written: to.Instruction) -> None:
        before = tuple(planned.scope.environment.items())
        instruction = planned.scope.apply(written)
        match instruction:
            case to.Run():
                self._run(planned, instruction, before)
            case to.Copy() | to.Add():
                self._transfer(planned, instruction)
            case to.Workdir():
                self._workdir(planned, instruction)
            case _:
                planned.state.apply(instruction)

    def _step(self, planned: StagePlan, instruction: to.Instruction, **fields: Any) -> Step:
        step = Step(
            stage=planned,
            place=len(planned.steps),
            instruction=instruction,
            user=planned.state.user,
            workdir=planned.state.workdir,
            **fields,
        )
        planned.steps.append(step)
        return step

    def _run(
        self, planned: StagePlan, run: to.Run, environment: tuple[tuple[str, str], ...]
    ) -> None:
        check_run(run, planned.state.workdir)
        check_layers(planned.layers)
        arguments, script = run.command.arguments(planned.state.shell)
        if not arguments:
            raise BuildError("RUN has no command", code="RL-BUILD-ARGUMENTS")
        sources = [self._find_source(planned, mount.source_stage, run) for mount in run.mounts]
        known = dict(environment)
        hidden = tuple(
            f"{name}={value}"
            for name, value in self.arguments.items()
            if name in PROXY_ARGUMENTS and name not in known
        )
        step = self._step(
            planned,
            run,
            environment=tuple(f"{name}={value}" for name, value in environment),
            hidden=hidden,
            arguments=arguments,
            script=script,
            mounts=tuple(zip(run.mounts, sources, strict=True)),
        )
        planned.state.commit(run_created_by(arguments, planned.scope), layer=step.place)

    def _transfer(self, planned: StagePlan, instruction: to.Copy | to.Add) -> None:
        word = instruction.source_stage if isinstance(instruction, to.Copy) else ""
        source = self._find_source(planned, word, instruction)
        step = self._step(planned, instruction, source=source)
        planned.state.commit(transfer_created_by(instruction), layer=step.place)

    def _workdir(self, planned: StagePlan, instruction: to.Workdir) -> None:
        path = planned.state.below_workdir(instruction.path)
        planned.state.config["WorkingDir"] = path
        if path == "/":
            planned.state.commit(f"WORKDIR {path}")
            return
        step = self._step(planned, instruction)
        planned.state.commit(f"WORKDIR {path}", layer=step.place)

    def _find_source(self, planned: StagePlan, word: str, where: to.Instruction) -> Source:
        if not word:
            return Source()
        other, need = self._source(word, where, planned.stage)
        if other is not None:
            return Source(stage=self._stage(other))
        if need is None:
            return Source(context=self._directory_of(word))
        assert self._images is not None
        return Source(image=self._images(need))

    def _name_steps(self, plan: Plan) -> None:
        """ "[build 2/5] RUN make", numbered as BuildKit does: FROM an image is the first."""
        number = 0
        several = len(self.dockerfile.stages) > 1
        for planned in plan.stages:
            first = 1 if isinstance(planned.base, BaseImage) else 0
            total = first + len(planned.steps)
            for step in planned.steps:
                number += 1
                step.number = number
                count = f"{first + step.place + 1}/{total}"
                where = f"{planned.label} {count}" if several else count
                step.name = f"[{where}] {shown(step.instruction)}"


def check_layers(count: int) -> None:
    """Raise BuildError for more layers below a RUN than overlayfs takes."""
    if count > LAYERS_MAX:
        raise BuildError(
            f"{count} layers are below this step, and overlayfs takes {LAYERS_MAX}",
            remedy="put several commands into one RUN",
            code="RL-IMAGE-TOO-MANY-LAYERS",
        )


def shown(instruction: to.Instruction) -> str:
    """The instruction on one line."""
    _, _, rest = instruction.line.partition(" ")
    return f"{instruction.name} {' '.join(rest.split())}".rstrip()
