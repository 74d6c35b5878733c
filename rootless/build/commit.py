"""A step's upper directory becomes a layer: moved into place, never copied.

The work is root's of the user namespace, in a child: the files may belong to any of its IDs.
"""

import hashlib
import os
import stat
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from rootless.build.cache import Entry, timestamp
from rootless.layer import link_owners, whiteout
from rootless.store import layers, mapping, shared_mounts

if TYPE_CHECKING:
    from rootless.context import Context

LINKS = "link-owners"  # a list of layer/link_owners.py
_OWNER = "owner"  # "UID:GID" of the step's user, where one ID is mapped and it is not root
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def commit(
    ctx: "Context",
    directory: str,
    *,
    name: str,
    epoch: int | None = None,
    stubs: Sequence[str] = (),
    lower: Sequence[str] = (),
    keep_empty: bool = True,
) -> Entry:
    """Put `directory`/upper into the store as a layer; an empty one without `keep_empty` is none.

    `directory` is a temporary one of the store.  Times after `epoch` are set to it.  `stubs` are
    mount points; those that `lower` (topmost first) does not have, are removed.  The caller has
    one thread.
    """
    staged = f"{directory}/layer"

    def work() -> object:
        root_fd = os.open(f"{directory}/upper", _DIRECTORY)
        _remove_stubs(root_fd, stubs, lower)
        empty = not os.listdir(root_fd)
        if empty and not keep_empty:
            return {"diff_id": "", "size": 0, "tar_size": 0}
        _own_new(root_fd, lower, directory)
        link_owners.settle(root_fd, f"{directory}/{LINKS}")
        # All empty layers are the same one.
        size = _settle(root_fd, 0 if empty else epoch)
        found = _hash(root_fd)
        os.mkdir(staged, 0o700)
        os.rename(f"{directory}/upper", f"{staged}/diff")
        return {**found, "size": size}

    found = cast(
        "dict[str, Any]",
        shared_mounts.run_in_worker(ctx, lower if stubs else (), work),
    )
    created = timestamp(time.time_ns() if epoch is None else epoch * 10**9)
    entry = Entry(found["diff_id"], found["size"], found["tar_size"], created, name)
    if entry.diff_id:
        meta = {
            "diff_id": entry.diff_id,
            "size": entry.size,
            "created": created,
            "tar_size": entry.tar_size,
        }
        layers.commit(ctx.paths, staged, meta)
    return entry


def make_directory(
    ctx: "Context",
    lower: Sequence[str],
    directory: str,
    path: str,
    user: str,
    epoch: int | None,
) -> None:
    """WORKDIR: make `path`, with what is missing above it, in `directory`/upper.

    `lower` are layers' directories, topmost first; `directory` a temporary one.  Raises
    BuildError for a file in its way, and for a user that is not known.
    """
    from rootless.build.copying import in_worker
    from rootless.build.copying_modes import parse_chown
    from rootless.build.copying_target import Target, storage_failure

    single = mapping.default_map(ctx).single

    def work() -> object:
        os.umask(0)
        epoch_ns = None if epoch is None else epoch * 10**9
        target = Target(f"{directory}/upper", lower, record=single, epoch_ns=epoch_ns)

        def read(name: str) -> str | None:
            node, _ = target.view.resolve(name)
            if node is None or not node.is_file:
                return None
            with open(node.places[0], encoding="utf-8", errors="surrogateescape") as file:
                return file.read(4 << 20)

        try:
            target.make_all(target.view.resolve(path)[1], parse_chown(user, read) or (0, 0))
            target.finish()
        except OSError as e:
            raise storage_failure(e, "make a directory") from e
        return None

    in_worker(ctx, work, lower)


def prepare(directory: str, lower: Sequence[str]) -> None:
    """The directories of a RUN in the temporary `directory`; the root is as in `lower`."""
    for name in ("upper", "work", "rootfs", "links", "private"):
        os.mkdir(f"{directory}/{name}")
        os.chmod(f"{directory}/{name}", 0o755)  # whatever the caller's umask is
    if lower:
        os.chmod(f"{directory}/upper", stat.S_IMODE(os.stat(lower[0]).st_mode))


def layer_directories(ctx: "Context", diff_ids: Sequence[str]) -> list[str]:
    """The directories of a stack of layers, topmost first."""
    return [ctx.paths.layer_diff(diff_id) for diff_id in reversed(diff_ids)]


