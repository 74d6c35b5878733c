"""registries.conf: which files are read, what a short name means, where an image is fetched."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.stores import make_context

from rootless.context import Context
from rootless.errors import BadDocument, BadReference, RegistryError
from rootless.oci import reference
from rootless.registry import config, registries_conf

DIGEST = "sha256:" + "0123456789abcdef" * 4
# The example of containers-registries.conf(5), with what it leaves out.
EXAMPLE = """
[[registry]]
prefix = "example.com/foo"
location = "internal.net/bar"
[[registry.mirror]]
location = "mirror-0.local/for-foo"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "mirror-1.local:5000/foo"
insecure = true
pull-from-mirror = "tag-only"
[[registry]]
prefix = "example.com/foo/special:1"
location = "special.net/a:2"
[[registry]]
location = "registry.com"
mirror-by-digest-only = true
[[registry.mirror]]
location = "mirror.registry.com"
[[registry]]
prefix = "*.wild.com"
insecure = true
[[registry]]
prefix = "*.moved.com"
location = "new.com/all"
[[registry]]
prefix = "docker.io"
location = "hub.local/cache"
[[registry]]
prefix = "bad.io/team"
blocked = true
"""


def write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(path).write_text(text)


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    """A home with a registries.conf, so that the host's does not count."""
    made = make_context(str(tmp_path), prepare=False)
    write(f"{made.home}/.config/containers/registries.conf", EXAMPLE)
    return made


def conf(ctx: Context, text: str) -> None:
    write(f"{ctx.home}/.config/containers/registries.conf", text)


def places(ctx: Context, name: str) -> list[str]:
    return [str(one.named) for one in config.sources(ctx, reference.parse(name).tagged())]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("example.com/other:1", ["example.com/other:1"]),
        ("example.com/food:1", ["example.com/food:1"]),
        ("example.com/foo/a:1", ["mirror-1.local:5000/foo/a:1", "internal.net/bar/a:1"]),
        (
            f"example.com/foo/a@{DIGEST}",
            [f"mirror-0.local/for-foo/a@{DIGEST}", f"internal.net/bar/a@{DIGEST}"],
        ),
        ("example.com/foo/special:1", ["special.net/a:2"]),
        ("example.com/foo/special:12", ["mirror-1.local:5000/foo/special:12",
                                        "internal.net/bar/special:12"]),
        ("registry.com/x", ["registry.com/x:latest"]),
        ("registry.com:5000/x", ["registry.com:5000/x:latest"]),
        (f"registry.com/x@{DIGEST}", [f"mirror.registry.com/x@{DIGEST}",
                                      f"registry.com/x@{DIGEST}"]),
        ("a.b.wild.com/x", ["a.b.wild.com/x:latest"]),
        ("a.moved.com:5000/x/y", ["new.com/all/x/y:latest"]),
        ("moved.com/x", ["moved.com/x:latest"]),
        ("busybox", ["hub.local/cache/library/busybox:latest"]),
    ],
)  # fmt: skip
def test_an_image_is_looked_for_in_its_mirrors_and_then_in_its_place(
    ctx: Context, name: str, expected: list[str]
) -> None:
    assert places(ctx, name) == expected


def test_insecure_is_said_for_each_place(ctx: Context) -> None:
    def insecure(name: str) -> list[bool]:
        found = config.sources(ctx, reference.parse(name).tagged())
        return [one.endpoint.insecure for one in found]

    assert insecure("example.com/foo/a") == [True, False]
    assert insecure("x.wild.com/a") == [True]
    assert insecure("wild.com/a") == [False]


def test_blocked_is_refused_for_pull_and_push(ctx: Context) -> None:
    for ask in (config.sources, config.target):
        with pytest.raises(RegistryError, match="blocks") as caught:
            ask(ctx, reference.parse("bad.io/team/x"))
        assert caught.value.code == "RL-REGISTRY-REFUSED"
        ask(ctx, reference.parse("bad.io/teams/x"))


