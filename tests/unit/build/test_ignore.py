""".dockerignore: the cases that moby/patternmatcher is tested with are among them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.build.dockerfile.ignore import Matcher, choose, read_patterns
from rootless.errors import BuildError


@pytest.mark.parametrize(
    ("pattern", "path", "ignored"),
    [
        ("**", "file", True),
        ("**", "dir/file", True),
        ("**/", "dir/file", True),
        ("**/**", "dir/file", True),
        ("dir/**", "dir/dir2/file", True),
        ("dir/**", "dir", False),
        ("**/dir", "dir", True),
        ("**/dir", "dir/file", True),
        ("**/dir2/*", "dir/dir2/file", True),
        ("**/dir2/**", "dir/dir2/dir3/file", True),
        ("**file", "dir/file", True),
        ("**file", "dir/afile", True),
        ("**/file", "dir/afile", False),
        ("**/file*.txt*", "dir/dir/file.txt", True),
        ("**/**/*.txt", "file.txt", True),
        ("**/**/*.txt2", "dir/dir/file.txt", False),
        ("a**/*.txt", "a/file.txt", True),
        ("a**/*.txt", "a/dir/dir/file.txt", True),
        ("a/*.txt", "a/dir/file.txt", False),
        ("a/*.txt**", "a/file.txt", True),
        ("a[b-d]e", "ace", True),
        ("a[b-d]e", "aae", False),
        ("a[^b-d]e", "aze", True),
        (".*", ".foo", True),
        (".*", "foo", False),
        ("abc.def", "abcZdef", False),
        ("abc?def", "abcZdef", True),
        ("**/foo/bar", "dir/dir2/foo/bar", True),
        ("**/.foo", "bar.foo", False),
        ("a(b)c/def", "a(b)c/def", True),
        ("a.|)$(}+{bc", "a.|)$(}+{bc", True),
        ("a\\\\", "a\\", True),
        ("a\\*b", "a*b", True),
        ("a\\*b", "axb", False),
        ("a*", "ab/c", True),
        ("a*/b", "a/c/b", False),
        ("a*b?c*x", "abxbbxdbxebxczzx", True),
        ("a*b?c*x", "abxbbxdbxebxczzy", False),
        ("a?b", "a☺b", True),
        ("a[^a]b", "a☺b", True),
        ("[a-ζ]*", "α", True),
        ("*[a-ζ]", "A", False),
        ("a?b", "a/b", False),
        ("[\\]a]", "]", True),
        ("[x\\-]", "-", True),
        ("[x\\-]", "z", False),
        ("[!a]", "!", True),
        ("[z-a]", "z", False),
        ("docs/", "docs/README.md", True),
        ("./a/../b", "b", True),
        ("^a", "^a", True),
        ("node_modules", "node_modules/a/b.js", True),
        ("node_modules", "x/node_modules", False),
        ("*", ".", False),
    ],
)
def test_pattern_ignores(pattern: str, path: str, ignored: bool) -> None:
    assert Matcher([pattern]).ignores(path) is ignored


@pytest.mark.parametrize(
    ("patterns", "path", "ignored"),
    [
        (["**", "!util/docker/web"], "util/docker/web/foo", False),
        (["**", "!util/docker/web", "util/docker/web/foo"], "util/docker/web/foo", True),
        (["**", "!dist/*.whl"], "dist/x.whl", False),
        (["!a.go", "*.go"], "a.go", True),
        (["*.go", "!a.go"], "a.go", False),
        (["docs", "!docs/README.md"], "docs/README.md", False),
        (["docs", "!docs/README.md"], "docs/other", True),
        (["docs/*", "!docs/README.md"], "docs/README.md", False),
        (["*.md", "!README*.md", "README-secret.md"], "README-secret.md", True),
        (["*.md", "README-secret.md", "!README*.md"], "README-secret.md", False),
        ([], "a", False),
    ],
)
def test_the_last_match_decides(patterns: list[str], path: str, ignored: bool) -> None:
    assert Matcher(patterns).ignores(path) is ignored


BAD = ["!", "[", "[^", "[^bc", "a[", "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "\\", "a\\"]


@pytest.mark.parametrize("pattern", BAD)
def test_bad_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(BuildError) as e:
        Matcher([pattern])
    assert e.value.code == "RL-BUILD-IGNORE"


def test_ignore_file_is_read_as_docker_does() -> None:
    data = b"\xef\xbb\xbftest1\n/test2\r\n/a/file/here\n\nlastfile/\n# comment\n #x\n"
    data += b"! /inverted/abs/path\n!\n! \n../x\n./y/./z\n/"
    assert read_patterns(data) == [
        *("test1", "test2", "a/file/here", "lastfile", "#x", "!inverted/abs/path"),
        *("!", "!", "../x", "y/z", "/"),
    ]


def test_the_dockerfiles_own_ignore_file_comes_first() -> None:
    there = {"/c/sub/web.Dockerfile.dockerignore", "/c/.dockerignore"}
    assert choose("/c/sub/web.Dockerfile", "/c", there.__contains__) == (
        "/c/sub/web.Dockerfile.dockerignore"
    )
    assert choose("/c/Dockerfile", "/c", there.__contains__) == "/c/.dockerignore"
    assert choose("/d/Dockerfile", "/d", there.__contains__) is None


def test_a_walk_may_skip_what_holds_no_exceptions() -> None:
    matcher = Matcher(["*", "!src/app/*.py", "!docs"])
    assert matcher.may_hold_exceptions("src")
    assert matcher.may_hold_exceptions("src/app")
    assert not matcher.may_hold_exceptions("src/other")
    assert not matcher.may_hold_exceptions("node_modules")
    assert Matcher(["*", "!**/keep"]).may_hold_exceptions("anything")
    assert not Matcher(["*"]).may_hold_exceptions("anything")


names = st.sampled_from(["a", "b", "ab", "a.b"])
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
pieces = st.sampled_from(["a", "b", "*", "?", "**", "[ab]", "a*", "**a", "."])
patterns = st.lists(
    st.tuples(st.sampled_from(["", "!"]), st.lists(pieces, min_size=1, max_size=4)).map(
        lambda p: p[0] + "/".join(p[1])
    ),
    max_size=4,
)


@given(patterns, paths)
def test_skipping_a_directory_loses_nothing(patterns: list[str], path: str) -> None:
    matcher = Matcher(patterns)
    parts = path.split("/")
    for end in range(1, len(parts)):
        directory = "/".join(parts[:end])
        if matcher.ignores(directory) and not matcher.may_hold_exceptions(directory):
            assert matcher.ignores(path)


@given(st.lists(st.text(max_size=12), max_size=5), st.text(max_size=12))
def test_any_pattern_is_used_or_refused(patterns: list[str], path: str) -> None:
    try:
        Matcher(patterns).ignores(path)
    except BuildError as e:
        assert e.code == "RL-BUILD-IGNORE"
