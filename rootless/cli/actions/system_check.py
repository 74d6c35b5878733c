"""`rl system check`: whether the store is what it should be, and repairs."""

import os
from typing import Any

from rootless.cli.output import familiar, human_size, write
from rootless.context import Context
from rootless.layer import check as layer_check
from rootless.store import atomic, check, image_changes, images, layers, layout
from rootless.store.check import Problem

# What a repair needs to have been done before it: records before the index made of them.
_ORDER = ("version", "record", "blob", "layer", "stray", "name", "list", "index")


def main(ctx: Context, values: dict[str, Any]) -> int:
    """A line per problem, and what became of it; 0 when nothing is wrong any more."""
    quick = bool(values["quick"])
    if not os.path.exists(ctx.paths.version):
        layout.prepare(ctx.paths)
    swept = atomic.sweep(ctx)
    if swept:
        _say(f"tmp: {swept} things that killed commands have left: removed")
    found = _look(ctx, quick)
    if not found:
        _say(_summary(ctx, quick))
        return 0
    if not values["repair"]:
        for one in found:
            _say(one.what)
            _tell_users(ctx, one)
        _say(f"{_count(len(found))}; rl system check --repair puts right what it can")
        return 1
    for one in sorted(found, key=_place):
        done = layer_check.repair(ctx, one) if one.kind == "layer" else check.repair(ctx, one)
        _say(f"{one.what}: {done or 'left as it is'}")
        _tell_users(ctx, one)
    image_changes.refresh_index(ctx.paths)
    left = _look(ctx, quick=True)
    for one in left:
        _say(f"still: {one.what}{_remedy(ctx, one)}")
    _say(f"{_count(len(found))}, {len(left)} left" if left else "all problems are put right")
    return 1 if left else 0


def _look(ctx: Context, quick: bool) -> list[Problem]:
    found = check.problems(ctx, content=not quick)
    if not quick and not any(one.kind == "store" for one in found):
        found += layer_check.problems(ctx)
    return found


def _place(problem: Problem) -> int:
    return _ORDER.index(problem.kind) if problem.kind in _ORDER else len(_ORDER)


def _tell_users(ctx: Context, problem: Problem) -> None:
    """Who is hit by a damaged layer: containers are never touched, their owner must know."""
    if problem.kind not in ("layer", "shared"):
        return
    names, held_by = layer_check.users(ctx, problem.key)
    for name in names:
        _say(f"  image {familiar(name)} has it")
    for one in held_by:
        state = "runs on it: stop it before a repair" if one.running else "was made of it"
        _say(f"  container {one.name} {state}")


def _remedy(ctx: Context, problem: Problem) -> str:
    if problem.kind == "container":
        return f"; rl rm -f {problem.key[:12]}"
    if problem.kind != "image":
        return ""
    names = [familiar(name) for name in images.names_of(ctx.paths, problem.key)]
    if names:
        return f"; rl pull {names[0]}, or build or load it again"
    return f"; rl rmi -f {problem.key[7:19]}"


def _summary(ctx: Context, quick: bool) -> str:
    sizes = image_changes.sizes(ctx.paths)
    number = len(images.list_images(ctx.paths))
    kept = len(layers.list_layers(ctx.paths))
    how = "records and links" if quick else human_size(sum(sizes.values()))
    return f"the store is sound: {number} images, {kept} layers; {how} checked"


def _count(number: int) -> str:
    return "1 problem" if number == 1 else f"{number} problems"


def _say(text: str) -> None:
    write(f"{text}\n")
