"""Whole Dockerfiles in tests/data/dockerfiles: what they are read as, or why they are refused.

RL_TEST_WRITE=1 writes the expected files anew; read the difference before it is committed.
"""

import glob
import json
import os
from typing import Any

import pytest

from rootless import records
from rootless.build.dockerfile.parse import parse
from rootless.errors import BuildError

DATA = os.path.join(os.path.dirname(__file__), "..", "..", "data", "dockerfiles")
VALID = sorted(os.path.basename(os.path.dirname(p)) for p in glob.glob(f"{DATA}/*/Dockerfile"))
INVALID = sorted(
    os.path.basename(os.path.dirname(p)) for p in glob.glob(f"{DATA}/invalid/*/Dockerfile")
)


def read(*path: str) -> bytes:
    with open(os.path.join(DATA, *path), "rb") as file:
        return file.read()


def expected(text: str, *path: str) -> str:
    """The content of an expected file, written first if we are asked to."""
    if os.environ.get("RL_TEST_WRITE"):
        with open(os.path.join(DATA, *path), "w") as file:
            file.write(text)
    return read(*path).decode()


def plain(value: Any) -> object:
    """A value as JSON: dataclasses with their type's name, without fields that are default."""
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if not hasattr(value, "_record_fields"):
        return value
    fields = {"": type(value).__name__}
    for field in records.fields(value):
        item = getattr(value, field.name)
        if item != field.default:
            fields[field.name] = plain(item)
    return fields


@pytest.mark.parametrize("case", VALID)
def test_dockerfile_is_read_as(case: str) -> None:
    dockerfile = parse(read(case, "Dockerfile"))
    result = {
        "directives": {k: v[0] for k, v in dockerfile.source.directives.items()},
        "globals": plain(dockerfile.globals),
        "stages": [plain((stage.start, *stage.instructions)) for stage in dockerfile.stages],
    }
    text = json.dumps(result, indent=1) + "\n"
    assert text == expected(text, case, "result.json")


@pytest.mark.parametrize("case", INVALID)
def test_dockerfile_is_refused_with(case: str) -> None:
    with pytest.raises(BuildError) as e:
        parse(read("invalid", case, "Dockerfile"))
    text = f"{e.value.one_line()}\n{e.value.excerpt}\n"
    assert e.value.exit_status == 1 and e.value.remedy
    assert text == expected(text, "invalid", case, "error.txt")


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        ("FROM a\nRUN b\n".encode("utf-16"), 1, "UTF-16"),
        (b"FROM a\nRUN b\n# \0\n", 3, "NUL byte"),
        (rb'FROM a' + b"\n" + rb'CMD ["b\u0000"]', 2, "NUL character"),
        (b"FROM a\nRUN b\nRUNN " + b"x" * 10**6, 3, "RUNN"),
    ],
)  # fmt: skip
def test_what_is_no_text_is_refused_in_a_few_lines(data: bytes, line: int, words: str) -> None:
    with pytest.raises(BuildError) as e:
        parse(data)
    assert words in e.value.problem and e.value.location == ("Dockerfile", line, line)
    assert len(e.value.excerpt or "") < 2000
