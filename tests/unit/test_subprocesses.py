"""Programs are started by a list of words, never through a shell: the source is looked through."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("rootless/**/*.py"), *ROOT.glob("helpers/**/*.py")])
BY_SHELL = {("os", "system"), ("os", "popen"), ("subprocess", "getoutput"),
            ("subprocess", "getstatusoutput")}  # fmt: skip
STARTERS = {"run", "Popen", "call", "check_call", "check_output"}


def offences(tree: ast.AST) -> list[str]:
    """What in the source hands a text to a shell, with its line."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner, name = node.func.value, node.func.attr
        module = owner.id if isinstance(owner, ast.Name) else ""
        if (module, name) in BY_SHELL:
            found.append(f"{node.lineno}: {module}.{name}")
        if module != "subprocess" or name not in STARTERS:
            continue
        if any(word.arg == "shell" for word in node.keywords):
            found.append(f"{node.lineno}: shell=")
        if node.args and isinstance(node.args[0], ast.JoinedStr | ast.Constant):
            found.append(f"{node.lineno}: a text as command")
    return found


@pytest.mark.parametrize("text", [
    "import os; os.system('x')", "import subprocess; subprocess.run(['a'], shell=True)",
    "import subprocess; subprocess.run(f'a {b}')", "import subprocess; subprocess.getoutput('x')",
])  # fmt: skip
def test_offences_are_found(text: str) -> None:
    assert offences(ast.parse(text))


def test_no_shell_between_us_and_a_program() -> None:
    assert len(SOURCES) > 100
    found = {path: offences(ast.parse(path.read_text())) for path in SOURCES}
    assert not {path.name: places for path, places in found.items() if places}
