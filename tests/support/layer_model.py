"""What applying layers means, as a tree of Python objects: the model that tests compare with.

Within a layer members count in their order; whiteouts and opaque directories are about the layers
below.  Parents are found as in a root file system, through symlinks, and made where they lack.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Attributes = tuple[int | None, int, int, int | None]  # mode, UID, GID, mtime; None: any
IMPLIED: Attributes = (0o755, 0, 0, None)
LINKS_MAX = 40


class BadLayer(Exception):
    """The layer is to be refused."""


@dataclass(eq=False)
class Node:
    kind: str  # dir, file, link, white
    attributes: Attributes = IMPLIED
    content: str = ""  # or a link's target
    children: dict[str, Node] = field(default_factory=dict)
    parent: Node | None = None
    opaque: bool = False


@dataclass(frozen=True)
class Entry:
    """A member of an archive.  kind: dir, file, link, hard, white, opaque; path without slashes
    around it, "" for the root directory."""

    kind: str
    path: str
    attributes: Attributes
    content: str = ""


def layer(entries: list[Entry]) -> Node:
    """The tree of one layer.  Raises BadLayer."""
    root = Node("dir")
    for entry in entries:
        _place(root, entry)
    _drop_hidden(root, hidden=False)
    return root


def _place(root: Node, entry: Entry) -> None:
    above, _, name = entry.path.rpartition("/")
    if not entry.path:
        root.attributes = entry.attributes
        return
    parent = _directory(root, above, make=True)
    there = parent.children.get(name)
    if entry.kind == "opaque":
        parent.opaque = True
    elif entry.kind == "white":
        if there is None and not _in_opaque(parent):
            parent.children[name] = Node("white")
        elif there is not None and there.kind == "dir":
            there.opaque = True
    elif entry.kind == "dir":
        if there is None or there.kind != "dir":
            there = parent.children[name] = Node("dir", parent=parent, opaque=there is not None)
        there.attributes = entry.attributes
    elif entry.kind == "hard":
        _hard_link(root, parent, name, entry.content)
    else:
        parent.children[name] = Node(entry.kind, entry.attributes, entry.content)


def _hard_link(root: Node, parent: Node, name: str, path: str) -> None:
    above, _, target_name = path.rpartition("/")
    directory = _directory(root, above, make=False)
    target = directory.children.get(target_name)
    if target is None or target.kind in ("dir", "white"):
        raise BadLayer
    if parent.children.get(name) is target:
        return
    parent.children.pop(name, None)
    if not _is_attached(root, directory):
        raise BadLayer  # what gave way had the target in it
    parent.children[name] = target


def _is_attached(root: Node, directory: Node) -> bool:
    while directory.parent is not None:
        if directory not in directory.parent.children.values():
            return False
        directory = directory.parent
    return directory is root


def _directory(root: Node, path: str, *, make: bool) -> Node:
    """The directory that `path` leads to."""
    parts = [part for part in path.split("/") if part]
    here, links = root, 0
    while parts:
        name = parts.pop(0)
        there = here.children.get(name)
        if there is not None and there.kind == "link":
            links += 1
            if links > LINKS_MAX:
                raise BadLayer
            if there.content.startswith("/"):
                here = root
            parts[:0] = [part for part in there.content.split("/") if part]
            continue
        if there is None or there.kind == "white":
            if not make:
                raise BadLayer
            there = here.children[name] = Node("dir", parent=here, opaque=there is not None)
        if there.kind != "dir":
            raise BadLayer
        here = there
    return here


def _in_opaque(directory: Node | None) -> bool:
    while directory is not None:
        if directory.opaque:
            return True
        directory = directory.parent
    return False


def _drop_hidden(directory: Node, *, hidden: bool) -> None:
    hidden = hidden or directory.opaque
    for name, node in list(directory.children.items()):
        if node.kind == "white" and hidden:
            del directory.children[name]
        elif node.kind == "dir":
            _drop_hidden(node, hidden=hidden)


def stack(layers: list[Node]) -> Node:
    """What is seen of layers, the lowest first."""
    seen: Node | None = None
    for one in layers:
        seen = _merge(seen, one)
    assert seen is not None
    return seen


def _merge(lower: Node | None, upper: Node) -> Node:
    merged = Node("dir", upper.attributes)
    if lower is not None and lower.kind == "dir" and not upper.opaque:
        merged.children.update(lower.children)
    for name, node in upper.children.items():
        below = merged.children.pop(name, None)
        if node.kind == "dir":
            merged.children[name] = _merge(below, node)
        elif node.kind != "white":
            merged.children[name] = node
    return merged


def listing(root: Node) -> dict[str, list[object]]:
    """A tree as layer_server's walk() gives it; a time of None is any."""
    found: dict[str, list[object]] = {}
    same: dict[Node, str] = {}

    def add(node: Node, path: str) -> None:
        first = path if node.kind == "dir" else same.setdefault(node, path)
        found[path] = [node.kind, *node.attributes, node.content, first]
        for name in sorted(node.children):
            if node.children[name].kind != "dir":
                add(node.children[name], f"{path}/{name}" if path else name)
        for name in sorted(node.children):
            if node.children[name].kind == "dir":
                add(node.children[name], f"{path}/{name}" if path else name)

    add(root, "")
    return found
