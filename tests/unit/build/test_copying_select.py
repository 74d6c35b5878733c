"""What COPY takes: Go's wildcards, .dockerignore, --exclude, --parents, links, layers."""

import os
from pathlib import Path

import pytest

from rootless.build.copying import destination
from rootless.build.copying_select import Layers, Source, Tree, split_pivot
from rootless.build.dockerfile.ignore import Matcher
from rootless.build.wildcards import compile_name, has_wildcards
from rootless.errors import BuildError
from rootless.layer.view import View, set_opaque


def make(root: Path, *paths: str) -> Path:
    """Files at `paths`; those that end with a slash are directories."""
    root.mkdir(exist_ok=True)
    for path in paths:
        place = root / path
        if path.endswith("/"):
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(path)
    return root


def walked(source: Source, pattern: str = ".", include: str = "") -> list[str]:
    [found] = source.find(pattern)
    matcher = Matcher([include]) if include else None
    return [relative for relative, _ in source.walk(found.node, matcher)]


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*.txt", "a.txt", True),
        ("*.txt", ".txt", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False),
        ("[]]x", "]x", False),
        ("arr[[]0].txt", "arr[0].txt", True),
        (r"\*", "*", True),
        (r"\*", "a", False),
        ("[a", "a", False),
        ("a\\", "a\\", False),
        ("[a&&b]", "&", True),
    ],
)
def test_wildcards_are_those_of_go(pattern: str, name: str, matches: bool) -> None:
    compiled = compile_name(pattern)
    assert (compiled is not None and compiled.match(name) is not None) == matches


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a", False), ("a*", True), (r"a\*", False), (r"a\\*", True), ("[a]", True), ("?", True)],
)
def test_has_wildcards(name: str, expected: bool) -> None:
    assert has_wildcards(name) == expected


@pytest.mark.parametrize(
    ("target", "workdir", "expected"),
    [
        (".", "/app", "/app/"),
        ("./", "/app", "/app/"),
        ("x", "/app", "/app/x"),
        ("x/", "/app", "/app/x/"),
        ("/x/./y", "/app", "/x/y"),
        ("..", "/app/b", "/app/"),
        ("/", "/app", "/"),
        (".", "/", "/"),
        ("../../..", "/a", "/"),
        ("//x", "/", "/x"),
    ],
)
def test_destination(target: str, workdir: str, expected: str) -> None:
    assert destination(target, workdir) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a/b.txt", ("/", "a/b.txt")),
        ("./a/b.txt", ("/", "a/b.txt")),
        ("x/./a/*.txt", ("x", "a/*.txt")),
        ("/x/y/./z", ("/x/y", "z")),
        ("/./a", ("/", "a")),
    ],
)
def test_pivot(source: str, expected: tuple[str, str]) -> None:
    assert split_pivot(source) == expected


def test_walk_is_in_the_order_of_names_and_leaves_out_what_is_ignored(tmp_path: Path) -> None:
    root = make(tmp_path / "c", "b", "a/x", "a/y.log", "node_modules/m/i", "z/")
    source = Source(Tree(str(root), Matcher(["node_modules", "**/*.log"])))
    assert walked(source) == ["a", "a/x", "b", "z"]


def test_exceptions_bring_back_files_and_the_directories_above(tmp_path: Path) -> None:
    root = make(tmp_path / "c", "out/a/keep", "out/a/drop", "out/b/drop", "src")
    source = Source(Tree(str(root), Matcher(["out", "!out/a/keep"])))
    assert walked(source) == ["out", "out/a", "out/a/keep", "src"]
    assert walked(source, "out") == ["a", "a/keep"]


def test_an_ignored_source_is_not_there(tmp_path: Path) -> None:
    root = make(tmp_path / "c", "secret", "dir/secret")
    source = Source(Tree(str(root), Matcher(["secret", "dir"])))
    for pattern in ("secret", "dir", "dir/secret"):
        with pytest.raises(BuildError, match="dockerignore"):
            source.find(pattern)
    assert source.find("sec*") == []


def test_exclude_counts_from_the_source(tmp_path: Path) -> None:
    root = make(tmp_path / "c", "d/a.txt", "d/a.md", "d/e/b.txt")
    assert walked(Source(Tree(str(root)), ["*.txt"]), "d") == ["a.md", "e", "e/b.txt"]
    assert walked(Source(Tree(str(root)), ["**/*.txt"]), "d") == ["a.md", "e"]


def test_exclude_is_asked_for_each_match_of_a_wildcard(tmp_path: Path) -> None:
    root = make(tmp_path / "c", "home.txt", "home.md", "homer")
    found = Source(Tree(str(root)), ["*.txt", "*.md"]).find("hom*")
    assert [f.name for f in found] == ["homer"]


