"""Variables, quotes and escapes; the cases that buildkit's lexer is tested with are among them."""

import pytest

from rootless.build.dockerfile.shellwords import NESTING_MAX, Lexer
from rootless.errors import BuildError

SET = {"FOO": "xxyy", "EMPTY": "", "PWD": "/home", "KOREAN": "한국어", "TWO": "a  b"}


def expand(word: str, environment: dict[str, str] | None = None) -> str:
    return Lexer().expand(word, SET if environment is None else environment).text


@pytest.mark.parametrize(
    ("word", "result"),
    [
        # Quotes and escapes.
        ("hello", "hello"),
        ("he'll'o", "hello"),
        ("he\\'llo", "he'llo"),
        ("abc\\tdef", "abctdef"),
        ("'abc\\tdef'", "abc\\tdef"),
        ('"abc\\tdef"', "abc\\tdef"),
        ('"a\\"b\\\\c\\$d"', 'a"b\\c$d'),
        ("'a\"b'", 'a"b'),
        ('"it\'s"', "it's"),
        ("end\\", "end"),
        ("''", ""),
        # Names.
        ("$PWD", "/home"),
        ("${PWD}/x", "/home/x"),
        ("x$PWD.y", "x/home.y"),
        ("$PWDx", ""),
        ("${PWD}x", "/homex"),
        ("'$PWD'", "$PWD"),
        ('"$PWD"', "/home"),
        ("\\$PWD", "$PWD"),
        ("$", "$"),
        ("a$", "a$"),
        ("$,x", "$,x"),
        ("a$/b", "a$/b"),
        ("$KOREAN", "한국어"),
        ("한$KOREAN글", "한"),  # the letters after it belong to the name
        ("$1x", "x"),
        ("$12x", "x"),
        ("${@}", ""),
        ("$@$?x", "x"),
        ("$$", ""),
        ("$UNSET", ""),
        ("{$PWD}", "{/home}"),
        # Set and unset, empty or not.
        ("${FOO-aaa} ${EMPTY-bbb} ${NO-ccc}", "xxyy  ccc"),
        ("${FOO:-aaa} ${EMPTY:-bbb} ${NO:-ccc}", "xxyy bbb ccc"),
        ("${FOO+aaa} ${EMPTY+bbb} ${NO+ccc}", "aaa bbb "),
        ("${FOO:+aaa} ${EMPTY:+bbb} ${NO:+ccc}", "aaa  "),
        ("${FOO?m} ${EMPTY?m}", "xxyy "),
        ("${FOO:?m}", "xxyy"),
        ("${NO:-${FOO}}", "xxyy"),
        ("${NO:-'a}b'}", "a}b"),
        ("${NO:-$FOO-x}", "xxyy-x"),
        ('"${NO:-"x"}"', "x"),
        ("${NO:-\\}}", "}"),
        ("${NO:-}", ""),
        # Patterns.
        ("${FOO#x}", "xyy"),
        ("${FOO#*x}", "xyy"),
        ("${FOO##*x}", "yy"),
        ("${FOO#*x*y}", "y"),
        ("${FOO#*}", "xxyy"),
        ("${FOO##*}", ""),
        ("${FOO#z}", "xxyy"),
        ("${FOO#}", "xxyy"),
        ("${FOO##}", "xxyy"),
        ("${FOO%y}", "xxy"),
        ("${FOO%y*}", "xxy"),
        ("${FOO%%y*}", "xx"),
        ("${FOO%x}", "xxyy"),
        ("${FOO%%$EMPTY}", "xxyy"),
        ("${FOO#??}", "yy"),
        ("${FOO#$PWD}", "xxyy"),
        ("${NO#x}", ""),
        # Replacing.
        ("${FOO/x/z}", "zxyy"),
        ("${FOO//x/z}", "zzyy"),
        ("${FOO//x*y/z}", "z"),
        ("${FOO//?/-}", "----"),
        ("${FOO/$EMPTY/ww}", "wwxxyy"),
        ("${FOO///}", "xxyy"),
        ("${NO//x/y}", ""),
        ("${PWD/home/a b}", "/a b"),
        ("${PWD//\\//_}", "_home"),
    ],
)
def test_word_becomes(word: str, result: str) -> None:
    assert expand(word) == result


