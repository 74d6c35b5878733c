"""Copies of an image's layers, where they cannot be used as they are.

With --userns=keep-id the owners must be others: a copy of each layer, made once and kept beside
it.  With the storage driver "copy" each container has the whole image: reflinks, where the file
system has them, else bytes; never without saying so.
"""

import os

from rootless.linux import copytree
from rootless.store import atomic, mapping, shared, shared_mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.context import Context


def flatten(ctx: "Context", layers: "list[str]", target: str) -> int:
    """Put `layers` (directories, the bottom first) onto each other in the directory `target`.

    Returns how many bytes had to be copied; those that are shared by reflink don't count.
    Raises KernelError.
    """

    def work() -> int:
        copy = copytree.Copy(overlay="apply")
        target_fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        for layer in layers:
            source_fd = os.open(layer, os.O_RDONLY | os.O_DIRECTORY)
            copy.directory(source_fd, target_fd)
            os.close(source_fd)
        os.close(target_fd)
        return copy.copied

    done = shared_mounts.run_in_worker(ctx, layers, work)
    assert isinstance(done, int)
    return done


def keep_id_directory(uid: int, gid: int) -> str:
    """The name, in a layer's directory, of its copy for the caller being `uid`:`gid`."""
    return f"keep-id-{uid}-{gid}"


def kept_owner(directory: str) -> "Callable[[int, int], tuple[int, int]] | None":
    """Whose the files of a container are, by their owners in the default mapping; None where they
    are the same.  `directory` is the name of its layers' directories."""
    if not directory.startswith("keep-id-"):
        return None
    uid, gid = (int(number) for number in directory.split("-")[2:])
    return lambda u, g: (original_id(u, uid), original_id(g, gid))


def with_kept_id(
    ctx: "Context", diff_ids: "list[str]", uid: int, gid: int, notify: "Callable[[str], None]"
) -> str:
    """Make sure that each layer has its copy for keep-id; the name of their directories.

    A file of the container's root is the caller's on disk; with keep-id the caller is `uid`
    inside, so the copy gives root's files to the subordinate ID that is root there.  Everybody
    else moves up to make room for it.
    """
    name = keep_id_directory(uid, gid)
    missing = [one for one in diff_ids if not os.path.isdir(f"{ctx.paths.layer(one)}/{name}")]
    for diff_id in missing:
        if shared.is_shared(ctx.paths.layer_diff(diff_id)):
            # A squashfs file has the owners as the image says: it is mounted, nothing is copied.
            os.makedirs(f"{ctx.paths.layer(diff_id)}/{name}", exist_ok=True)
    missing = [one for one in missing if not shared.is_shared(ctx.paths.layer_diff(one))]
    if not missing or mapping.default_map(ctx).single:
        return name if not mapping.default_map(ctx).single else "diff"
    notify(f"copying {len(missing)} layer(s) of the image to other owners, for --userns, once")
    for diff_id in missing:
        with atomic.TemporaryDirectory(ctx.paths, ctx) as temporary:
            made = f"{temporary}/{name}"
            os.mkdir(made, 0o755)
            _shifted(ctx, ctx.paths.layer(diff_id), made, uid, gid)
    return name


def _shifted(ctx: "Context", layer: str, made: str, uid: int, gid: int) -> None:
    """Copy a layer to the directory `made`, and move that beside its original."""
    place = f"{layer}/{os.path.basename(made)}"

    def work() -> None:
        copy = copytree.Copy(
            overlay="keep", owner=lambda u, g: (shifted_id(u, uid), shifted_id(g, gid))
        )
        source_fd = os.open(f"{layer}/diff", os.O_RDONLY | os.O_DIRECTORY)
        target_fd = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
        copy.directory(source_fd, target_fd)
        try:
            # Here, because it takes the right to write to the directory that moves.
            os.rename(made, place)
        except OSError:
            if not os.path.isdir(place):  # else another command was faster
                raise

    shared_mounts.run_in_worker(ctx, [f"{layer}/diff"], work)


def original_id(there: int, kept: int) -> int:
    """The other way round: whose a file is in the container that is `there`'s in the default
    mapping."""
    if there == 0:
        return kept
    return there - 1 if there <= kept else there


def shifted_id(inside: int, kept: int) -> int:
    """Where the owner `inside` of an image's file is found in the default mapping of a container
    whose keep-id mapping has the caller at `kept`.

    Default: 0 is the caller, i is the i-th subordinate ID.  keep-id: `kept` is the caller, and
    those below it are one subordinate ID further on: idmap.keep_id_map.
    """
    if inside == kept:
        return 0
    return inside + 1 if inside < kept else inside
