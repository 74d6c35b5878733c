"""FUSE file systems mounted by hand: the mount here, its server a process that may be elsewhere.

Whoever mounts opens /dev/fuse itself; the kernel reads owners as IDs of that process's user
namespace (Documentation/filesystems/fuse.rst).  libfuse takes "/dev/fd/N" for a mount that has
been made already: fuse_session_mount(3).
"""

import os

from rootless.linux import process, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def overlayfs_program(environ: "Mapping[str, str]") -> str:
    """The path of fuse-overlayfs.  Raises HostError RL-HOST-FUSE-OVERLAYFS."""
    return process.need_program(
        "fuse-overlayfs", environ,
        "fetch it with rl setup fuse-overlayfs, or ask the admin for: apt-get install "
        "fuse-overlayfs", "RL-HOST-FUSE-OVERLAYFS",
    )  # fmt: skip


def mount(source: str, target: str, flags: int = 0) -> int:
    """Mount on the directory `target`; the connection that its server is to answer on.

    In a user namespace of its own that the caller is root of.  Raises KernelError, OSError.
    """
    fuse_fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={fuse_fd},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other"
    try:
        syscalls.mount(source, target, "fuse", syscalls.MS_NODEV | flags, options)
    except BaseException:
        os.close(fuse_fd)
        raise
    return fuse_fd


def serve(argv: "Sequence[str]", fuse_fd: int, environ: "Mapping[str, str]") -> int:
    """Start the server `argv` on a connection, which is closed here; its PID.

    It ends when its file system is unmounted, or with us.  The caller has one thread.
    """
    pid = os.fork()
    if pid == 0:
        try:
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
            os.setsid()  # a Ctrl-C is the container's, not its file system's
            os.set_inheritable(fuse_fd, True)
            null = os.open("/dev/null", os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(null, number)
            os.execve(argv[0], [*argv, f"/dev/fd/{fuse_fd}"], dict(environ))
        finally:
            os._exit(127)
    os.close(fuse_fd)
    return pid
