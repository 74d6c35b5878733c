"""Removal of trees whose files may belong to subordinate IDs.  Warm: os alone.

Walks by directory descriptors and never follows a symlink: the tree may come from an image.
"""

import os

_DEPTH_MAX = 100  # directories open at once; a tree may be deeper than a process may open files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context


def remove_tree(path: str) -> bool:
    """Remove `path` and all below it; True when nothing is left.

    False when something could not be removed with the caller's own IDs: see
    remove_mapped_tree().  A path that does not exist is removed already.
    """
    try:
        os.unlink(path)
        return True
    except FileNotFoundError:
        return True
    except (IsADirectoryError, PermissionError):
        pass  # unlink(2) of a directory: EISDIR on Linux, EPERM by POSIX
    try:
        parent_fd = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        return _remove_directory(parent_fd, os.path.basename(path))
    finally:
        os.close(parent_fd)


def _remove_directory(parent_fd: int, name: str) -> bool:
    """Remove the directory `name`, iteratively: an image may nest deeper than Python recurses."""
    # Each level: (descriptor, names of directories still to go into, its own name).
    opened = _open_directory(parent_fd, name)
    if opened is None:
        return _gone(parent_fd, name)
    stack = [(opened, _empty(opened), name)]
    clean = True
    try:
        while stack:
            directory_fd, directories, own_name = stack[-1]
            if directories:
                child = directories.pop()
                if len(stack) > _DEPTH_MAX and _raise(directory_fd, child, stack[0]):
                    continue
                child_fd = _open_directory(directory_fd, child)
                if child_fd is None:
                    clean = _gone(directory_fd, child) and clean
                else:
                    stack.append((child_fd, _empty(child_fd), child))
                continue
            stack.pop()
            os.close(directory_fd)
            above_fd = stack[-1][0] if stack else parent_fd
            clean = _gone(above_fd, own_name) and clean
    finally:
        for directory_fd, _, _ in stack:
            os.close(directory_fd)
    return clean


def _raise(directory_fd: int, name: str, top: "tuple[int, list[str], str]") -> bool:
    """Move a directory from far below up to the top, to be emptied there."""
    moved = f".deep-{os.urandom(8).hex()}"
    try:
        os.rename(name, moved, src_dir_fd=directory_fd, dst_dir_fd=top[0])
    except OSError:
        return False  # it is emptied where it is, as long as there are descriptors
    top[1].append(moved)
    return True


def _open_directory(parent_fd: int, name: str) -> "int | None":
    """A descriptor of a directory that we may empty; None when there is no way in."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        try:
            directory_fd = os.open(name, flags, dir_fd=parent_fd)
        except PermissionError:
            # Mode 0000.  EACCES and not ENOTDIR or ELOOP: it is a directory, and no symlink.
            os.chmod(name, 0o700, dir_fd=parent_fd)
            directory_fd = os.open(name, flags, dir_fd=parent_fd)
    except OSError:
        return None
    try:
        if os.fstat(directory_fd).st_mode & 0o300 != 0o300:
            os.fchmod(directory_fd, 0o700)
    except OSError:
        pass  # somebody else's: what is in it stays, and the rmdir will say so
    return directory_fd


def _empty(directory_fd: int) -> "list[str]":
    """Unlink all that is no directory; return the names of the directories."""
    directories = []
    try:
        names = os.listdir(directory_fd)
    except OSError:
        return []
    for name in names:
        try:
            os.unlink(name, dir_fd=directory_fd)
        except (IsADirectoryError, PermissionError):
            directories.append(name)
        except OSError:
            pass  # the rmdir of this directory will fail, and that is the answer
    return directories


def _gone(parent_fd: int, name: str) -> bool:
    try:
        os.rmdir(name, dir_fd=parent_fd)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def remove_mapped_tree(ctx: "Context", path: str) -> bool:
    """remove_tree(), and again as root of the user namespace for files of subordinate IDs.

    Raises HostError when that user namespace cannot be made.
    """
    if remove_tree(path):
        return True
    from rootless.linux import namespaces
    from rootless.store import mapping

    idmap = mapping.default_map(ctx)
    return bool(namespaces.run_in_user_namespace(idmap, ctx.environ, lambda: remove_tree(path)))