def put_owner(directory: str, owner: tuple[int, int]) -> None:
    """Have what commit() finds to be new in `directory`/upper belong to `owner`: where one ID is
    mapped, files do not tell who has made them."""
    with open(f"{directory}/{_OWNER}", "w") as file:
        file.write(f"{owner[0]}:{owner[1]}")


def _own_new(root_fd: int, lower: Sequence[str], directory: str) -> None:
    """Note put_owner()'s owner for what no layer below has."""
    try:
        with open(f"{directory}/{_OWNER}", "rb") as file:
            value = file.read()
    except FileNotFoundError:
        return
    uid, gid = (int(word) for word in value.split(b":"))
    list_fd = os.open(f"{directory}/{LINKS}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for top, directories, files, fd in os.fwalk(".", dir_fd=root_fd):
        above = [name for name in top.split("/") if name != "."]
        for name in (*directories, *files):
            if _find(lower, [*above, name]) is not None:
                continue
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode) or stat.S_ISFIFO(status.st_mode):
                link_owners.add(list_fd, status.st_ino, uid, gid)
            elif stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
                _note_owner(fd, name, value)
    os.close(list_fd)


def _note_owner(directory_fd: int, name: str, value: bytes) -> None:
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory_fd)
    try:
        os.setxattr(fd, whiteout.OWNER_XATTR, value, os.XATTR_CREATE)
    except OSError:
        pass  # it has one, or the file system takes none
    finally:
        os.close(fd)


def _remove_stubs(root_fd: int, stubs: Sequence[str], lower: Sequence[str]) -> None:
    """Remove the mount points that were made for the mounts of RUN, and are of no layer below.

    What held them alone goes too: a directory copied up for nothing but its new entry.
    """
    for path in sorted(stubs, key=lambda one: -one.count("/")):
        names = [name for name in path.split("/") if name]
        while names and _remove_stub(root_fd, names, lower):
            names.pop()


def _remove_stub(root_fd: int, names: Sequence[str], lower: Sequence[str]) -> bool:
    """Remove one entry if it says nothing; whether it was so."""
    *above, last = names
    fd = os.dup(root_fd)
    try:
        for name in above:
            inner = os.open(name, _DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = inner
        ours = os.stat(last, dir_fd=fd, follow_symlinks=False)
        theirs = _find(lower, names)
        if stat.S_ISDIR(ours.st_mode):
            if theirs is not None and not _same(ours, theirs):
                return False
            os.rmdir(last, dir_fd=fd)
        elif theirs is None and stat.S_ISREG(ours.st_mode) and ours.st_size == 0:
            os.unlink(last, dir_fd=fd)
        else:
            return False
        return True
    except OSError:
        return False  # it was not made, or there is something in it
    finally:
        os.close(fd)


def _find(lower: Sequence[str], names: Sequence[str]) -> os.stat_result | None:
    """The entry in the topmost layer that has it."""
    for layer in lower:
        try:
            return os.stat("/".join((layer, *names)), follow_symlinks=False)
        except OSError:
            continue
    return None


def _same(ours: os.stat_result, theirs: os.stat_result) -> bool:
    return (ours.st_mode, ours.st_uid, ours.st_gid) == (
        theirs.st_mode,
        theirs.st_uid,
        theirs.st_gid,
    )


def _settle(root_fd: int, epoch: int | None) -> int:
    """Set times after `epoch` to it; the size of all files."""
    size = 0
    limit = None if epoch is None else epoch * 10**9
    for _, directories, files, fd in os.fwalk(".", topdown=False, dir_fd=root_fd):
        for name in files:
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                size += status.st_size
        if limit is not None:
            _clamp(fd, [*files, *directories], limit)
    if limit is not None:
        os.utime(root_fd, ns=(limit, limit))
    return size


def _clamp(fd: int, names: Sequence[str], limit: int) -> None:
    for name in names:
        if os.stat(name, dir_fd=fd, follow_symlinks=False).st_mtime_ns > limit:
            os.utime(name, ns=(limit, limit), dir_fd=fd, follow_symlinks=False)


def _hash(root_fd: int) -> dict[str, Any]:
    from rootless.layer.archive import write_tree

    digest = hashlib.sha256()
    size = 0

    def write(data: bytes) -> None:
        nonlocal size
        digest.update(data)
        size += len(data)

    write_tree(root_fd, write)
    return {"diff_id": f"sha256:{digest.hexdigest()}", "tar_size": size}
