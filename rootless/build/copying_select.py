"""What a COPY or ADD takes from a tree: wildcards, .dockerignore, --exclude, --parents.

The same walk feeds the content key and the copy, so they cannot disagree.
Source: buildkit solver/llbsolver/file/backend.go, github.com/tonistiigi/fsutil/copy.
"""

import posixpath
from collections.abc import Iterator, Sequence

from rootless.build.dockerfile.ignore import Matcher, State
from rootless.build.wildcards import compile_name, has_wildcards
from rootless.errors import BuildError
from rootless.layer.view import Node, View
from rootless.records import dataclass

NOT_FOUND = "RL-BUILD-NOT-FOUND"


@dataclass(frozen=True, slots=True)
class Tree:
    """A directory of the host to copy from; its files are root's, whoever owns them here.

    `matcher` is the .dockerignore in force; `name` is for messages, "the context" is the default.
    """

    root: str
    matcher: Matcher | None = None
    name: str = "the context"


@dataclass(frozen=True, slots=True)
class Layers:
    """An image or a stage to copy from: directories, topmost first.  Files keep their owners.

    `identity` names the content (the diffIDs), for keys that are remembered.
    """

    directories: tuple[str, ...]
    identity: str = ""
    name: str = "the stage"


@dataclass(frozen=True, slots=True)
class Found:
    """A thing to copy, links followed: `name` is its last name as it was asked for."""

    node: Node
    name: str
    from_wildcard: bool = False


class Source:
    """A tree or layers, with what is left out of them."""

    def __init__(self, origin: Tree | Layers, excludes: Sequence[str] = ()) -> None:
        self.origin = origin
        self.name = origin.name
        self.keeps_owners = isinstance(origin, Layers)
        self._ignore = origin.matcher if isinstance(origin, Tree) else None
        self._exclude = Matcher(excludes) if excludes else None
        if isinstance(origin, Tree):
            self.view = View([origin.root], layered=False)
        else:
            self.view = View(origin.directories)

    def find(self, pattern: str) -> list[Found]:
        """What `pattern` names: one thing, or with wildcards any number of them.

        Raises BuildError for a path that leads out of a context, and for one that is not there.
        """
        path = self.check_inside(pattern)
        literal, wild = _split(path)
        if not wild:
            return [self._one(path, pattern)]
        start, _ = self.view.resolve(literal)
        if start is None or not start.is_directory:
            return []
        found = []
        for matched in self._match(start, wild):
            node, _ = self.view.resolve(matched.path)
            name = posixpath.basename(matched.path)
            if node is None:
                raise self._not_found(pattern, matched.path)
            if self._exclude is not None and self._exclude.ignores(name):
                continue
            if self.visible(node):
                found.append(Found(node, name, True))
        return found

    def walk(self, top: Node, include: Matcher | None = None) -> Iterator[tuple[str, Node]]:
        """(path below `top`, node) of all that is in the directory `top`, directories first.

        A directory that is left out comes all the same where something in it does not, just
        before that.  With `include` (--parents) only what it matches comes, and what is above.
        """
        stack = [self._frame(top, include)]
        while stack:
            frame = stack[-1]
            node = next(frame.children, None)
            if node is None:
                stack.pop()
                continue
            name = node.path.rpartition("/")[2]
            relative = f"{frame.relative}/{name}" if frame.relative else name
            inner = _Frame(node, relative, frame)
            taken = self._taken(inner, frame, include)
            if taken:
                for above in _pending(stack):
                    yield above.relative, above.node
                yield relative, node
            if node.is_directory and (taken or self._may_hold(inner, include)):
                inner.done = taken
                inner.children = iter(self.view.children(node))
                stack.append(inner)

    def visible(self, node: Node) -> bool:
        """Whether a thing, or something in it, is not ignored."""
        ignored, _ = self._ignore_state(node)
        if not ignored:
            return True
        if not node.is_directory or self._ignore is None:
            return False
        return next(self.walk(node), None) is not None

    # Filters.

    def _ignore_state(self, node: Node) -> tuple[bool, State]:
        ignored = False
        state: State = ()
        if self._ignore is None or not node.path:
            return False, state
        parts = node.path.split("/")
        for end in range(1, len(parts) + 1):
            ignored, state = self._ignore.enter(state, "/".join(parts[:end]))
        return ignored, state

    def _frame(self, top: Node, include: Matcher | None) -> "_Frame":
        frame = _Frame(top, "", None)
        _, frame.ignore = self._ignore_state(top)
        frame.done = True
        frame.children = iter(self.view.children(top))
        return frame

    def _taken(self, inner: "_Frame", above: "_Frame", include: Matcher | None) -> bool:
        taken = True
        if self._ignore is not None:
            ignored, inner.ignore = self._ignore.enter(above.ignore, inner.node.path)
            taken = not ignored
            inner.ignored = ignored
        if self._exclude is not None:
            excluded, inner.exclude = self._exclude.enter(above.exclude, inner.relative)
            taken = taken and not excluded
            inner.excluded = excluded
        if include is not None:
            matched, inner.include = include.enter(above.include, inner.relative)
            taken = taken and matched
        return taken

    def _may_hold(self, inner: "_Frame", include: Matcher | None) -> bool:
        """Whether a directory that is left out may hold what is not."""
        if inner.ignored and self._ignore is not None:
            path = inner.node.path
            if not (self._ignore.has_exceptions and self._ignore.may_hold_exceptions(path)):
                return False
        if inner.excluded and self._exclude is not None:
            path = inner.relative
            if not (self._exclude.has_exceptions and self._exclude.may_hold_exceptions(path)):
                return False
        return include is None or _related(include.patterns[0].literal, inner.relative)

    # Paths.

    def check_inside(self, pattern: str) -> str:
        """The path of a source from the root.  Raises BuildError when it leads out of a context."""
        path = posixpath.normpath(pattern)
        if isinstance(self.origin, Tree) and (path == ".." or path.startswith("../")):
            raise BuildError(
                f"{pattern} leads out of {self.name}",
                remedy="build with a directory above as context, or name another with "
                "--build-context NAME=DIRECTORY and COPY --from=NAME",
                code="RL-BUILD-ESCAPE",
            )
        return posixpath.normpath(f"/{path}").lstrip("/")

    def _one(self, path: str, pattern: str) -> Found:
        try:
            node, canonical = self.view.resolve(path)
        except BuildError:
            where = self._link_on_the_way(pattern)  # to itself, as seen from the context
            if not where:
                raise
            raise self._not_found(pattern, path) from None
        if node is None or not self.visible(node):
            raise self._not_found(pattern, canonical, ignored=node is not None)
        return Found(node, posixpath.basename(path))

    def _match(self, start: Node, wild: list[str]) -> Iterator[Node]:
        compiled = compile_name(wild[0])
        if compiled is None:
            return
        for child in self.view.children(start):
            if not compiled.match(child.path.rpartition("/")[2]):
                continue
            if len(wild) > 1:
                if child.is_directory:
                    yield from self._match(child, wild[1:])
            elif child.is_link or self.visible(child):
                yield child

    def _not_found(self, pattern: str, canonical: str, *, ignored: bool = False) -> BuildError:
        if ignored:
            return BuildError(
                f"{pattern} is left out of {self.name} by .dockerignore",
                remedy=f"write !{canonical} at its end, or remove the pattern",
                code=NOT_FOUND,
            )
        where = self._link_on_the_way(pattern)
        if where:
            return BuildError(
                f"{pattern} is not in {self.name}: {where}",
                remedy="links lead nowhere else: copy the file itself into the context",
                code="RL-BUILD-ESCAPE" if isinstance(self.origin, Tree) else NOT_FOUND,
            )
        parent = canonical.rpartition("/")[0]
        above, _ = self.view.resolve(parent)
        known = []
        if above is not None and above.is_directory:
            known = [child.path for child in self.view.children(above) if self.visible(child)]
        near = _near(canonical, known)
        return BuildError(
            f"{pattern} is not in {self.name}",
            remedy=f"did you mean {near[0]}?" if near else _listing(parent, known),
            code=NOT_FOUND,
        )

    def _link_on_the_way(self, pattern: str) -> str:
        """What the first link of a path says, if there is one."""
        path = self.check_inside(pattern)
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            node, _ = self.view.resolve("/".join(parts[:end]), follow_last=False)
            if node is not None and node.is_link:
                return f"{node.path} is a link to {node.read_link()}"
        return ""


