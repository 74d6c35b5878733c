"""-L: what is accepted on the host is connected in the guest; what both protocols share."""

import _socket
import os

from rootless.errors import NetworkError
from rootless.network.stack.addresses import packed
from rootless.network.stack.inflow import unmapped
from rootless.network.standalone.journal import end_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.network.standalone.forwards import Address, Forward

_BACKLOG = 4096
_WILDCARDS = ("0.0.0.0", "::")


def bind(forward: "Forward", ip: str) -> "_socket.socket":
    """The bound socket of a -L; a wildcard address takes both families.  Raises OSError."""
    kind = _socket.SOCK_STREAM if forward.network == "tcp" else _socket.SOCK_DGRAM
    sock = _bound(kind, ip, forward.bind.port)
    if kind == _socket.SOCK_STREAM:
        try:
            sock.listen(_BACKLOG)
        except OSError:
            sock.close()
            raise
    return sock


def _bound(kind: int, ip: str, port: int) -> "_socket.socket":
    both = ip in _WILDCARDS and os.path.exists("/proc/sys/net/ipv6")
    family = _socket.AF_INET6 if both or ":" in ip else _socket.AF_INET
    sock = _socket.socket(family, kind)
    try:
        if kind == _socket.SOCK_STREAM:
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        if family == _socket.AF_INET6:
            sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 0 if both else 1)
        sock.bind(("::" if both else ip, port))
    except OSError:
        sock.close()
        raise
    return sock


def failure(forward: "Forward", error: OSError) -> str:
    """Why a -L can't listen, as Go would put it."""
    where = end_text(forward.bind.ip, forward.bind.port)
    why = (error.strerror or str(error)).lower()
    return f"listen {forward.network} {where}: bind: {why}"


def address_of(address: "Address") -> str:
    """The IP address to bind to; a name's is looked up, once.  Raises NetworkError."""
    if address.label:
        from rootless.network.standalone.names import resolve

        address.ip, port = resolve(address.label)
        address.port = port or address.port
    if not address.ip:
        raise NetworkError("no address")
    return address.ip


def plain(peer: "tuple[str, int]") -> "tuple[str, int]":
    """A peer as accept() and recvfrom() tell it, without scope, IPv4 as IPv4."""
    return unmapped(peer[0]), peer[1]


def family_of(ip: str) -> int:
    return _socket.AF_INET if len(packed(ip)) == 4 else _socket.AF_INET6


class Ways:
    """The text of one connection in the lines about it."""

    def __init__(self, forward: "Forward", client: "tuple[str, int]", here: "tuple[str, int]"):
        self.network = forward.network
        self.word = "PP " if forward.proxied else ""
        self.begin = f"{forward.network}://{end_text(*client)}-{end_text(*here)}"

    def line(self, guest: "tuple[str, int]", target: "tuple[str, int]", what: str) -> str:
        return f"{self.begin}/{end_text(*guest)}-{end_text(*target)} local-fwd {self.word}{what}"

    def error(self, target: str, why: str) -> str:
        return f"[!] {self.begin}/{target} local-fwd {self.word}error: {why}"
