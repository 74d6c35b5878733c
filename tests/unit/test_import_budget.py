"""What a warm command imports, counted: the same number on any machine."""

import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEAVY = {
    "argparse", "asyncio", "collections", "contextlib", "dataclasses", "enum", "functools",
    "inspect", "logging", "pathlib", "pydantic", "pyroute2", "re", "rich", "shutil", "signal",
    "socket", "ssl", "subprocess", "tarfile", "tempfile", "threading", "typer", "typing",
    "urllib3",
}  # fmt: skip
# Modules above a bare interpreter; raised only with a reason.
BUDGET = {
    "ps": 42,
    "logs": 42,
    "port": 43,
    "inspect": 42,
    # With the supervisor's code, for what it has left behind.
    "wait": 61,
    "kill": 61,
    "rm": 61,
    "stop": 61,
    "exec": 61,
    # What is there when the supervisor is forked, which has the memory of it: neither what makes
    # containers nor what only their parent needs.
    "start": 54,
    "run": 50,
}


def modules_of(statement: str) -> set[str]:
    """The modules that are loaded after `statement`, in an interpreter as bare as possible."""
    # -S leaves site-packages out, so the repository root goes in by hand.
    code = f"import sys; sys.path.insert(0, {ROOT!r})\n{statement}\nprint(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("command", BUDGET)
def test_a_warm_command_imports_nothing_heavy(command: str) -> None:
    loaded = modules_of(
        f"from rootless.cli import entry, actions\nimport rootless.cli.actions.{command}"
    )
    loaded -= modules_of("pass")
    assert not loaded & HEAVY, f"imported on the warm path: {sorted(loaded & HEAVY)}"
    assert len(loaded) <= BUDGET[command], f"{len(loaded)} modules: {sorted(loaded)}"


RUN = """
import os
os.environ.update(RL_STORE={0!r} + "/store", XDG_RUNTIME_DIR={0!r}, HOME={0!r}, RL_ALLOW_ROOT="1")
out, null = os.dup(1), os.open("/dev/null", os.O_WRONLY)
os.dup2(null, 1)
os.dup2(null, 2)
from rootless.cli import entry
entry.main({1!r})
sys.stdout.flush()
os.dup2(out, 1)
"""


@pytest.mark.parametrize("words", [["ps", "-a"], ["ps", "-aq"], ["inspect", "x"], ["port", "x"]])
def test_a_warm_command_runs_without_anything_heavy(words: list[str], tmp_path: object) -> None:
    """The whole way, with the imports that functions do."""
    loaded = modules_of(RUN.format(str(tmp_path), words)) - modules_of("pass")
    assert f"rootless.cli.actions.{words[0]}" in loaded
    assert not loaded & HEAVY, f"imported on the warm path: {sorted(loaded & HEAVY)}"


def test_the_help_imports_no_command() -> None:
    statement = (
        f"sys.path += {[p for p in sys.path if 'site-packages' in p]!r}\n"
        "import io; keep, sys.stdout = sys.stdout, io.StringIO()\n"
        "from rootless.cli import entry\n"
        "assert entry.main(['--help']) == 0\n"
        "sys.stdout = keep"
    )
    loaded = modules_of(statement)
    assert "typer" in loaded
    commands = {name for name in loaded if name.startswith("rootless.cli.commands.")}
    assert not commands
    assert "rich" not in loaded
