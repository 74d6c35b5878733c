"""docs/dockerfile.md: "Each feature listed has a test that builds it".  Here each is looked for
in those tests, so that a new flag, key or option does not come without one."""

import glob
import os
import re

import pytest

from rootless.build import option_forms
from rootless.build.dockerfile import interpret, mounts, scope
from rootless.build.dockerfile.nodes import Node
from rootless.cli._table import TABLE
from rootless.errors import BuildError

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILES = "e2e/test_build_*.py e2e/test_layers.py e2e/test_trace.py e2e/test_sign*.py lab/*.py"
BUILDS = "".join(
    open(path, encoding="utf-8").read()
    for pattern in FILES.split()
    for path in sorted(glob.glob(f"{ROOT}/{pattern}"))
)
# Limits that are one mechanism with those that tests/lab holds builds to.
LIMITS = re.compile(r"--(blkio|cgroup|cpu|cpus|cpuset|device|memory|pids)(-|$)")
ALIASES = {"--tag": "-t", "--quiet": "-q", "--file": "-f", "--output": "-o", "--trace": "RL_DEBUG"}


def flags() -> list[str]:
    """Every flag of every instruction, as an unknown one is told: "COPY --chmod"."""
    found = []
    for name in interpret.INSTRUCTIONS:
        with pytest.raises(BuildError) as caught:
            interpret.interpret(Node(name, ("--none-such-at-all",), "a b", name, 1, 1), "\\")
        known = str(caught.value.remedy).partition("knows ")[2]
        found += [f"{name} --{flag}" for flag in re.findall(r"--([a-z-]+)", known)]
    return found


def options() -> list[str]:
    """The long options of rl build that do something."""
    return sorted(
        name
        for name, (parameter, _) in TABLE["build"][2].items()
        if name.startswith("--") and parameter not in ("load", "rm", "sbom")
    )


def test_lists_are_whole() -> None:
    assert len(flags()) > 20 and "COPY --parents" in flags() and "RUN --mount" in flags()
    assert {"--check", "--secret", "--platform", "--jobs"} <= set(options())


@pytest.mark.parametrize("name", interpret.INSTRUCTIONS)
def test_instruction(name: str) -> None:
    assert re.search(rf"\b{name}\b", BUILDS)


@pytest.mark.parametrize("flag", flags())
def test_flag(flag: str) -> None:
    keyword, name = flag.split(" ")
    assert re.search(rf"\b{keyword}\b[^\n]*(\\\\\n[^\n]*)*{name}\b", BUILDS)


@pytest.mark.parametrize("key", mounts._KEYS)
def test_key_of_a_mount(key: str) -> None:
    assert re.search(rf"--mount=[^\s]*\b{key}\b", BUILDS)


@pytest.mark.parametrize(
    "text",
    [f"type={one}" for one in mounts.TYPES] + [f"sharing={one}" for one in mounts.SHARING],
)
def test_kind_of_a_mount(text: str) -> None:
    assert re.search(rf"--mount=[^\s]*{text}", BUILDS)


@pytest.mark.parametrize("option", options())
def test_option(option: str) -> None:
    if not LIMITS.match(option):
        assert f'"{option}' in BUILDS or f'"{ALIASES.get(option, option)}"' in BUILDS


@pytest.mark.parametrize(
    "key", [f"{kind},{key}" for kind, keys in option_forms._OUTPUT_KEYS.items() for key in keys]
)
def test_key_of_an_output(key: str) -> None:
    kind, _, name = key.partition(",")
    if kind in ("local", "tar") or name in ("tar", "push", "unpack", "store"):
        assert re.search(rf"type={kind}\b[^\s]*,{name}=", BUILDS)
    else:  # images are packed alike
        assert f"{name}=" in BUILDS


@pytest.mark.parametrize("word", ["-", ":-", "+", ":+", "?", ":?", "#", "##", "%", "%%", "/", "//"])
def test_form_of_a_variable(word: str) -> None:
    assert re.search(rf"\$\{{[A-Z_]+{re.escape(word)}[^:?#%/+}}-][^}}]*\}}", BUILDS)


@pytest.mark.parametrize("name", sorted(scope._PLATFORM_ARGUMENTS))
def test_predefined_argument(name: str) -> None:
    assert re.search(rf"\b{name}\b", BUILDS)