def test_push_goes_where_the_name_says(ctx: Context) -> None:
    target = config.target(ctx, reference.parse("example.com/foo/a:1"))
    assert (str(target.named), target.endpoint.host) == ("example.com/foo/a:1", "example.com")
    assert config.target(ctx, reference.parse("x.wild.com/a")).endpoint.insecure


def means(ctx: Context, text: str) -> list[str]:
    return [str(one) for one in registries_conf.candidates(ctx, text)]


def test_without_a_word_about_short_names_docker_s_rule_holds(ctx: Context) -> None:
    assert means(ctx, "busybox") == ["docker.io/library/busybox:latest"]
    assert means(ctx, "ann/app:1") == ["docker.io/ann/app:1"]


SHORT = """
unqualified-search-registries = ["one.io", "docker.io", "two.io/ns/"]
[aliases]
"fedora" = "registry.fedoraproject.org/fedora"
"ubi8/ubi" = "registry.access.redhat.com/ubi8/ubi"
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fedora", ["registry.fedoraproject.org/fedora:latest"]),
        ("fedora:40", ["registry.fedoraproject.org/fedora:40"]),
        (f"fedora@{DIGEST}", [f"registry.fedoraproject.org/fedora@{DIGEST}"]),
        ("ubi8/ubi:1", ["registry.access.redhat.com/ubi8/ubi:1"]),
        ("a", ["one.io/a:latest", "docker.io/library/a:latest", "two.io/ns/a:latest"]),
        ("a/b:1", ["one.io/a/b:1", "docker.io/a/b:1", "two.io/ns/a/b:1"]),
        ("docker.io/fedora", ["docker.io/library/fedora:latest"]),
        ("localhost/fedora", ["localhost/fedora:latest"]),
    ],
)
def test_short_names_are_aliases_or_searched(ctx: Context, text: str, expected: list[str]) -> None:
    conf(ctx, SHORT)
    assert means(ctx, text) == expected


def test_enforcing_wants_a_whole_name_where_several_are_possible(ctx: Context) -> None:
    conf(ctx, 'short-name-mode = "enforcing"\n' + SHORT)
    assert means(ctx, "fedora") == ["registry.fedoraproject.org/fedora:latest"]
    with pytest.raises(BadReference, match="may be on") as caught:
        means(ctx, "a")
    assert "one.io/a" in str(caught.value.remedy)
    conf(ctx, 'short-name-mode = "enforcing"\nunqualified-search-registries = ["one.io"]')
    assert means(ctx, "a") == ["one.io/a:latest"]


def test_drop_ins_add_replace_and_take_away(ctx: Context) -> None:
    conf(ctx, SHORT + '[[registry]]\nlocation = "a.io"\ninsecure = true\n')
    directory = f"{ctx.home}/.config/containers/registries.conf.d"
    write(f"{directory}/10.conf", '[[registry]]\nlocation = "a.io"\n[aliases]\nfedora = ""\n')
    write(f"{directory}/20.conf", 'unqualified-search-registries = ["last.io"]')
    write(f"{directory}/30.txt", "[[[")
    assert means(ctx, "fedora") == ["last.io/fedora:latest"]
    assert means(ctx, "ubi8/ubi") == ["registry.access.redhat.com/ubi8/ubi:latest"]
    found = config.sources(ctx, reference.parse("a.io/x"))
    assert not found[0].endpoint.insecure


def test_variable_names_the_only_file(tmp_path: Path) -> None:
    file = f"{tmp_path}/my.conf"
    ctx = make_context(str(tmp_path), {"CONTAINERS_REGISTRIES_CONF": file}, prepare=False)
    conf(ctx, SHORT)
    assert means(ctx, "a") == ["docker.io/library/a:latest"]
    write(file, 'unqualified-search-registries = ["mine.io"]')
    assert means(ctx, "a") == ["mine.io/a:latest"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[[[", "cannot read"),
        ("[registries.search]\nregistries = ['a.io']", "version 1"),
        ("registry = 1", "registry is not a list"),
        ("registry = [1]", "is no table"),
        ("[[registry]]\ninsecure = true", "neither prefix nor location"),
        ('[[registry]]\nlocation = "a.io"\ninsecure = "yes"', "insecure is not true or false"),
        ("[[registry]]\nlocation = 1", "location is not a string"),
        ('[[registry]]\nlocation = "https://a.io"', "location is 'https://a.io'"),
        ('[[registry]]\nlocation = "a.io"\nmirror = [1]', "is no table"),
        ('[[registry]]\nlocation = "a.io"\n[[registry.mirror]]\ninsecure = true', "no location"),
        (
            '[[registry]]\nlocation = "a.io"\n[[registry.mirror]]\nlocation = "b.io"\n'
            'pull-from-mirror = "never"',
            "pull-from-mirror is 'never'",
        ),
        (
            '[[registry]]\nlocation = "a.io"\nmirror-by-digest-only = true\n'
            '[[registry.mirror]]\nlocation = "b.io"\npull-from-mirror = "all"',
            "beside mirror-by-digest-only",
        ),
        ('short-name-mode = "maybe"', "short-name-mode is 'maybe'"),
        ("unqualified-search-registries = 'a.io'", "is not a list"),
        ("unqualified-search-registries = ['a io']", "has 'a io'"),
        ("unqualified-search-registries = ['']", "has ''"),
        ("unqualified-search-registries = [1]", "has 1"),
        ("[aliases]\na = 'b'", "makes no sense"),
        ("[aliases]\na = 'b.io/c:1'", "makes no sense"),
        ("[aliases]\n'h.io/a' = 'b.io/c'", "makes no sense"),
        ("[aliases]\na = 1", "makes no sense"),
        ("[aliases]\nA = 'b.io/c'", "the alias 'A'"),
        ("credential-helpers = ['../x']", "credential-helpers has"),
        ("credential-helpers = [1]", "credential-helpers has"),
        ("aliases = []", "aliases is not a table"),
    ],
)
def test_a_file_that_makes_no_sense_is_named(ctx: Context, text: str, why: str) -> None:
    conf(ctx, text)
    with pytest.raises(BadDocument, match=why) as caught:
        registries_conf.load(ctx)
    assert "registries.conf" in caught.value.what
    assert caught.value.remedy


def test_a_location_that_makes_no_name_is_an_error(ctx: Context) -> None:
    conf(ctx, '[[registry]]\nprefix = "a.io"\nlocation = "b.io:"')
    with pytest.raises(BadDocument, match="no image"):
        config.sources(ctx, reference.parse("a.io/x"))


prefixes = st.sampled_from(
    ["h.io", "h.io/a", "h.io/a/b", "h.io/a:1", "*.io", "h.io:5000", "docker.io"]
)
names = st.sampled_from(
    ["h.io/a", "h.io/a/b:1", "h.io/ab", "h.io/a:12", "h.io:5000/a", "a", "x.h.io/a"]
)


@given(st.lists(prefixes, unique=True), names)
def test_the_longest_prefix_is_the_only_one_that_counts(chosen: list[str], name: str) -> None:
    spaces = [registries_conf.Namespace(one, "new.net/x", False, False, ()) for one in chosen]
    found = registries_conf.RegistriesConf(tuple(spaces))
    named = reference.parse(name).tagged()
    best = registries_conf.namespace(found, named)
    place = registries_conf.places(found, named)[-1].named
    assert (best is None) == (place == named)
    for one in chosen:
        alone = registries_conf.RegistriesConf(
            (registries_conf.Namespace(one, "n", False, False, ()),)
        )
        if registries_conf.namespace(alone, named):
            assert best is not None
            assert len(best.prefix) >= len(one)
