"""Named messages with descriptors between parent and stage, over a socketpair.

SOCK_SEQPACKET keeps the bounds of messages; `_socket` is socket's C module, which costs a
millisecond less than 5 to 14 to import.
"""

import _socket
import os

from rootless import fastjson
from rootless.errors import KernelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MESSAGE_MAX = 65536
FDS_MAX = 253  # SCM_MAX_FD, unix(7)
_SOCK_CLOEXEC = 0o2000000


class Channel:
    """One end.  A peer that has gone is the message name "" on receive()."""

    __slots__ = ("_socket",)

    def __init__(self, sock: "_socket.socket") -> None:
        self._socket = sock

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, name: str, body: object = None, fds: "Sequence[int]" = ()) -> None:
        """Send `name` with a JSON-able `body`.  A peer that has gone is not an error here: the
        next receive() tells."""
        data = f"{name}\0{fastjson.dumps(body)}".encode()
        ancillary = []
        if fds:
            packed = b"".join(fd.to_bytes(4, "little") for fd in fds)
            ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)]
        try:
            self._socket.sendmsg([data], ancillary, _socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def receive(self) -> tuple[str, object, list[int]]:
        """The next message: its name, body and descriptors.  ("", None, []) at the end."""
        try:
            data, ancillary, _, _ = self._socket.recvmsg(
                MESSAGE_MAX, _socket.CMSG_SPACE(4 * FDS_MAX), _socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionResetError:
            return "", None, []
        except OSError as e:
            raise KernelError("recvmsg", e.errno or 0) from e
        if not data:
            return "", None, []
        fds = []
        for level, kind, packed in ancillary:
            if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
                for place in range(0, len(packed) - 3, 4):
                    fds.append(int.from_bytes(packed[place : place + 4], "little"))
        name, _, body = data.decode().partition("\0")
        return name, fastjson.loads(body), fds

    def close(self) -> None:
        self._socket.close()


def pair() -> tuple[Channel, Channel]:
    """Two connected ends, both close-on-exec."""
    kind = _socket.SOCK_SEQPACKET | _SOCK_CLOEXEC
    left, right = _socket.socketpair(_socket.AF_UNIX, kind, 0)
    return Channel(left), Channel(right)


def from_fd(fd: int) -> Channel:
    """The channel whose end is the inherited descriptor `fd`; closed on the next exec."""
    os.set_inheritable(fd, False)
    return Channel(_socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, fd))
