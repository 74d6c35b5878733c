"""A Dockerfile's bytes -> stages of typed instructions."""

from rootless.build.dockerfile import instructions as to
from rootless.build.dockerfile.interpret import check_trigger, interpret
from rootless.build.dockerfile.nodes import read, read_trigger
from rootless.build.dockerfile.stages import Dockerfile, Stage
from rootless.errors import BuildError


def parse(data: bytes, name: str = "Dockerfile") -> Dockerfile:
    """The Dockerfile in `data`; `name` is for messages.  Raises BuildError with its place."""
    dockerfile, errors = _parse(data, name, stop=True)
    if dockerfile is None:
        raise errors[0]
    return dockerfile


def parse_tolerant(
    data: bytes, name: str = "Dockerfile"
) -> tuple[Dockerfile | None, list[BuildError]]:
    """The same for checks: all errors, and the Dockerfile without the instructions at fault."""
    return _parse(data, name, stop=False)


def _parse(data: bytes, name: str, *, stop: bool) -> tuple[Dockerfile | None, list[BuildError]]:
    errors: list[BuildError] = []
    try:
        source = read(data, name, None if stop else errors)
    except BuildError as e:
        return None, [*errors, e]
    globals_: list[to.Arg] = []
    stages: list[tuple[to.From, list[to.Instruction]]] = []
    for node in source.nodes:
        try:
            instruction = interpret(node, source.escape)
            if not _sort_in(instruction, globals_, stages) and not errors:
                raise _before_from(instruction)  # told once; a FROM that is wrong is told before
        except BuildError as e:
            first, last = node.first_line, node.last_line
            e.locate((name, first, last), source.excerpt(first, last))
            errors.append(e)
            if stop:
                return None, errors
    if not stages and not errors:
        last = len(source.lines)
        no_from = BuildError(
            "there is no FROM", remedy="begin with FROM IMAGE", code="RL-BUILD-EMPTY"
        )
        no_from.locate((name, last, last), source.excerpt(last, last))
        errors.append(no_from)
    if not stages:
        return None, errors
    built = [Stage(i, start, tuple(body)) for i, (start, body) in enumerate(stages)]
    return Dockerfile(source, tuple(globals_), tuple(built)), errors


def _sort_in(
    instruction: to.Instruction,
    globals_: list[to.Arg],
    stages: list[tuple[to.From, list[to.Instruction]]],
) -> bool:
    """Whether the instruction has a place."""
    if isinstance(instruction, to.From):
        stages.append((instruction, []))
    elif stages:
        stages[-1][1].append(instruction)
    elif isinstance(instruction, to.Arg):
        globals_.append(instruction)
    else:
        return False
    return True


def _before_from(instruction: to.Instruction) -> BuildError:
    return BuildError(
        f"{instruction.name} stands before the first FROM",
        remedy="only ARG, comments and parser directives may",
        code="RL-BUILD-STAGE",
    )


def parse_trigger(expression: str, base: to.From) -> to.Instruction:
    """An entry of a base image's OnBuild, with the place of the FROM that brings it in.

    Raises BuildError, without place.
    """
    node = read_trigger(expression)
    check_trigger(node)
    return interpret(node, "\\", (base.first_line, base.last_line))
