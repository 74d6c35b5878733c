"""Sockets of a container's network namespace, in a process outside of it.  Warm.

A socket belongs to the network namespace of the process that makes it, wherever it is used later:
a forked child joins the container, makes sockets, and hands them over (unix(7), SCM_RIGHTS).
"""

import _socket
import os

from rootless.errors import NetworkError
from rootless.linux import channel as channels
from rootless.linux import syscalls

BATCH_MAX = 8


def sockets(pidfd: int, family: int, kind: int, count: int) -> "list[_socket.socket]":
    """`count` (at most BATCH_MAX) new sockets in the namespaces of the process behind `pidfd`.

    The caller has one thread.  Raises NetworkError when the container is gone.
    """
    ours, theirs = channels.pair()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            # The user namespace first: it gives the right to enter the other one.
            syscalls.setns(pidfd, syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET)
            made = [_socket.socket(family, kind) for _ in range(count)]
            theirs.send("sockets", fds=[one.fileno() for one in made])
            status = 0
        finally:
            os._exit(status)
    theirs.close()
    _, _, fds = ours.receive()
    ours.close()
    os.waitpid(child, 0)
    if len(fds) != count:
        for fd in fds:
            os.close(fd)
        raise NetworkError("cannot make sockets in the container: it has ended")
    return [_socket.socket(family, kind, 0, fd) for fd in fds]
