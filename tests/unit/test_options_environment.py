"""--env and --env-file, and label files: Docker's format."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.errors import UsageError
from rootless.runtime.options_environment import environment, parse_file, read_file


def env(*given_, files=None, environ=None):
    contents = files or {}
    return environment(list(given_), list(contents), environ or {}, contents.__getitem__)


def test_values_are_taken_as_they_are():
    assert env("A=1", "B=", "C=x=y", "D= z ") == ["A=1", "B=", "C=x=y", "D= z "]


def test_a_name_takes_the_callers_value_or_stays_to_remove_the_images():
    assert env("HOME", "GONE", environ={"HOME": "/h"}) == ["HOME=/h", "GONE"]


def test_files_come_first():
    assert env("A=2", files={"f": b"A=1\n"}) == ["A=1", "A=2"]


@pytest.mark.parametrize("bad", ["", "=x", "A=\0"])
def test_bad_variables(bad):
    with pytest.raises(UsageError, match="invalid environment variable"):
        env(bad)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"\n\n# comment\n  # indented\n", []),
        (b"A=1\nB=2", [("A", "1"), ("B", "2")]),
        (b"\xef\xbb\xbfA=1\r\n", [("A", "1")]),
        (b"   A=1  \n", [("A", "1  ")]),
        (b"A=\"quoted\"\nB='x' # no comment\n", [("A", '"quoted"'), ("B", "'x' # no comment")]),
        (b"NAME\n", [("NAME", None)]),
        (b"A=$B\nC=\\n\n", [("A", "$B"), ("C", "\\n")]),
        ("Ä=ö\n".encode(), [("Ä", "ö")]),
        (b"a.b-c=1\n", [("a.b-c", "1")]),
    ],
)
def test_file_format(content, expected):
    assert parse_file(content, "f", "env file") == expected


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"ok=1\nA =1\n", "line 2: variable 'A ' contains white space"),
        (b"export A=1\n", "contains white space"),
        (b"=1\n", "line 1: no variable name"),
        (b"A=\xff\n", "not valid UTF-8"),
        (b"A=" + b"x" * 70000, "longer than 64 KiB"),
        (b"A=\0\n", "NUL"),
    ],
)
def test_bad_files(content, match):
    with pytest.raises(UsageError, match=match):
        parse_file(content, "f", "env file")


def test_names_in_files_are_the_callers_or_nothing():
    assert env(files={"f": b"HOME\nGONE\n"}, environ={"HOME": "/h"}) == ["HOME=/h"]


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read .*/none: No such file"):
        read_file(str(tmp_path / "none"))


@given(st.binary(max_size=200))
def test_any_file_is_parsed_or_refused(content):
    try:
        found = parse_file(content, "f", "env file")
    except UsageError:
        return
    assert all(name and " " not in name and "=" not in name for name, _ in found)


_NAMES = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Z"], blacklist_characters="=#"),
                 min_size=1, max_size=8)  # fmt: skip
_VALUES = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=20)


@given(st.lists(st.tuples(_NAMES, _VALUES)))
def test_what_is_written_is_read(pairs):
    content = "".join(f"{name}={value}\n" for name, value in pairs).encode()
    pairs = [(name, value) for name, value in pairs if not name.startswith("\ufeff")]
    if "\ufeff" not in content.decode():
        assert parse_file(content, "f", "env file") == pairs