@pytest.mark.parametrize(
    ("word", "environment", "result"),
    [
        ("${FOO#()[]{\\}^$.\\*\\?|\\\\}", {"FOO": "()[]{}^$.*?|\\x"}, "x"),
        ("${FOO%%\\**}", {"FOO": "xx**"}, "xx"),
        ("${FOO%%\\**\\*}", {"FOO": "a***yy*"}, "a"),
        ("${FOO#?\\?}", {"FOO": "???y"}, "?y"),
        ("${FOO#$BAR}", {"FOO": "xxyy", "BAR": "x"}, "xyy"),
        (
            "${FOO/$N/.} - ${FOO//$N/.}",
            {"FOO": "/foo*/*/*.txt", "N": "\\*/"},
            "/foo.*/*.txt - /foo..*.txt",
        ),
        (
            "${FOO/$N/$R} - ${FOO//$N/$R}",
            {"FOO": "/a/foo/b/c.txt", "N": "/?/", "R": "/"},
            "/foo/b/c.txt - /foo/c.txt",
        ),
        ("${FOO//\\//\\/}", {"FOO": "/tmp/foo.txt"}, "\\/tmp\\/foo.txt"),
        (
            "x-${V}.${A}${T:+-${T}}.tar.gz",
            {"V": "v1", "A": "arm", "T": "v7"},
            "x-v1.arm-v7.tar.gz",
        ),
    ],
)
def test_pattern_in_environment(word: str, environment: dict[str, str], result: str) -> None:
    assert expand(word, environment) == result


@pytest.mark.parametrize(
    "word",
    [
        "'abc",
        '"abc',
        '"$PWD',
        "${",
        "${}",
        "${:}",
        "${:-x}",
        "${{FOO}}",
        "${FOO",
        "${FOO:",
        "${FOO:-x",
        "${FOO:x}",
        "${FOO=x}",
        "${FOO:=x}",
        "${FOO:0:2}",
        "${NO:0:2}",
        "${FOO!}",
        "${FOO//ww}",
        "${FOO//}",
        "${FOO#\\x}",
        "${FOO:/a/b}",
        "${NO:-'x}",
    ],
)
def test_bad_word_is_refused(word: str) -> None:
    with pytest.raises(BuildError) as e:
        expand(word)
    assert e.value.code == "RL-BUILD-SYNTAX"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("${NO?}", "NO: is not allowed to be unset"),
        ("${NO:?give it}", "NO: give it"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${NO:?say $PWD}", "NO: say /home"),
    ],
)
def test_needed_variable_is_named(word: str, message: str) -> None:
    with pytest.raises(BuildError) as e:
        expand(word)
    assert (e.value.what, e.value.code) == (message, "RL-BUILD-VARIABLE")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b", ["a", "b"]),
        ("  a\tb ", ["a", "b"]),
        ("'a b' c", ["a b", "c"]),
        ("a\\ b", ["a b"]),
        ("$TWO x", ["a", "b", "x"]),
        ('"$TWO" x', ["a  b", "x"]),
        ("a''b", ["ab"]),
        ("", []),
        ("$UNSET", []),
    ],
)
def test_words_are_split_where_nothing_is_quoted(text: str, words: list[str]) -> None:
    assert Lexer().expand(text, SET).words == words


def test_found_and_missing_variables_are_told() -> None:
    expansion = Lexer().expand("$FOO ${NO:-$ALSO} ${EMPTY:+x}", SET)
    assert expansion.found == {"FOO", "EMPTY"}
    assert expansion.missing == {"NO", "ALSO"}


def test_backquote_as_escape_leaves_backslashes_alone() -> None:
    assert Lexer("`").expand("C:\\x\\`$FOO", SET).text == "C:\\x\\$FOO"


def test_heredoc_body_keeps_its_quotes() -> None:
    assert Lexer(quotes=False).expand("'$FOO' \"$FOO\" \\$FOO", SET).text == "'xxyy' \"xxyy\" $FOO"


def test_unset_variables_can_be_kept() -> None:
    lexer = Lexer(keep_quotes=True, keep_unset=True)
    assert lexer.expand("'a' $FOO ${NO:-x} $NO \"b\"", SET).text == "'a' xxyy ${NO:-x} $NO \"b\""


def test_endless_nesting_is_refused() -> None:
    word = "${A:-" * (NESTING_MAX + 1) + "}" * (NESTING_MAX + 1)
    with pytest.raises(BuildError, match="in each other"):
        expand(word)


def test_many_stars_take_no_time() -> None:
    assert expand("${A##" + "*a" * 50 + "b}", {"A": "a" * 2000}) == "a" * 2000
