"""What COPY sees and writes is what overlayfs shows: random layers, compared with a real mount."""

import os
import random
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from support.stores import make_context

from rootless.build.copying import Transfer, Tree, perform
from rootless.context import Context
from rootless.errors import BuildError
from rootless.layer.view import Node, View, set_opaque
from rootless.linux import syscalls
from rootless.linux.namespaces import run_in_user_namespace
from rootless.store import mapping
from rootless.store.removal import remove_mapped_tree

pytestmark = pytest.mark.needs("user", "userns", "subids", "overlay")

Listing = dict[str, list[object]]  # path -> kind, mode, content


@pytest.fixture
def ctx(test_dir: str, request: pytest.FixtureRequest) -> Iterator[Context]:
    directory = f"{test_dir}/view-{abs(hash(request.node.nodeid)) % 10**8}"
    os.makedirs(directory)
    ctx = make_context(directory)
    yield ctx
    remove_mapped_tree(ctx, directory)


def entry(path: str) -> list[object]:
    status = os.lstat(path)
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFLNK:
        return [kind, 0, os.readlink(path)]
    content = ""
    if kind == stat.S_IFREG:
        with open(path) as file:
            content = file.read()
    return [kind, stat.S_IMODE(status.st_mode), content]


def by_view(directories: list[str]) -> Listing:
    view = View(directories)
    found: Listing = {}

    def add(node: Node) -> None:
        for child in view.children(node):
            found[child.path] = entry(child.places[0])
            if child.is_directory:
                add(child)

    add(view.root())
    return found


def by_mount(directories: list[str], place: str) -> Listing:
    os.makedirs(f"{place}/mount", exist_ok=True)
    os.makedirs(f"{place}/empty", exist_ok=True)  # a mount without upper wants two layers
    lower = ":".join([*directories, f"{place}/empty"])
    syscalls.mount("overlay", f"{place}/mount", "overlay", 0, f"userxattr,lowerdir={lower}")
    found: Listing = {}
    for above, inside, files in os.walk(f"{place}/mount"):
        for name in inside + files:
            path = os.path.join(above, name)
            # A whiteout that hides nothing is listed, but it is not there.
            if os.path.lexists(path):
                found[os.path.relpath(path, f"{place}/mount")] = entry(path)
    return found


def compare(ctx: Context, directories: list[str], what: str) -> None:
    def work() -> object:
        return [by_view(directories), by_mount(directories, ctx.home)]

    result = run_in_user_namespace(mapping.default_map(ctx), ctx.environ, work, mounts=True)
    view, mounted = cast("list[Listing]", result)
    assert view == mounted, what


def some_path(choose: random.Random) -> str:
    return "/".join(choose.choice("abc") for _ in range(choose.randint(1, 3)))


def populate(root: str, choose: random.Random, *, layer: bool) -> None:
    """A few files, links and directories; in a layer whiteouts and opaque directories too."""
    os.makedirs(root)
    for _ in range(choose.randint(1, 6)):
        path = f"{root}/{some_path(choose)}"
        kind = choose.choice("fffllwdddo")
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if kind == "f":
                with open(path, "x") as file:
                    file.write(str(choose.random()))
            elif kind == "l":
                os.symlink(choose.choice(("/", "../", ".")) + some_path(choose), path)
            elif kind == "w" and layer:
                os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))
            else:
                os.makedirs(path)
                os.chmod(path, choose.choice((0o755, 0o711)))
                if kind == "o" and layer:
                    set_opaque(path)
        except OSError:
            pass  # something of another kind is there


@pytest.mark.parametrize("seed", range(40))
def test_layers_and_copies_are_as_overlayfs_shows_them(ctx: Context, seed: int) -> None:
    choose = random.Random(seed)
    layers = [f"{ctx.home}/layer{i}" for i in range(choose.randint(1, 3))]
    for layer in layers:
        populate(layer, choose, layer=layer != layers[-1])
    compare(ctx, layers, "before")
    source = f"{ctx.home}/source"
    populate(source, choose, layer=False)
    names = sorted(os.listdir(source))
    with tarfile.open(f"{source}/t.tar", "w") as archive:
        for name in names:
            prefix = choose.choice(("", f"{some_path(choose)}/"))
            archive.add(f"{source}/{name}", arcname=prefix + name)
    target = f"/{some_path(choose)}{choose.choice(('', '/'))}"
    for number, (add, name) in enumerate(((False, "."), (False, names[0]), (True, "t.tar"))):
        transfer = Transfer((name,), target, Tree(source), add=add)
        os.mkdir(f"{ctx.home}/step{number}")
        try:
            perform(ctx, transfer, layers, f"{ctx.home}/step{number}")
        except BuildError:
            continue  # a file where a directory should go, and the like
        compare(ctx, [f"{ctx.home}/step{number}/upper", *layers], f"{transfer}")


def test_directory_that_becomes_a_link_is_not_followed(tmp_path: Path) -> None:
    """Somebody else may write in the context while it is read."""
    for name in ("context/d/e", "outside/e"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "f").write_text(name)
    view = View([str(tmp_path / "context")], layered=False)
    directory = view.resolve("d/e")[0]
    assert directory is not None
    [file] = view.children(directory)
    os.rename(tmp_path / "context/d", tmp_path / "context/before")
    os.symlink(tmp_path / "outside", tmp_path / "context/d")
    for read in (
        lambda: view.open(file, os.O_RDONLY),
        lambda: view.children(directory),
        lambda: view.child(directory, "f"),
    ):
        with pytest.raises(BuildError, match="changed while it was read"):
            read()
    os.unlink(tmp_path / "context/before/e/f")
    os.unlink(tmp_path / "context/d")
    os.rename(tmp_path / "context/before", tmp_path / "context/d")
    os.symlink("/etc/hostname", tmp_path / "context/d/e/f")
    with pytest.raises(BuildError, match="d/e/f was changed"):
        view.open(file, os.O_RDONLY)
