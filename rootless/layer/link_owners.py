"""Owners of what takes no extended attributes (symbolic links, pipes), where one ID is mapped.

The recorder (runtime/owners.py) cannot write them down beside the file, nor by its name: dpkg
gives a link its owner first and its name after.  So it lists inodes of the upper directory in a
file, one line "INODE:UID:GID" for each change, the last one counts; and settle() gives each
directory the owners by name (whiteout.LINK_OWNERS_XATTR) when somebody is about to read them.
"""

import os
import stat

from rootless import fastjson
from rootless.layer import whiteout

Owners = dict[int, list[int]]


def add(list_fd: int, inode: int, uid: int, gid: int) -> None:
    """Note an owner in the list, which is open for appending: one write, whole or not at all."""
    os.write(list_fd, b"%d:%d:%d\n" % (inode, uid, gid))


def read(list_fd: int) -> Owners:
    """inode -> [UID, GID] of a list."""
    found: Owners = {}
    data = os.pread(list_fd, os.fstat(list_fd).st_size, 0)
    for line in data.splitlines():
        fields = line.split(b":")
        if len(fields) == 3 and all(field.isdigit() for field in fields):
            found[int(fields[0])] = [int(fields[1]), int(fields[2])]
    return found


def settle(root_fd: int, path: str) -> None:
    """Give each directory below `root_fd` the owners of the symbolic links and pipes in it that
    the list `path` knows, where they are not root's."""
    try:
        list_fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    owners = read(list_fd)
    os.close(list_fd)
    if not owners:
        return
    for _, directories, files, fd in os.fwalk(".", dir_fd=root_fd):
        try:  # copied up with the directory: it speaks of links further below, too
            before = fastjson.loads(os.getxattr(fd, whiteout.LINK_OWNERS_XATTR))
        except (OSError, ValueError):
            before = {}
        now = {name: owner for name, owner in before.items() if name not in directories}
        for name in files:
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            noted = now.pop(name, None)
            owner = owners.get(status.st_ino) or noted
            if stat.S_ISLNK(status.st_mode) or stat.S_ISFIFO(status.st_mode):
                now |= {name: owner} if owner and owner != [0, 0] else {}
        if now != before:
            _put(fd, now)


def _put(fd: int, owners: "dict[str, list[int]]") -> None:
    try:
        if owners:
            os.setxattr(fd, whiteout.LINK_OWNERS_XATTR, fastjson.dumps(owners).encode())
        else:
            os.removexattr(fd, whiteout.LINK_OWNERS_XATTR)
    except OSError:
        pass  # more than the file system takes: they stay root's
