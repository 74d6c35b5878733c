"""Imports run downwards only (DESIGN.md section 2): read from the source, not from a run."""

import ast
import glob
import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# From the top down.  A module may import from the layers below its own, and from its own package.
LAYERS = (
    ("rootless.cli", "rootless.api", "rootless.compose"),
    ("rootless.doctor",),
    ("rootless.quadlet",),
    ("rootless.build",),
    ("rootless.runtime",),
    ("rootless.network",),
    ("rootless.registry",),
    ("rootless.layer",),
    ("rootless.store",),
    ("rootless.oci", "rootless.linux"),
    ("rootless.context",),
    ("rootless.trace",),
    ("rootless.paths", "rootless.ids", "rootless.log", "rootless.fastjson", "rootless.records"),
    ("rootless.errors",),
    ("rootless",),
)
# These print, read argv, or exit: nothing below cli does.
PRINTERS = {
    "print", "input", "exit", "quit", "sys.exit", "log.error", "log.warning", "log.note",
}  # fmt: skip


def modules() -> dict[str, ast.Module]:
    """All modules of the package by name, as syntax trees."""
    found = {}
    for path in glob.glob(f"{ROOT}/rootless/**/*.py", recursive=True):
        relative = os.path.relpath(path, ROOT).removesuffix(".py").removesuffix("/__init__")
        if "_helpers" not in relative:
            with open(path) as file:
                found[relative.replace("/", ".")] = ast.parse(file.read(), path)
    return found


MODULES = modules()


def unit(module: str) -> str:
    """The layered thing that a module belongs to: rootless.store.atomic is of rootless.store."""
    parts = module.split(".")
    return ".".join(parts[:2])


def imported(tree: ast.Module) -> set[str]:
    """The modules of ours that a module imports, those in functions too."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            base = node.module or ""
            for alias in node.names:
                name = f"{base}.{alias.name}"
                found.add(name if name in MODULES else base)
    return {name for name in found if name.split(".")[0] == "rootless"}


def rank(name: str) -> int:
    return next(index for index, layer in enumerate(LAYERS) if name in layer)


def test_every_package_has_a_layer() -> None:
    known = {name for layer in LAYERS for name in layer}
    assert {unit(module) for module in MODULES} <= known


def test_imports_run_downwards_only() -> None:
    upwards = []
    for module, tree in MODULES.items():
        for other in imported(tree):
            here, there = unit(module), unit(other)
            if here != there and rank(there) <= rank(here):
                upwards.append(f"{module} imports {other}")
    assert not upwards, "\n".join(sorted(upwards))


def test_records_stand_for_dataclasses() -> None:
    """Which compiles code for each class at each start: docs/decisions/043-warm-imports.md."""
    wrong = [
        f"{module}: import from rootless.records what it takes of dataclasses"
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "dataclasses"
        and module != "rootless.records"
    ]  # fmt: skip
    assert not wrong, "\n".join(wrong)


def test_the_stage_imports_the_kernel_and_errors_only() -> None:
    """It runs between fork and exec; what it is divided into may do no more."""
    parts = {"rootless.runtime.stage", "rootless.runtime.execute"}
    low = ("rootless.linux", "rootless.errors", "rootless.fastjson", "rootless.trace")
    allowed = (*low, *parts)
    wrong = [
        f"{part} imports {name}"
        for part in parts
        for name in imported(MODULES[part])
        if not name.startswith(allowed)
    ]
    assert not wrong


def calls(tree: ast.Module) -> list[ast.Call]:
    """All calls in a module, but those of a program (`if __name__ == "__main__"`)."""
    tree = ast.Module(
        [node for node in tree.body if "__main__" not in ast.unparse(getattr(node, "test", node))],
        [],
    )
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_nothing_below_the_command_line_prints_or_exits() -> None:
    found = []
    for module, tree in MODULES.items():
        if unit(module) in ("rootless.cli", "rootless.log"):
            continue
        for call in calls(tree):
            called = ast.unparse(call.func)
            if called in PRINTERS or called.startswith("sys.stdout."):
                found.append(f"{module}:{call.lineno}: {called}()")
    assert not found, "\n".join(found)