class _Frame:
    """A directory on the way of a walk."""

    __slots__ = (
        "children", "done", "exclude", "excluded", "ignore", "ignored", "include", "node",
        "parent", "relative",
    )  # fmt: skip

    def __init__(self, node: Node, relative: str, parent: "_Frame | None") -> None:
        self.node = node
        self.relative = relative
        self.parent = parent
        self.children: Iterator[Node] = iter(())
        self.done = False  # whether it was yielded itself
        self.ignored = self.excluded = False
        self.ignore: State = ()
        self.exclude: State = ()
        self.include: State = ()


def _pending(stack: "list[_Frame]") -> "list[_Frame]":
    """The directories above that were not yielded yet, from the top; now they are."""
    if stack[-1].done:
        return []
    pending = [frame for frame in stack if not frame.done]
    for frame in pending:
        frame.done = True
    return pending


def _related(literal: str, path: str) -> bool:
    """Whether one of the two is the other or in it."""
    a, b = (f"{text}/" if text else "" for text in (literal, path))
    return a.startswith(b) or b.startswith(a)


def split_pivot(source: str) -> tuple[str, str]:
    """--parents: (where the kept path begins, the pattern of what is kept)."""
    before, pivot, after = source.partition("/./")
    if not pivot:
        return "/", posixpath.normpath(f"/{source}").lstrip("/")
    return before or "/", posixpath.normpath(f"/{after}").lstrip("/")


def _split(path: str) -> tuple[str, list[str]]:
    """The leading part of a path without wildcards, and the names from the first with one on."""
    parts = path.split("/")
    for i, part in enumerate(parts):
        if has_wildcards(part):
            return "/".join(parts[:i]), parts[i:]
    return path, []


def _listing(parent: str, known: list[str]) -> str:
    if not known:
        return "check the path and the context's directory"
    names = [path.rpartition("/")[2] for path in known]
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return f"{'/' + parent if parent else 'it'} has {shown}"


def _near(name: str, known: list[str]) -> list[str]:
    """What was meant, maybe."""
    from difflib import get_close_matches  # 5 ms that only a mistake pays

    return get_close_matches(name, known, 1)
