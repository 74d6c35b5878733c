"""Owners, extended attributes and times of what a layer brings, as far as the host allows them.

Runs in the worker.
"""

import errno
import os
from functools import lru_cache

from rootless.errors import ImageError
from rootless.layer import whiteout
from rootless.layer.tarstream import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.layer.tarstream import Member

_TIME_MAX_NS = (1 << 34) * 1_000_000_000  # the year 2514, the end of an ext4 inode's range
# Labels (security.selinux) and trusted.* are the host's, not an image's.
_XATTRS = (b"user.", b"security.capability", b"system.posix_acl_")
_NO_XATTR = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EINVAL, errno.ERANGE, errno.E2BIG)
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Attributes:
    """Sets them, and counts what could not be had: `skipped_xattrs`, `lost_owners`.

    An owner that is not mapped is an ImageError RL-IMAGE-IDS.  With `squash` the file becomes
    root's, and its owner is noted in OWNER_XATTR, from which an archive of the layer has it again.
    """

    def __init__(self, *, squash: bool) -> None:
        self.skipped_xattrs = 0
        self.lost_owners = 0
        self._squash = squash
        self._unmapped: set[tuple[int, int]] = set()

    def own(self, fd: int, member: "Member") -> None:
        """The owner of an open file or directory."""
        owner = (member.uid, member.gid)
        if owner not in self._unmapped:
            try:
                os.fchown(fd, *owner)
                return
            except OSError as e:
                self._note_unmapped(e, member)
        self.lost_owners += 1
        os.fchown(fd, 0, 0)
        try:
            os.setxattr(fd, whiteout.OWNER_XATTR, b"%d:%d" % owner)
        except OSError:
            pass  # it would be root's in an archive too

    def own_node(self, at: int, name: bytes, member: "Member") -> None:
        """The owner of what isn't opened, a symlink or a FIFO made just now."""
        owner = (member.uid, member.gid)
        if owner not in self._unmapped:
            try:
                os.chown(name, *owner, dir_fd=at, follow_symlinks=False)
                return
            except OSError as e:
                self._note_unmapped(e, member)
        self.lost_owners += 1

    def _note_unmapped(self, e: OSError, member: "Member") -> None:
        """EINVAL: the namespace maps no such ID; EPERM: none but ours."""
        if e.errno not in (errno.EINVAL, errno.EPERM):
            raise e
        if not self._squash:
            raise _unmapped_error(member)
        self._unmapped.add((member.uid, member.gid))

    def set_xattrs(self, fd: int, xattrs: dict[bytes, bytes]) -> None:
        """Those that an image may bring; the file has its owner, whose change drops some."""
        for name, value in xattrs.items():
            if whiteout.is_reserved_xattr(name) or not name.startswith(_XATTRS):
                self.skipped_xattrs += 1
                continue
            try:
                os.setxattr(fd, name, value)
            except OSError as e:
                # ext4 says "no space" of a value that is too long for it.
                if e.errno not in _NO_XATTR and (e.errno not in _FULL or not _has_space(fd)):
                    raise
                self.skipped_xattrs += 1


@lru_cache(1024)
def times_ns(ns: int) -> tuple[int, int]:
    """`ns` within what file systems and utimensat(2) take, for both times of a file."""
    ns = max(-_TIME_MAX_NS, min(_TIME_MAX_NS, ns))
    return ns, ns


def _has_space(fd: int) -> bool:
    there = os.fstatvfs(fd)
    return there.f_bavail > 0 and (there.f_favail > 0 or not there.f_files)


def _unmapped_error(member: "Member") -> ImageError:
    wanted = (("user", member.uid, "uid_map"), ("group", member.gid, "gid_map"))
    whose, ranges = [], ""
    for kind, number, path in wanted:
        extents = _mapped(f"/proc/self/{path}")
        if not any(first <= number <= last for first, last in extents):
            whose.append(f"{kind} {number}")
            ranges = ", ".join(f"{first} to {last}" for first, last in extents)
    return ImageError(
        f"tar: {shown(member.name)} belongs to {' and '.join(whose) or 'another ID'}, "
        f"and the IDs that you have here are {ranges or 'others'}",
        remedy="give --squash-ids to make such files root's, or have more subordinate IDs "
        "(see rl doctor)",
        code="RL-IMAGE-IDS",
    )


def _mapped(path: str) -> list[tuple[int, int]]:
    """First and last ID of each range that is mapped, ranges that touch joined."""
    with open(path) as file:
        rows = sorted((int(row.split()[0]), int(row.split()[2])) for row in file)
    joined: list[tuple[int, int]] = []
    for first, count in rows:
        if joined and joined[-1][1] + 1 == first:
            joined[-1] = (joined[-1][0], first + count - 1)
        else:
            joined.append((first, first + count - 1))
    return joined
