"""Layers of any members, applied and stacked by overlayfs, beside a model of what that means."""

import base64
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support import layer_model
from support.layer_client import Answer, Server, serving
from support.layer_model import BadLayer, Entry, Node

from rootless.layer import tarstream, tarwriter
from rootless.layer.tarstream import Member

pytestmark = pytest.mark.needs("user", "userns", "subids", "overlay")
KINDS = {
    "dir": tarstream.DIRECTORY,
    "link": tarstream.SYMLINK,
    "hard": tarstream.HARD_LINK,
}


@pytest.fixture(scope="module")
def server(test_dir: str) -> Iterator[Server]:
    with serving(f"{test_dir}/layer-model") as server:
        yield server


NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
TARGETS = st.one_of(PATHS, PATHS.map(lambda path: f"/{path}"))
ATTRIBUTES = st.tuples(
    st.sampled_from([0o755, 0o700, 0o4751, 0o600]),
    st.sampled_from([0, 5]),
    st.sampled_from([0, 7]),
    st.sampled_from([0, 1_000_000_000, 1_600_000_000]),
)
WHITEOUTS = st.builds(lambda path: Entry("white", path, layer_model.IMPLIED), PATHS)
OPAQUES = st.builds(lambda path: Entry("opaque", f"{path}/x", layer_model.IMPLIED), PATHS)
LINKS = st.builds(
    lambda path, attributes, target: Entry("link", path, (None, *attributes[1:]), target),
    PATHS, ATTRIBUTES, TARGETS,
)  # fmt: skip
ENTRIES = st.one_of(
    st.builds(Entry, st.just("dir"), st.one_of(PATHS, st.just("")), ATTRIBUTES),
    st.builds(Entry, st.just("file"), PATHS, ATTRIBUTES, st.sampled_from(["", "x", "y" * 700])),
    st.builds(Entry, st.just("dir"), PATHS, ATTRIBUTES),
    LINKS,
    st.builds(Entry, st.just("hard"), PATHS, ATTRIBUTES, PATHS),
    WHITEOUTS,
    OPAQUES,
)


def acceptable(entries: list[Entry]) -> list[Entry]:
    """The entries without those that would have the whole layer refused."""
    kept: list[Entry] = []
    for entry in entries:
        try:
            layer_model.layer([*kept, entry])
        except BadLayer:
            continue
        kept.append(entry)
    return kept


LISTS = st.lists(ENTRIES, max_size=14)
LAYERS = st.lists(
    st.one_of(LISTS.map(acceptable), LISTS.map(acceptable), LISTS), min_size=1, max_size=3
)


def archive(entries: list[Entry], spelling: str) -> bytes:
    """The entries as a tar archive; names begin with `spelling`."""
    data = b""
    for entry in entries:
        parent, slash, name = entry.path.rpartition("/")
        if entry.kind == "white":
            name = f".wh.{name}"
        elif entry.kind == "opaque":
            name = ".wh..wh..opq"
        path = f"{spelling}{parent}{slash}{name}" or "."
        member = Member(path.encode(), KINDS.get(entry.kind, tarstream.REGULAR))
        mode, member.uid, member.gid, mtime = entry.attributes
        member.mode, member.mtime_ns = mode or 0, (mtime or 0) * 10**9
        content = entry.content.encode()
        if entry.kind == "file":
            member.size = len(content)
            data += tarwriter.header(member) + content + tarwriter.padding(len(content))
        else:
            member.link = content
            data += tarwriter.header(member)
    return data + tarwriter.END


def expected(layers: list[list[Entry]]) -> Node | None:
    try:
        return layer_model.stack([layer_model.layer(entries) for entries in layers])
    except BadLayer:
        return None


def assert_same(answer: Answer, model: Node | None) -> None:
    if model is None:
        assert str(answer.get("error")).startswith("BadDocument: tar: "), answer
        return
    assert "error" not in answer, answer
    wanted = layer_model.listing(model)
    found = answer["tree"]
    assert sorted(found) == sorted(wanted)
    first: dict[object, object] = {}
    for path, (*rest, mtime, content, same) in wanted.items():
        *found_rest, found_mtime, found_content, found_same = found[path]
        assert (found_rest, found_content) == (rest, content), path
        assert mtime in (None, found_mtime), path
        assert first.setdefault(same, found_same) == found_same, path  # the same hard links
    assert len(set(first.values())) == len(first)


def file(path: str, content: str = "") -> Entry:
    return Entry("file", path, (0o600, 0, 0, 0), content)


def link(path: str, target: str) -> Entry:
    return Entry("link", path, (None, 0, 0, 0), target)


def white(path: str) -> Entry:
    return Entry("white", path, layer_model.IMPLIED)


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(layers=LAYERS, spelling=st.sampled_from(["", "./", "/", "a/../"]))
@example(layers=[[white("b/a/a"), file("b"), Entry("dir", "b", (0o700, 0, 0, 0))]], spelling="")
# A directory by a symlink and back, over layers and within one.
@example(layers=[[file("a/b/c")], [link("a", "b"), file("a/c")], [file("a/a")]], spelling="")
@example(layers=[[file("a/b")], [file("a"), file("b"), file("b/c")]], spelling="")
@example(layers=[[file("a/b"), file("a/c")], [white("a"), file("a/c/a")]], spelling="./")
@example(layers=[[file("a/b"), file("a/c")], [file("a/c/a"), white("a")]], spelling="./")
@example(layers=[[link("a", "/b/c"), file("a/b/c"), link("b", "c"), file("a/x")]], spelling="")
def test_layers_are_what_the_model_says(
    server: Server, layers: list[list[Entry]], spelling: str
) -> None:
    answer = server.ask([archive(entries, spelling) for entries in layers])
    model = expected(layers)
    assert_same(answer, model)
    if model is None:
        return
    # And our own archives of these layers say the same, and are the same the second time.
    archives = answer["archives"]
    again = server.ask([base64.b64decode(text) for text in archives])
    assert_same(again, model)
    stable = server.ask([base64.b64decode(text) for text in again["archives"]])
    assert stable == again