def test_parents_keep_only_what_matches(tmp_path: Path) -> None:
    root = make(tmp_path / "c", "x/a.txt", "x/b.md", "y/a.txt", "y/z/a.txt")
    source = Source(Tree(str(root)))
    assert walked(source, "/", "*/a.txt") == ["x", "x/a.txt", "y", "y/a.txt"]
    assert walked(source, "/", "y") == ["y", "y/a.txt", "y/z", "y/z/a.txt"]


def test_wildcards_across_directories(tmp_path: Path) -> None:
    root = make(tmp_path / "c", "a/p.json", "b/p.json", "b/q/p.json", "p.json")
    source = Source(Tree(str(root)))
    assert [f.node.path for f in source.find("*/p.json")] == ["a/p.json", "b/p.json"]
    assert [f.node.path for f in source.find("b/[pq]*")] == ["b/p.json", "b/q"]
    assert source.find("nothing*") == []


@pytest.mark.parametrize("path", ["../x", "a/../../x", ".."])
def test_paths_that_leave_a_context_are_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(BuildError) as caught:
        Source(Tree(str(make(tmp_path / "c", "a/b")))).find(path)
    assert caught.value.code == "RL-BUILD-ESCAPE"


def test_links_out_of_a_context_are_refused(tmp_path: Path) -> None:
    root = make(tmp_path / "c", "a")
    make(tmp_path, "outside")
    for name, text in (("up", "../outside"), ("abs", f"{tmp_path}/outside"), ("etc", "/etc")):
        (root / name).symlink_to(text)
    source = Source(Tree(str(root)))
    for path in ("up", "abs", "etc", "etc/passwd"):
        with pytest.raises(BuildError, match="is a link to") as caught:
            source.find(path)
        assert caught.value.code == "RL-BUILD-ESCAPE"


def test_a_link_that_is_named_is_followed_and_keeps_its_name(tmp_path: Path) -> None:
    root = make(tmp_path / "c", "d/a")
    (root / "to-file").symlink_to("/d/a")
    (root / "to-dir").symlink_to("d")
    source = Source(Tree(str(root)))
    [found] = source.find("to-file")
    assert (found.node.path, found.name) == ("d/a", "to-file")
    assert walked(source, "to-dir") == ["a"]
    assert [f.node.path for f in source.find("to-*")] == ["d", "d/a"]


def test_circles_are_an_error(tmp_path: Path) -> None:
    root = make(tmp_path / "c")
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(BuildError, match="a is a link to b"):
        Source(Tree(str(root))).find("a")
    with pytest.raises(BuildError, match="circles"):
        View([str(root)]).resolve("a")


def test_near_misses_are_named(tmp_path: Path) -> None:
    root = make(tmp_path / "c", "requirements.txt", "src/main.py")
    with pytest.raises(BuildError) as caught:
        Source(Tree(str(root))).find("requirement.txt")
    assert caught.value.remedy == "did you mean requirements.txt?"
    with pytest.raises(BuildError) as caught:
        Source(Tree(str(root))).find("src/xyz")
    assert caught.value.remedy == "/src has main.py"


def test_layers_are_seen_merged(tmp_path: Path) -> None:
    top = make(tmp_path / "top", "d/new", "o/x")
    low = make(tmp_path / "low", "d/old", "d/both", "o/hidden", "f")
    (top / "d/both").write_text("top")
    try:
        set_opaque(str(top / "o"))
    except OSError:
        pytest.skip("no user extended attributes here")
    view = View([str(top), str(low)])
    assert [n.path for n in view.children(view.root())] == ["d", "f", "o"]
    source = Source(Layers((str(top), str(low))))
    assert walked(source, "d") == ["both", "new", "old"]
    assert walked(source, "o") == ["x"]
    [both] = source.find("/d/both")
    assert Path(both.node.places[0]).read_text() == "top"
    # Out of an image's root is its root: nothing to protect there.
    assert [f.node.path for f in source.find("../f")] == ["f"]


def test_layer_links_stay_in_the_layers(tmp_path: Path) -> None:
    top = make(tmp_path / "top", "a/")
    low = make(tmp_path / "low", "etc/hostname")
    (top / "a/link").symlink_to("/etc")
    view = View([str(top), str(low)])
    node, path = view.resolve("/a/link/hostname")
    assert node is not None and path == "etc/hostname"
    assert view.resolve("/a/link/../../../nowhere/x") == (None, "nowhere/x")
    os.unlink(top / "a/link")
    (top / "a/link").symlink_to("/no/where")
    assert view.resolve("/a/link") == (None, "no/where")
