"""Published ports that not everybody of the host can reach: UNIX sockets, and TCP for one UID."""

import _socket
import errno
import os
import stat
import struct

from rootless.errors import KernelError, NetworkError
from rootless.linux.netlink import NETLINK_SOCK_DIAG, Netlink
from rootless.network.stack.addresses import packed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.network.ports import Port

_SOCK_DIAG_BY_FAMILY = 20
_ANY_STATE = 0xFFFFFFFF
_NO_COOKIE = b"\xff" * 8
_UID_OFFSET = 64  # in struct inet_diag_msg


def check(port: "Port") -> None:
    """Refuse what bind() would.  Raises NetworkError RL-PORT-PATH, RL-PORT-TAKEN."""
    directory = os.path.dirname(port.path)
    if not os.access(directory, os.W_OK | os.X_OK):
        missing = not os.path.isdir(directory)
        raise _refused(port, errno.ENOENT if missing else errno.EACCES)
    _group(port)
    try:
        mode = os.lstat(port.path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise _refused(port, errno.EEXIST)
    if not _is_left_behind(port.path):
        raise _refused(port, errno.EADDRINUSE)


def bind(port: "Port") -> "_socket.socket":
    """The listening UNIX socket of `port`, with its mode and group.  Raises as check()."""
    check(port)
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    former = os.umask(0o177)
    try:
        try:
            os.unlink(port.path)  # left behind: check()
        except FileNotFoundError:
            pass
        sock.bind(port.path)
        group = _group(port)
        if group >= 0:
            os.chown(port.path, -1, group)
        mode = port.guard.get("mode", 0o600)
        assert isinstance(mode, int)
        os.chmod(port.path, mode)
        sock.listen(1)
    except OSError as e:
        sock.close()
        raise _refused(port, e.errno or 0) from e
    finally:
        os.umask(former)
    return sock


def _is_left_behind(path: str) -> bool:
    """Whether nobody listens on it any more."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        sock.connect(path)
    except OSError as e:
        return e.errno == errno.ECONNREFUSED
    finally:
        sock.close()
    return False


def _group(port: "Port") -> int:
    name = str(port.guard.get("group", ""))
    if not name:
        return -1
    if name.isdecimal():
        return int(name)
    import grp

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as e:
        raise NetworkError(
            f"cannot publish {port.host_text()}: this host has no group {name}",
            remedy="`id` lists yours",
            code="RL-PORT-PATH",
        ) from e


def _refused(port: "Port", error: int) -> NetworkError:
    text = f"cannot publish {port.host_text()}"
    if error == errno.EADDRINUSE:
        return NetworkError(
            f"{text}: somebody listens on it",
            remedy="choose another path, or end who does; `ss -lxp` shows who",
            code="RL-PORT-TAKEN",
        )
    remedies = {
        errno.EEXIST: "it is no socket, and stays as it is: choose another path",
        errno.EPERM: "a file can be given to groups that you are in; `id` lists them",
    }
    return NetworkError(
        f"{text}: {os.strerror(error)}",
        remedy=remedies.get(error, "choose a path in a directory of yours"),
        code="RL-PORT-PATH",
    )


def check_private(port: "Port") -> None:
    """Whether this kernel tells whose a connection is.  Raises NetworkError."""
    try:
        Owner().close()
    except OSError as e:
        raise NetworkError(
            f"cannot publish {port.host_text()} privately: this kernel does not tell whose a "
            f"connection is (sock_diag: {e.strerror})",
            remedy="publish a UNIX socket instead: -p unix:PATH:PORT",
            code="RL-PORT",
        ) from e


class Owner:
    """Tells whose the other end of a TCP connection of this host is: sock_diag(7)."""

    def __init__(self) -> None:
        self._netlink = Netlink(NETLINK_SOCK_DIAG)

    def is_ours(self, sock: "_socket.socket") -> bool:
        """Whether the peer of `sock` is a socket of our own UID."""
        try:
            here, there = sock.getsockname()[:2], sock.getpeername()[:2]
            return self._uid(sock.family, there, here) == os.getuid()
        except (OSError, KernelError):
            return False

    def _uid(self, family: int, own: "tuple[str, int]", other: "tuple[str, int]") -> int:
        body = struct.pack("=BBBBI", family, _socket.IPPROTO_TCP, 0, 0, _ANY_STATE)
        body += struct.pack("!HH", own[1], other[1])
        body += packed(own[0]).ljust(16, b"\0") + packed(other[0]).ljust(16, b"\0")
        answer = self._netlink.ask(_SOCK_DIAG_BY_FAMILY, body + bytes(4) + _NO_COOKIE, "socket")
        uid: int = struct.unpack_from("=I", answer, _UID_OFFSET)[0]
        return uid

    def close(self) -> None:
        self._netlink.close()
