"""The part of YAML that generated specifications use."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.errors import BadDocument, UsageError
from rootless.oci import yaml
from rootless.runtime.options_gpus import parse_gpus

SPECIFICATION = """
---
cdiVersion: "0.5.0"   # a comment
kind: nvidia.com/gpu
devices:
- name: "0"
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
      fileMode: 438
    - path: /dev/dri/card1
      permissions: rw
- name: all
  containerEdits: {}
containerEdits:
  env:
    - NVIDIA_VISIBLE_DEVICES=void
    - 'QUOTED=it''s # here'
  hooks: []
  mounts:
  - hostPath: /usr/lib/a.so
    containerPath: /usr/lib/a.so
    options:
    - ro
    - nosuid
  - hostPath: /x
    options: [ro, bind]
  empty:
  last: ~
"""


def test_a_specification_as_nvidia_ctk_writes_it() -> None:
    assert yaml.parse(SPECIFICATION, "x") == {
        "cdiVersion": "0.5.0",
        "kind": "nvidia.com/gpu",
        "devices": [
            {
                "name": "0",
                "containerEdits": {
                    "deviceNodes": [
                        {"path": "/dev/nvidia0", "fileMode": 438},
                        {"path": "/dev/dri/card1", "permissions": "rw"},
                    ]
                },
            },
            {"name": "all", "containerEdits": {}},
        ],
        "containerEdits": {
            "env": ["NVIDIA_VISIBLE_DEVICES=void", "QUOTED=it's # here"],
            "hooks": [],
            "mounts": [
                {
                    "hostPath": "/usr/lib/a.so",
                    "containerPath": "/usr/lib/a.so",
                    "options": ["ro", "nosuid"],
                },
                {"hostPath": "/x", "options": ["ro", "bind"]},
            ],
            "empty": None,
            "last": None,
        },
    }


@pytest.mark.parametrize(
    "text",
    ["a: &x 1", "a: |\n  b", "a: 1\n   b: 2", "a: 'x", "\ta: 1", "a: 1\nb", "{", "- a\nb: 1",
     'a: "x', "a: !!str 1"],
)  # fmt: skip
def test_what_is_not_understood_is_an_error(text: str) -> None:
    with pytest.raises(BadDocument):
        yaml.parse(text, "x")


_WORDS = st.text("abcxyz/.:# -'\"0", min_size=1, max_size=8)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | _WORDS,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, min_size=1, max_size=3)
    ),
    max_leaves=12,
)


def _written(value: object, indentation: int) -> str:
    """Block style, as generators write it: strings in JSON's quotes."""
    blanks = "  " * indentation
    if isinstance(value, dict):
        return "".join(f"{blanks}{key}:{_after(one, indentation)}" for key, one in value.items())
    if isinstance(value, list):
        return "".join(f"{blanks}-{_after(one, indentation)}" for one in value)
    return f"{blanks}{json.dumps(value)}\n"


def _after(value: object, indentation: int) -> str:
    if isinstance(value, dict | list):
        return "\n" + _written(value, indentation + 1)
    return f" {json.dumps(value)}\n"


@given(_VALUES)
def test_what_is_written_in_blocks_is_read_back(value: object) -> None:
    assert yaml.parse(_written(value, 0), "x") == value


@given(st.text("ab:-# \n'\"[]{}&|", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        yaml.parse(text, "x")
    except BadDocument:
        pass


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ("all", ["all"]), ("2", ["0", "1"]), ("device=0", ["0"]), ('"device=0,2"', ["0", "2"]),
        ("device=GPU-1a,GPU-2b", ["GPU-1a", "GPU-2b"]), ("count=1,driver=nvidia", ["0"]),
        ('all,"capabilities=utility,compute"', ["all"]), ("count=-1", ["all"]),
    ],
)  # fmt: skip
def test_gpus(spec: str, names: list[str]) -> None:
    assert parse_gpus(spec) == [f"nvidia.com/gpu={name}" for name in names]


@pytest.mark.parametrize(
    "spec",
    ["none", "0", "-2", "device=", "count=1,device=0", "driver=amd", "capabilities=fly",
     "options=a", "colour=red", "all,all"],
)  # fmt: skip
def test_gpus_that_make_no_sense(spec: str) -> None:
    with pytest.raises(UsageError):
        parse_gpus(spec)
