"""What stands between rl's Python and a container's program where that Python is the user's file.

The container's root is the user outside.  While execve(2) replaces rl, /proc/self/exe of the
process is the Python that runs rl, and an image that makes it its interpreter keeps hold of it:
its root could then change the mode of a Python in the user's home directory (conda, pyenv, uv), or
write to it when nobody runs it.  helpers/launcher/launch.c says how this is kept from it.  That
costs 0.2 ms; a Python of the host's root needs it not.
"""

import fcntl
import os

CHANNEL_FD = 3  # where the launcher looks for it
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def program(path: str) -> bytes:
    """The launcher for this machine, helpers/launcher/ARCHITECTURE; b"" where there is none."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def sealed(program: bytes) -> int:
    """A descriptor of the launcher that nobody can write to: memfd_create(2)."""
    fd = os.memfd_create("rl", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, program)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    return fd
