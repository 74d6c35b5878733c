"""What is generated from the Typer declarations is current."""

import os
import subprocess
import sys

import pytest

from rootless.cli.app import COMMANDS, load_command

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.mark.parametrize("script", ["generate_cli_table.py", "generate_docs.py"])
def test_generated_files_are_current(script: str) -> None:
    done = subprocess.run(
        [sys.executable, f"{ROOT}/scripts/{script}", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}run scripts/{script}"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_of_the_list_is_the_one_of_the_help(name: str) -> None:
    text = load_command(name).help
    assert text is not None
    summary = COMMANDS[name][2]
    assert text.startswith(summary)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help_text(name: str) -> None:
    for param in load_command(name).params:
        assert getattr(param, "help", None), f"{name}: {param.name}"
