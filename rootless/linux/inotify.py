"""inotify(7): a descriptor that is readable when files of a directory change."""

import os

from rootless.linux import clib

_IN_MODIFY, _IN_CREATE, _IN_MOVED_TO = 0x2, 0x100, 0x80
_IN_NONBLOCK, _IN_CLOEXEC = 0o4000, 0o2000000

_libc = clib.CDLL(None, use_errno=True)
_libc.inotify_init1.argtypes = (clib.c_int,)
_libc.inotify_add_watch.argtypes = (clib.c_int, clib.c_char_p, clib.c_uint32)


def watch_changes(directory: str) -> int:
    """A non-blocking descriptor for changes in `directory`; -1 where no watch is to be had."""
    fd: int = _libc.inotify_init1(_IN_NONBLOCK | _IN_CLOEXEC)
    if fd < 0:
        return -1
    events = _IN_MODIFY | _IN_CREATE | _IN_MOVED_TO
    if _libc.inotify_add_watch(fd, os.fsencode(directory), events) < 0:
        os.close(fd)
        return -1
    return fd
