"""RUN --mount=type=ssh: a socket in the container, behind which the user's SSH agent answers.

An agent talks to its own user (and root) alone, and IDs of the container are others: so a process
of the user's takes the connections and passes the bytes on.  Keys never enter the container.
"""

import os
import select
import socket

from rootless.linux import syscalls

_CHUNK = 65536


def start(agent: str, path: str) -> int:
    """Listen on the new socket `path` for the agent behind the socket `agent`; the child's PID."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.getcwd()
    os.chdir(os.path.dirname(path))  # an address has 108 bytes, and a store may be deep
    listener.bind(os.path.basename(path))
    os.chdir(before)
    listener.listen(16)
    pid = os.fork()
    if pid:
        listener.close()
        return pid
    try:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
        _serve(listener, agent)
    finally:
        os._exit(0)


def _serve(listener: socket.socket, agent: str) -> None:
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    sockets: dict[int, socket.socket] = {listener.fileno(): listener}
    peers: dict[int, socket.socket] = {}
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                try:
                    server.connect(agent)
                except OSError:
                    client.close()
                    continue
                for one, other in ((client, server), (server, client)):
                    sockets[one.fileno()], peers[one.fileno()] = one, other
                    poll.register(one, select.POLLIN)
            elif fd in peers:
                _pass_on(fd, sockets, peers, poll)


def _pass_on(
    fd: int,
    sockets: dict[int, socket.socket],
    peers: dict[int, socket.socket],
    poll: select.poll,
) -> None:
    """Bytes of one side to the other.  Each says by itself that it has no more."""
    other = peers[fd]
    try:
        data = sockets[fd].recv(_CHUNK)
        if data:
            other.sendall(data)
            return
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    poll.unregister(fd)
    del peers[fd]
    if other.fileno() not in peers:
        sockets.pop(fd).close()
        sockets.pop(other.fileno()).close()
