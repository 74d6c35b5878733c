"""Whatever bytes a Dockerfile has: it is read, or a BuildError says where it goes wrong."""

from hypothesis import given, settings
from hypothesis import strategies as st

from rootless.build.dockerfile import instructions as to
from rootless.build.dockerfile.interpret import INSTRUCTIONS
from rootless.build.dockerfile.lint import check
from rootless.build.dockerfile.parse import parse
from rootless.build.dockerfile.scope import Scope
from rootless.build.dockerfile.shellwords import Lexer
from rootless.errors import BuildError

pieces = st.sampled_from(
    [
        *(f"{name} " for name in INSTRUCTIONS),
        *("FROM x AS y\n", "FROM a\n", "ONBUILD ", "\n", "\\\n", "\\", "`", " ", "\t", "#", "\r\n"),
        *("--from=", "--mount=", "type=", "cache", ",", "target=/x", "--", "--link", "=", "a", "b"),
        *("<<EOF", "<<-", '<<"E"', "EOF\n", "<<", '["', '"]', '", "', '"', "'", "[1]", "\ud800"),
        *(
            "$A",
            "${A",
            ":-",
            "#",
            "%%",
            "/",
            "}",
            "$",
            "${A:?x}",
            "# escape=`\n",
            "# check=skip=",
            "8",
        ),
    ]
)
texts = st.lists(pieces, max_size=30).map("".join)
documents = st.one_of(
    texts.map(lambda text: text.encode("utf-8", "surrogatepass")),
    texts.map(lambda text: b"FROM a\n" + text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=200),
)


@settings(max_examples=300, deadline=None)
@given(documents)
def test_any_bytes_are_read_or_refused_with_a_place(data: bytes) -> None:
    count = data.count(b"\n") + 1
    try:
        dockerfile = parse(data)
    except BuildError as e:
        assert e.location and 1 <= e.location[1] <= e.location[2] <= count
        assert e.remedy and e.one_line().replace("\t", "").isprintable()
        assert all(line.isprintable() for line in e.excerpt.split("\n"))
        return
    before = 0
    for stage in dockerfile.stages:
        for i in (stage.start, *stage.instructions):
            assert before < i.first_line <= i.last_line <= count
            before = i.last_line


@settings(max_examples=200, deadline=None)
@given(documents)
def test_any_instruction_is_expanded_or_refused_with_its_place(data: bytes) -> None:
    try:
        dockerfile = parse(data)
    except BuildError:
        return
    scope = Scope(dockerfile, {"A": "x"}, {}, ["A=1"])
    for stage in dockerfile.stages:
        for i in stage.instructions:
            try:
                done = scope.apply(i)
            except BuildError as e:
                assert e.location == ("Dockerfile", i.first_line, i.last_line)
                continue
            if isinstance(done, to.Run):
                assert done.command.arguments()[0]


@settings(max_examples=200, deadline=None)
@given(documents)
def test_check_never_raises(data: bytes) -> None:
    report = check(data)
    assert all(error.location for error in report.errors)
    assert all(f.first_line <= f.last_line for f in report.findings)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab\\'\"${}:-+?#%/* `", max_size=30))
def test_any_word_is_expanded_or_refused(word: str) -> None:
    for lexer in (
        Lexer(),
        Lexer("`"),
        Lexer(keep_quotes=True, keep_unset=True),
        Lexer(quotes=False),
    ):
        try:
            expansion = lexer.expand(word, {"a": "x/y", "b": ""})
        except BuildError as e:
            assert e.code in ("RL-BUILD-SYNTAX", "RL-BUILD-VARIABLE")
        else:
            if lexer == Lexer() and "$" not in word and not set("\\'\"") & set(word):
                assert expansion.text == word
