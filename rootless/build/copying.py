"""COPY and ADD: from a context, an image or the network into the layer of a step.

    transfer = from_instruction(instruction, source=..., workdir=...)
    transfer = remote.fetch(ctx, transfer, directory)   # ADD of a URL or a git repository
    key = checksum.transfer_digest(ctx, transfer)
    perform(ctx, transfer, lower, directory)            # directory/upper is the layer then

Rules: docs.docker.com/reference/dockerfile (ADD, COPY); buildkit
frontend/dockerfile/dockerfile2llb/convert_copy.go; github.com/tonistiigi/fsutil/copy.
"""

import os
import posixpath
import stat
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from rootless.build.copying_modes import Change, parse_chmod, parse_chown
from rootless.build.copying_select import Found, Layers, Source, Tree, split_pivot
from rootless.build.copying_target import Owner, Target, owner_of, read_xattrs, storage_failure
from rootless.build.dockerfile.ignore import Matcher
from rootless.build.dockerfile.instructions import Add, Copy, InlineFile
from rootless.build.wildcards import has_wildcards
from rootless.errors import BuildError, RlError
from rootless.layer.view import Node
from rootless.records import dataclass, field
from rootless.store import mapping, shared_mounts

if TYPE_CHECKING:
    from rootless.context import Context

