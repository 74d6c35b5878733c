"""Files and command lines of units: what is read is what was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.cli import recreate
from rootless.cli._table import TABLE
from rootless.cli.parse import parse as parse_words
from rootless.errors import QuadletError
from rootless.quadlet import specifiers, words
from rootless.quadlet.unitfile import UnitFile, parse

# What an argument of a program can be: any bytes, as Python holds them.
TEXT = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.binary().map(lambda b: b.replace(b"\0", b"").decode("utf-8", "surrogateescape")),
)


@given(st.lists(TEXT))
def test_a_command_line_is_read_as_it_was_written(line: list[str]) -> None:
    assert words.split(words.command_line(line)) == line


@given(st.lists(TEXT))
def test_a_command_line_is_one_line(line: list[str]) -> None:
    written = words.command_line(line)
    assert "\n" not in written and written.encode().isascii() == written.isascii()


@given(st.lists(TEXT), st.dictionaries(st.sampled_from("ABC"), TEXT))
def test_what_is_literal_stays_as_it_is(line: list[str], environ: dict[str, str]) -> None:
    found = words.expand([words.literal(word) for word in line], lambda letter: "?", environ)
    assert found == line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a  b\tc", ["a", "b", "c"]),
        ("'a b' \"c d\" e'f g'h", ["a b", "c d", "ef gh"]),
        (r"a\x20b \t \101 \u00e9 \s", ["a b", "\t", "A", "é", " "]),
        (r"\xc3\xa9 \303\251 \x00", ["é", "é", r"\x00"]),
        (r"keep \d and \\ this", ["keep", r"\d", "and", "\\", "this"]),
        ("'' \"\"", ["", ""]),
        ("", []),
    ],
)
def test_words_are_systemds(text: str, expected: list[str]) -> None:
    assert words.split(text) == expected


def test_a_quote_has_an_end() -> None:
    with pytest.raises(ValueError, match="no end"):
        words.split("a 'b c")


def test_variables_and_specifiers_are_expanded_as_by_systemd() -> None:
    line = ["%h/x", "$MANY", "a$MANY", "${ONE}/$$x", "$$ONE", "100%%", "${NO}", "$NO", "${", "%"]
    environ = {"MANY": "two words", "ONE": "1 2"}
    found = words.expand(line, lambda letter: f"<{letter}>", environ)
    assert found == ["<h>/x", "two", "words", "a$MANY", "1 2/$x", "$ONE", "100%", "", "${", "%"]


def test_the_specifiers_of_an_instance() -> None:
    value = specifiers.of_unit("my-app@a-b\\x2dc.service", "/q/my-app@.container", {"HOME": "/h"})
    found = {letter: value(letter) for letter in "nNpPiIjJfhEyY"}
    assert found == {
        "n": "my-app@a-b\\x2dc.service",
        "N": "my-app@a-b\\x2dc",
        "p": "my-app",
        "P": "my/app",
        "i": "a-b\\x2dc",
        "I": "a/b-c",
        "j": "app",
        "J": "app",
        "f": "/a/b-c",
        "h": "/h",
        "E": "/h/.config",
        "y": "/q/my-app@.container",
        "Y": "/q",
    }


def test_a_specifier_that_only_systemd_knows_is_an_error() -> None:
    with pytest.raises(QuadletError, match="%d has no meaning") as caught:
        specifiers.of_unit("a.service", "/q/a.container", {})("d")
    assert caught.value.code == "RL-QUADLET-NO-SYSTEMD"


FILE = """\
# first
; second
[Unit]
Description = a  b
[Container]
Exec=one \\
  # not this
  two \\
three
Env=1
Env=2

Env=
Env=3
Flag=on
"""


def test_a_file_is_read_as_systemd_reads_it() -> None:
    unit = UnitFile(parse(FILE, "x.container"))
    assert unit.value("Unit", "Description") == "a  b"
    assert unit.value("Container", "Exec").split() == ["one", "two", "three"]
    assert [(one.value, one.line) for one in unit.all("Container", "Env")] == [("3", 14)]
    assert unit.flag("Container", "Flag") and not unit.flag("Container", "None")
    entry = unit.last("Container", "Exec")
    assert entry is not None and entry.line == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Image=x", "x:1: Image= is in no section"),
        ("[Container\nImage=x", "x:1: [Container is no section"),
        ("[]", "x:1: [] is no section"),
        ("[C]\n\njust words", "x:3: 'just words' is no assignment"),
        ("[C]\nA=\x01", "x:2: A= has control characters"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(QuadletError) as caught:
        parse(text, "x")
    assert caught.value.what.startswith(message)


@given(st.text(st.sampled_from("[]=\\\n\r\x0b\x85 #;aB'\"% \0é")))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        entries = parse(text, "x")
    except QuadletError:
        return
    for entry in entries:
        assert 1 <= entry.line <= text.count("\n") + 1
        assert "\n" not in entry.value


FLAGS = st.lists(
    st.one_of(
        st.sampled_from(["-i", "-t", "--init", "--read-only", "--sig-proxy=false"]),
        st.tuples(
            st.sampled_from(["-e", "--volume", "--publish", "--user", "-m", "--label"]),
            TEXT,
        ).map(lambda pair: f"{pair[0]}={pair[1]}"),
        st.integers(0, 99).map(lambda n: f"--pids-limit={n}"),
    )
)


@given(FLAGS, TEXT.filter(lambda text: not text.startswith("-")), st.lists(TEXT))
def test_a_run_is_asked_for_again_as_it_was(flags: list[str], image: str, rest: list[str]) -> None:
    values = parse_words(TABLE["run"], [*flags, image, *rest])
    assert values is not None
    assert parse_words(TABLE["run"], recreate.write("run", values)) == values
