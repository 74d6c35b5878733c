"""The linters as tests: what they find is a failure like any other."""

import glob
import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.dirname(sys.executable)


def check(*argv: str) -> None:
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(argv)}:\n{done.stdout}{done.stderr}"


def test_ruff_finds_nothing() -> None:
    check(f"{BIN}/ruff", "check", ".")


def test_ruff_would_format_nothing() -> None:
    check(f"{BIN}/ruff", "format", "--check", ".")


def test_mypy_finds_nothing() -> None:
    check(f"{BIN}/mypy")


@pytest.mark.needs("shellcheck")
def test_shellcheck_finds_nothing() -> None:
    scripts = []
    for path in [*glob.glob(f"{ROOT}/scripts/**", recursive=True), f"{ROOT}/.ci/run"]:
        if os.path.isfile(path):
            with open(path, "rb") as f:
                first = f.readline()
            if b"bash" in first or first.startswith(b"#!/bin/sh"):
                scripts.append(path)
    assert scripts
    check("shellcheck", "-x", "-P", f"{ROOT}/scripts", *scripts)