__all__ = ["Copied", "Fetched", "Layers", "Transfer", "Tree", "from_instruction", "perform"]

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a URL or git source of ADD has become: a file, or a directory (`tree`)."""

    path: str
    name: str = ""
    tree: bool = False
    mtime_ns: int = 0
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Transfer:
    """One COPY or ADD, expanded.

    `target` is absolute; a slash at its end makes it a directory.  `fetched` has an entry for
    each of `sources` that is a URL or git repository.  `epoch` (seconds) is SOURCE_DATE_EPOCH.
    """

    sources: tuple[str, ...]
    target: str
    source: Tree | Layers
    documents: tuple[InlineFile, ...] = ()
    add: bool = False
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()
    unpack: bool | None = None
    checksum: str = ""
    keep_git_dir: bool | None = None
    epoch: int | None = None
    fetched: dict[str, Fetched] = field(default_factory=dict)

    @property
    def independent(self) -> bool:
        """Whether the layer does not depend on what is below it (--link)."""
        return self.link


@dataclass(frozen=True, slots=True)
class Copied:
    """What perform() has written; `covered` is a file that more than one source went to."""

    files: int
    size: int  # bytes
    covered: str = ""


def from_instruction(
    instruction: Copy | Add,
    *,
    source: Tree | Layers,
    workdir: str = "/",
    epoch: int | None = None,
) -> Transfer:
    """The Transfer of an instruction whose variables are expanded.  Raises BuildError."""
    add = isinstance(instruction, Add)
    transfer = Transfer(
        sources=instruction.sources,
        target=destination(instruction.target, workdir),
        source=source,
        documents=instruction.documents,
        add=add,
        chown=instruction.chown,
        chmod=instruction.chmod,
        link=instruction.link,
        parents=isinstance(instruction, Copy) and instruction.parents,
        exclude=instruction.exclude,
        unpack=instruction.unpack if isinstance(instruction, Add) else None,
        checksum=instruction.checksum if isinstance(instruction, Add) else "",
        keep_git_dir=instruction.keep_git_dir if isinstance(instruction, Add) else None,
        epoch=epoch,
    )
    check(transfer)
    return transfer


def destination(target: str, workdir: str) -> str:
    """The absolute form of a destination; a directory, if said to be one, ends with a slash."""
    joined = posixpath.join("/", workdir or "/", target)
    path = posixpath.normpath(joined).replace("//", "/")
    is_directory = target in ("", ".", "..") or target.endswith(("/", "/.", "/.."))
    return path + "/" if is_directory and path != "/" else path


def check(transfer: Transfer) -> None:
    """What can be known to be wrong before anything is read.  Raises BuildError."""
    parse_chmod(transfer.chmod)
    if transfer.link:
        parse_chown(transfer.chown, lambda _path: _refuse_names(transfer.chown))
    Matcher(transfer.exclude)
    local = set(transfer.sources)
    if transfer.checksum or may_be_remote(transfer):
        from rootless.build import copying_remote

        copying_remote.check(transfer)
        local -= copying_remote.remotes(transfer).keys()
    if isinstance(transfer.source, Tree):
        for text in local:
            Source(transfer.source).check_inside(text)


def _refuse_names(chown: str) -> str:
    raise BuildError(
        f"--chown={chown}: with --link names cannot be looked up, as nothing below is read",
        remedy="use numbers, as in --chown=1000:1000, or leave --link out",
        code="RL-BUILD-OWNER",
    )


def look_for(ctx: "Context", transfer: Transfer) -> None:
    """Raise the BuildError that perform() would for a source that is not there."""
    if isinstance(transfer.source, Tree):
        _look_for(transfer)
        return

    def work() -> object:
        _look_for(transfer)
        return None

    in_worker(ctx, work, layers_of(transfer))


def _look_for(transfer: Transfer) -> None:
    source = Source(transfer.source, transfer.exclude)
    for text in () if may_be_remote(transfer) else transfer.sources:
        if transfer.parents:
            before, pattern = split_pivot(text)
            text = posixpath.join(before, pattern) if before != "/" else pattern
        if not has_wildcards(text):
            source.find(text)


def may_be_remote(transfer: Transfer) -> bool:
    """Whether one of the sources looks like one on the network; what it is costs imports."""
    return any("://" in text or "@" in text for text in transfer.sources)


def perform(ctx: "Context", transfer: Transfer, lower: Sequence[str], directory: str) -> Copied:
    """Write the layer of `transfer` to `directory`/upper, which is made.

    `lower` are the layers' directories below, topmost first; with --link they are not looked at.
    Its sources on the network were fetched.  The caller has one thread; on failure it removes
    `directory`.  Raises BuildError, StoreError RL-STORE-FULL.
    """

    # With one ID alone owners are noted, so that the image says what was asked for all the same.
    record = mapping.default_map(ctx).single

    def work() -> object:
        os.umask(0)
        try:
            copier = _Copier(transfer, lower, f"{directory}/upper", record=record)
            copier.run()
        except OSError as e:
            raise storage_failure(e, "copy") from e
        return {
            "files": copier.target.files,
            "size": copier.target.size,
            "covered": copier.covered,
        }

    result = cast("dict[str, Any]", in_worker(ctx, work, [*lower, *layers_of(transfer)]))
    return Copied(result["files"], result["size"], result["covered"])


def layers_of(transfer: Transfer) -> Sequence[str]:
    """The directories of layers that a transfer takes from."""
    return transfer.source.directories if isinstance(transfer.source, Layers) else ()


def in_worker(
    ctx: "Context", function: Callable[[], object], directories: Sequence[str] = ()
) -> object:
    """`function()` as root of the user namespace; a BuildError raised there is one here.

    `directories` are those of the layers that it reads.
    """
    try:
        return shared_mounts.run_in_worker(ctx, directories, function)
    except RlError as e:
        if e.code.startswith("RL-BUILD"):
            raise BuildError(e.what, remedy=e.remedy, code=e.code) from e
        raise


class _Copier:
    """One Transfer in the worker."""

    def __init__(
        self, transfer: Transfer, lower: Sequence[str], upper: str, *, record: bool
    ) -> None:
        epoch = transfer.epoch
        self.transfer = transfer
        self.target = Target(
            upper,
            () if transfer.link else lower,
            record=record,
            epoch_ns=None if epoch is None else epoch * 1_000_000_000,
        )
        self._chown = parse_chown(transfer.chown, self._read_account_file)
        self._chmod: Change | None = parse_chmod(transfer.chmod)
        self._made_by = self._chown or (0, 0)
        self._links: dict[tuple[int, int], str] = {}
        self._placed: set[str] = set()
        self.covered = ""

    def run(self) -> None:
        transfer = self.transfer
        source = Source(transfer.source, transfer.exclude)
        for text in transfer.sources:
            fetched = transfer.fetched.get(text)
            if fetched is not None:
                self._remote(fetched)
            elif transfer.parents:
                self._parents(source, text)
            else:
                for found in source.find(text):
                    self._local(source, found)
        for document in transfer.documents:
            self._document(document)
        self.target.finish()

    # The four kinds of sources.

    def _local(self, source: Source, found: Found) -> None:
        transfer = self.transfer
        unpack = transfer.add if transfer.unpack is None else transfer.unpack
        if unpack and found.node.is_file:
            fd = source.view.open(found.node, _READ)
            if self._unpack(fd, found.node.path):
                return
        self._copy(source, found)

    def _remote(self, fetched: Fetched) -> None:
        if fetched.tree:
            source = Source(Tree(fetched.path, name="the repository"), self.transfer.exclude)
            self._copy(source, Found(source.view.root(), ""))
            return
        if self.transfer.unpack and self._unpack(os.open(fetched.path, _READ), fetched.name):
            return
        fd = os.open(fetched.path, _READ)
        try:
            path = self._file_place(fetched.name)
            mode = self._mode(0o600, directory=False)
            self.target.file(path, fd, mode, self._made_by, fetched.mtime_ns)
        finally:
            os.close(fd)

    def _document(self, document: InlineFile) -> None:
        path = self._file_place(document.name)
        content = document.content.encode("utf-8", "surrogateescape")
        mode = self._mode(0o644, directory=False)
        self.target.file(path, content, mode, self._made_by, None)

    def _parents(self, source: Source, text: str) -> None:
        """--parents: the path of what is copied is made below the destination too."""
        before, pattern = split_pivot(text)
        if not has_wildcards(before) and not has_wildcards(pattern):
            source.find(posixpath.join(before, pattern) if before != "/" else pattern)
        include = Matcher([pattern]) if pattern else None
        for found in source.find(before):
            if not found.node.is_directory:
                raise BuildError(
                    f"{before} is no directory, so nothing can be below it",
                    remedy="put the ./ of --parents behind a directory",
                    code="RL-BUILD-COPY",
                )
            self._copy(source, found, include)

    def _unpack(self, fd: int, name: str) -> bool:
        """Unpack the archive `fd`, which is closed; False for what is none."""
        from rootless.build import copying_tar

        with open(fd, "rb", buffering=0) as file:
            if not copying_tar.is_archive(file, name):
                return False
            path = self._resolved(self.transfer.target)
            self.target.make_all(path, self._made_by)
            copying_tar.unpack(file, name, self.target, path, self._chown)
        return True

    # Places.

    def _resolved(self, path: str) -> str:
        """The destination with all its links followed, as buildkit's RootPath."""
        return self.target.view.resolve(path)[1]

    def _prepare(self) -> str:
        """Make what has to be above the destination; its path, links followed."""
        target = self.transfer.target
        directory = target if target.endswith("/") else posixpath.dirname(target)
        self.target.make_all(self._resolved(directory), self._made_by)
        return self._resolved(target)

    def _file_place(self, name: str) -> str:
        """Where a file goes: into the destination when that is a directory.  Nothing is there."""
        path = self._prepare()
        node = self.target.look_up(path)
        if node is not None and node.is_directory:
            path = f"{path}/{name}" if path else name
        if path in self._placed:
            self.covered = f"/{path}"
        self._placed.add(path)
        parent = posixpath.dirname(path)
        self.target.make_all(parent, self._made_by)
        self.target.clear(path)
        return path

    # The copy itself.

    def _copy(self, source: Source, found: Found, include: Matcher | None = None) -> None:
        self._links.clear()
        if not found.node.is_directory:
            self._node(source, found.node, self._file_place(found.name))
            return
        path = self._prepare()
        self.target.make_all(path, self._made_by)
        prefix = f"{path}/" if path else ""
        for relative, node in source.walk(found.node, include):
            inner = prefix + relative
            if node.is_directory:
                self._directory(source, node, inner)
            else:
                self.target.clear(inner)
                self._node(source, node, inner)
        if path and include is None:
            self.target.directory_time(self.target.ready(path), found.node.status.st_mtime_ns)

    def _directory(self, source: Source, node: Node, path: str) -> None:
        real, _ = self.target.directory(path)
        self.target.directory_attributes(
            real,
            self._mode(stat.S_IMODE(node.status.st_mode), directory=True),
            self._owner(source, node),
            node.status.st_mtime_ns,
            read_xattrs(node.places[0]),
        )

    def _node(self, source: Source, node: Node, path: str) -> None:
        """Anything but a directory, to where nothing is."""
        status = node.status
        owner, time = self._owner(source, node), status.st_mtime_ns
        if node.is_link:
            self.target.symlink(path, node.read_link(), owner, time)
        elif stat.S_ISFIFO(status.st_mode):
            mode = self._mode(stat.S_IMODE(status.st_mode), directory=False)
            self.target.fifo(path, mode, owner, time)
        elif node.is_file:
            self._file(source, node, path, owner)
        # Devices cannot be made without root, and a socket is nothing without its program.

    def _file(self, source: Source, node: Node, path: str, owner: Owner) -> None:
        status = node.status
        key = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and key in self._links:
            self.target.hard_link(self._links[key], path)
            return
        fd = source.view.open(node, _READ)
        try:
            mode = self._mode(stat.S_IMODE(status.st_mode), directory=False)
            real = self.target.file(path, fd, mode, owner, status.st_mtime_ns, read_xattrs(fd))
        finally:
            os.close(fd)
        if status.st_nlink > 1:
            self._links[key] = real

    def _owner(self, source: Source, node: Node) -> Owner:
        if self._chown is not None:
            return self._chown
        if source.keeps_owners:
            return owner_of(node.places[0], node.status)
        return 0, 0

    def _mode(self, mode: int, *, directory: bool) -> int:
        return mode if self._chmod is None else self._chmod(mode, directory)

    def _read_account_file(self, path: str) -> str | None:
        node, _ = self.target.view.resolve(path)
        if node is None or not node.is_file:
            return None
        with open(node.places[0], encoding="utf-8", errors="surrogateescape") as file:
            return file.read(4 << 20)
