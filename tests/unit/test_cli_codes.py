"""Every code that rl can print is explained, and nothing else is."""

import ast
import glob
import os
import re

import pytest

from rootless.cli.actions import explain
from rootless.cli.explanations import EXPLANATIONS
from rootless.errors import UsageError

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def codes() -> set[str]:
    """The string literals in the source that are codes."""
    return {code for code in literals() if not code.endswith("-")}


def literals() -> set[str]:
    """Codes, and beginnings of codes that are put together (f"RL-HOST-{what}")."""
    found = set()
    for path in glob.glob(f"{ROOT}/rootless/**/*.py", recursive=True):
        if "explanations" in path:
            continue
        with open(path) as file:
            tree = ast.parse(file.read())
        for node in ast.walk(tree):
            value = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
            if isinstance(value, str) and re.fullmatch(r"RL-[A-Z0-9]+(-[A-Z0-9]+)*-?", value):
                found.add(value)
    return found


def test_every_code_is_explained() -> None:
    missing = codes() - set(EXPLANATIONS)
    assert not missing, f"say in rootless/cli/explanations*.py: {sorted(missing)}"


def test_every_explanation_is_of_a_code() -> None:
    known = literals()
    beginnings = tuple(text for text in known if text.endswith("-"))
    assert not {code for code in EXPLANATIONS if not code.startswith(beginnings)} - known


def test_explanations_are_sentences() -> None:
    for code, (title, text) in EXPLANATIONS.items():
        assert title and not title.endswith("."), code
        assert text.endswith((".", "?", ")", "`", "…")), code


@pytest.mark.parametrize(
    "asked", ["RL-PORT-TAKEN", "port-taken", "[RL-PORT-TAKEN]", "rl_port_taken", "Port Taken"]
)
def test_a_code_is_known_however_it_is_written(asked: str) -> None:
    assert explain.normal(asked) == "RL-PORT-TAKEN"


def test_an_unknown_code_gets_the_nearest() -> None:
    error = explain.unknown("port-take")
    assert isinstance(error, UsageError)
    assert error.remedy == "did you mean RL-PORT-TAKEN?"
