"""Copy a directory with everything that a container can see of it: owners, modes, links, xattrs,
times.  By descriptors, and symbolic links are never followed."""

import os
import stat


def copy_directory(source_fd: int, target_fd: int) -> None:
    """Copy the content and the attributes of one directory onto another, which is empty.

    Raises OSError.  Hard links inside the tree stay hard links.
    """
    _copy_content(source_fd, target_fd, {}, target_fd)
    _copy_attributes(source_fd, target_fd)


def _copy_content(
    source_fd: int,
    target_fd: int,
    links: "dict[tuple[int, int], str]",
    top_fd: int,
    prefix: str = "",
) -> None:
    for name in os.listdir(source_fd):
        status = os.stat(name, dir_fd=source_fd, follow_symlinks=False)
        path = f"{prefix}{name}"
        key = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode) and key in links:
            os.link(
                links[key], name, src_dir_fd=top_fd, dst_dir_fd=target_fd, follow_symlinks=False
            )
            continue
        links[key] = path
        if stat.S_ISDIR(status.st_mode):
            os.mkdir(name, 0o700, dir_fd=target_fd)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            inner_source = os.open(name, flags, dir_fd=source_fd)
            inner_target = os.open(name, flags, dir_fd=target_fd)
            try:
                _copy_content(inner_source, inner_target, links, top_fd, f"{path}/")
                _copy_attributes(inner_source, inner_target)
            finally:
                os.close(inner_source)
                os.close(inner_target)
        elif stat.S_ISREG(status.st_mode):
            _copy_file(source_fd, target_fd, name)
        elif stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=source_fd), name, dir_fd=target_fd)
            os.chown(name, status.st_uid, status.st_gid, dir_fd=target_fd, follow_symlinks=False)
        elif stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode):
            os.mknod(name, status.st_mode, dir_fd=target_fd)
            os.chown(name, status.st_uid, status.st_gid, dir_fd=target_fd)
        # Device nodes can't be made without root, and an image has none that work.


def _copy_file(source_dir: int, target_dir: int, name: str) -> None:
    read = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    write = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    source_fd = os.open(name, read, dir_fd=source_dir)
    try:
        target_fd = os.open(name, write, 0o600, dir_fd=target_dir)
        try:
            clone_or_copy(source_fd, target_fd)
            _copy_attributes(source_fd, target_fd)
        finally:
            os.close(target_fd)
    finally:
        os.close(source_fd)


def clone_or_copy(source_fd: int, target_fd: int) -> bool:
    """Copy a file's bytes: shared blocks where the file system can (FICLONE), True then."""
    import fcntl

    ficlone = 0x40049409
    try:
        fcntl.ioctl(target_fd, ficlone, source_fd)
        return True
    except OSError:
        pass
    while os.sendfile(target_fd, source_fd, None, 1 << 30):
        pass
    return False


def _copy_attributes(source_fd: int, target_fd: int) -> None:
    status = os.fstat(source_fd)
    os.fchown(target_fd, status.st_uid, status.st_gid)
    for name in os.listxattr(source_fd):
        if name.startswith(("user.overlay.", "trusted.")):
            continue
        try:
            os.setxattr(target_fd, name, os.getxattr(source_fd, name))
        except OSError:
            pass  # the volume's file system may have no such attributes
    # After the change of owner, which takes the set-user-ID bit away.
    os.fchmod(target_fd, stat.S_IMODE(status.st_mode))
    os.utime(target_fd, ns=(status.st_atime_ns, status.st_mtime_ns))
