"""Docker's references: the table is distribution/reference's own, where it has the case."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.errors import BadReference
from rootless.oci.reference import Reference, is_digest, names_registry, parse

DIGEST = "sha256:" + "0123456789abcdef" * 4

# distribution/reference/regexp.go, put together; the hand-written parser must agree with it.
_ALNUM = r"[a-z0-9]+"
_SEPARATOR = r"(?:[._]|__|[-]+)"
_COMPONENT = rf"{_ALNUM}(?:{_SEPARATOR}{_ALNUM})*"
_PATH = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_NAME = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_NAME}(?:\.{_NAME})*|\[[a-fA-F0-9:]+\])"
_DOMAIN = rf"{_HOST}(?::[0-9]+)?"
ORACLE = re.compile(
    rf"(?P<domain>{_DOMAIN})/(?P<path>{_PATH})(?::(?P<tag>[\w][\w.-]{{0,127}}))?"
    rf"(?:@(?P<digest>sha256:[a-f0-9]{{64}}))?",
    re.ASCII,
)


def oracle(text: str) -> tuple[str, str, str, str] | None:
    """normalize.go in a few lines: ParseNormalizedNamed()."""
    if re.fullmatch("[a-f0-9]{64}", text):
        return None
    first, slash, rest = text.partition("/")
    if not slash:
        domain, rest = "docker.io", f"library/{text}"
    elif first == "localhost" or set(first) & set(".:") or first.lower() != first:
        domain = "docker.io" if first == "index.docker.io" else first
    else:
        domain, rest = "docker.io", text
    if domain == "docker.io" and "/" not in rest:
        rest = f"library/{rest}"
    found = ORACLE.fullmatch(f"{domain}/{rest}")
    if found is None or len(found["path"]) > 255:
        return None
    return (found["domain"], found["path"], found["tag"] or "", found["digest"] or "")


@pytest.mark.parametrize(
    ("text", "canonical", "familiar"),
    [
        ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("ann/app", "docker.io/ann/app:latest", "ann/app:latest"),
        ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("index.docker.io/a/b", "docker.io/a/b:latest", "a/b:latest"),
        ("docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("localhost:5000/app:1", "localhost:5000/app:1", "localhost:5000/app:1"),
        ("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"),
        ("example.com/a", "example.com/a:latest", "example.com/a:latest"),
        ("Upper/app", "Upper/app:latest", "Upper/app:latest"),
        ("[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"),
        (f"a@{DIGEST}", f"docker.io/library/a@{DIGEST}", f"a@{DIGEST}"),
        (f"a:1@{DIGEST}", f"docker.io/library/a:1@{DIGEST}", f"a:1@{DIGEST}"),
        ("a--b__c.d", "docker.io/library/a--b__c.d:latest", "a--b__c.d:latest"),
        ("test.com:tag", "docker.io/library/test.com:tag", "test.com:tag"),
        ("test.com:5000", "docker.io/library/test.com:5000", "test.com:5000"),
        ("foo_bar.com:8080", "docker.io/library/foo_bar.com:8080", "foo_bar.com:8080"),
        ("foo/foo_bar.com:8080", "docker.io/foo/foo_bar.com:8080", "foo/foo_bar.com:8080"),
        ("test:5000/repo:tag", "test:5000/repo:tag", "test:5000/repo:tag"),
        ("192.168.1.1:8/x", "192.168.1.1:8/x:latest", "192.168.1.1:8/x:latest"),
        ("lowercase:Uppercase", "docker.io/library/lowercase:Uppercase", "lowercase:Uppercase"),
        ("xn--n3h.com/my:xn--n3h.com", "xn--n3h.com/my:xn--n3h.com", "xn--n3h.com/my:xn--n3h.com"),
        ("[2001:db8::1]/repo", "[2001:db8::1]/repo:latest", "[2001:db8::1]/repo:latest"),
        ("[2001:DB8::1]:80/a:1", "[2001:DB8::1]:80/a:1", "[2001:DB8::1]:80/a:1"),
        ("a:_x", "docker.io/library/a:_x", "a:_x"),
        ("index.docker.io/a", "docker.io/library/a:latest", "a:latest"),
        (
            f"a@sha512:{'0' * 128}",
            f"docker.io/library/a@sha512:{'0' * 128}",
            f"a@sha512:{'0' * 128}",
        ),
        (f"{'0' * 63}g", f"docker.io/library/{'0' * 63}g:latest", f"{'0' * 63}g:latest"),
        (f"{'0' * 64}:1", f"docker.io/library/{'0' * 64}:1", f"docker.io/library/{'0' * 64}:1"),
        ("h-1.io/0/1_2.3--4", "h-1.io/0/1_2.3--4:latest", "h-1.io/0/1_2.3--4:latest"),
    ],
)
def test_reference_is_normalised_as_docker_does(text: str, canonical: str, familiar: str) -> None:
    assert parse(text).canonical() == canonical
    assert parse(text).familiar() == familiar


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "a b", "a\n", "-a", "a-", "a___b", "a..b", "a.-b", "/a", "a/", "a//b", "a:", "a@",
        "a:-1", f"a:{'t' * 129}", "Busybox", "ann/App", "a" * 256, "e" * 64, "[::1/a", "a:b:c",
        "host:port/a", "a@sha256:abc", f"a@{DIGEST.upper()}", f"a@{DIGEST}@{DIGEST}",
        "a@md5:" + "0" * 32, "example.com/", "-h.com/a", "h-.com/a", "a/b:c/d", "http://h/a", "ä",
        "foo//bar", "foo.com//bar", "-foo/bar", "aa/asdf$$^/aa", "a^b", "UPPERCASE:tag",
        "test:5000/Uppercase/lowercase:tag", f"h.io/{'a/' * 128}a", "h.io:/a", "[::1]:/a",
        "[::1]a/a", "[fe80::1%eth0]:5000/a", "[::ffff:1.2.3.4]/a", "[]/a", "::1/a", "[::1]", "a/_b",
        "a/b_", "a/b.",
        "a@sha256:" + "0" * 63, "a@sha512:" + "0" * 64, "a@", "@" + DIGEST, "a:1@", "a:@" + DIGEST,
        "docker.io/", "index.docker.io/", "localhost/", "h..io/a", "a b/c", "a/b\x00", "a\t",
    ],
)  # fmt: skip
def test_reference_that_docker_refuses_is_refused(text: str) -> None:
    with pytest.raises(BadReference) as caught:
        parse(text)
    assert caught.value.code == "RL-BAD-REFERENCE"
    assert caught.value.remedy or "lower" in caught.value.what or not text


def test_upper_case_name_is_told_to_be_lower_case() -> None:
    with pytest.raises(BadReference, match="must be lowercase") as caught:
        parse("ann/App:V1")
    assert caught.value.remedy == "try ann/app:V1"
    with pytest.raises(BadReference, match="library/Fedora") as caught:
        parse("Fedora:V1")
    assert caught.value.remedy == "try fedora:V1"


def test_an_id_and_a_digest_without_a_name_are_told_apart_from_names() -> None:
    with pytest.raises(BadReference, match="as an image ID"):
        parse("e" * 64)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a", False), ("a/b", False), ("a.b", False), ("a:5000", False), ("localhost", False),
        ("localhost/a", True), ("a.b/c", True), ("a:1/c", True), ("A/b", True), ("[::1]/a", True),
        ("docker.io/a", True), ("", False),
    ],
)  # fmt: skip
def test_a_registry_is_named_by_what_looks_like_a_host(text: str, named: bool) -> None:
    assert names_registry(text) is named


def test_longest_path_and_tag_are_taken() -> None:
    assert len(parse(f"h.io/{'a' * 255}").path) == 255
    assert len(parse(f"a:{'t' * 128}").tag) == 128


def test_a_name_whose_short_form_would_be_something_else_is_shown_whole() -> None:
    identifier = "f" * 64
    assert parse(f"docker.io/library/{identifier}").familiar_name.startswith("docker.io/")
    assert parse("docker.io/localhost/a").familiar_name == "docker.io/localhost/a"


def test_digest_must_have_the_length_of_its_algorithm() -> None:
    assert is_digest("sha512:" + "a" * 128)
    assert not is_digest("sha512:" + "a" * 64)
    assert not is_digest("sha256:" + "A" * 64)
    assert not is_digest("")


words = st.sampled_from(["a", "b1", "A", "localhost", "docker.io", "index.docker.io", "library"])
SHA512 = f"sha512:{'0' * 128}"
glue = st.sampled_from([*"/:.-_@[]", "__", "//", "sha256:", DIGEST, "e" * 64, "5000", SHA512])
texts = st.lists(st.one_of(words, glue), max_size=9).map("".join)


@given(st.one_of(texts, st.text(max_size=40), st.text("abzAZ019./:@_-[]", max_size=40)))
def test_parser_agrees_with_dockers_regular_expressions(text: str) -> None:
    expected = oracle(text)
    try:
        found = parse(text)
    except BadReference:
        assert expected is None
    else:
        assert (found.domain, found.path, found.tag, found.digest) == expected


@given(texts)
def test_what_is_shown_can_be_given_again(text: str) -> None:
    try:
        found = parse(text)
    except BadReference:
        return
    assert parse(found.canonical()) == found.tagged()
    assert parse(found.familiar()) == found.tagged()
    assert hash(found) == hash(Reference(found.domain, found.path, found.tag, found.digest))


@pytest.mark.parametrize("text", ["/" * 5000, "A" * 5000, "a:" + "b" * 5000, "h.io/" + "X/" * 3000])
def test_a_long_name_is_cut_in_the_error(text: str) -> None:
    with pytest.raises(BadReference) as caught:
        parse(text)
    assert len(caught.value.one_line()) < 1000
