"""Where a container's connections may go, and where they go then.

Never: unspecified, loopback and reserved addresses, broadcast and multicast, IPv4 written as IPv6,
the container's own network.  On request: the host's loopback (through the gateway's address), the
networks that the host itself is on.  Always: the name server, for DNS.
"""

import _socket
import os
import time

from rootless.errors import KernelError
from rootless.network.stack import gateway
from rootless.network.stack.addresses import Prefix, packed, prefix, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    Target = tuple[str, int]
    End = tuple[bytes, int]

    class Rules(Protocol):
        """What the parts of a network ask of a policy."""

        def target(self, address: bytes, port: int, protocol: int) -> "Target | Later | None": ...

        def source(self, family: int) -> str: ...

        def is_name_server(self, address: bytes) -> bool: ...

        def is_here(self, address: bytes) -> bool: ...

        def server_is_silent(self, server: str) -> None: ...

    class Journal(Protocol):
        """Who is told of the connections and flows; ends are (packed address, port).

        The error 0 is a target that was not to be found.
        """

        def began(
            self, protocol: int, source: End, asked: End, outside: _socket.socket
        ) -> object: ...

        def failed(self, protocol: int, source: End, asked: End, error: int) -> None: ...

        def ended(self, token: object, first: int, error: int) -> None: ...


_CLOSED_MAX = 1024
_KNOWN_S = 10.0  # how long the host's addresses are taken for the same
_DNS_PORT = 53


NEVER = [
    prefix(one)
    for one in (
        "0.0.0.0/8", "127.0.0.0/8", "10.0.2.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "::/127", "::ffff:0:0/96", "64:ff9b::/96", "fd00::/64", "fe80::/10", "ff00::/8",
    )
]  # fmt: skip
_LINK_LOCAL4 = prefix("169.254.0.0/16")


class Later:
    """A target that is not known yet: a name that has to be looked up."""

    once = False  # a flow to it is over with the first answer

    def then(self, action: "Callable[[Target | None], None]") -> None:
        """Call `action` with the target, now or soon; None when there is none to be had."""
        raise NotImplementedError


class Policy:
    """`loopback`: the gateway's address is the host's loopback.  `local_networks`: those of the
    host's interfaces may be reached.  `host`: the gateway's address is this one of the host's
    (host.docker.internal), "" for none."""

    def __init__(
        self, *, loopback: bool = False, local_networks: bool = False, host: str = ""
    ) -> None:
        self._loopback = loopback
        self._local_networks = local_networks
        self._host = host
        self._resolvers = Resolvers()
        self._own: list[Prefix] = []
        self._own_until = 0.0
        self._closed: dict[bytes, bool] = {}  # addresses that may not be reached
        self._gateways = {packed(gateway.GATEWAY4): "127.0.0.1", packed(gateway.GATEWAY6): "::1"}
        self._name_servers = {packed(gateway.DNS4), packed(gateway.DNS6)}

    def target(self, address: bytes, port: int, protocol: int) -> "Target | Later | None":
        """Where a connection (packets.TCP), a datagram (UDP) or a ping (ICMP, port 0) to
        `address` goes; None where it may not."""
        if address in self._name_servers:
            server = self._resolvers.current()
            return (server, port) if port == _DNS_PORT and server else None
        if address in self._gateways:
            if self._loopback:
                return self._gateways[address], port
            return (self._host, port) if self._host else None
        return None if self._is_closed(address) else (shown(address), port)

    def _is_closed(self, address: bytes) -> bool:
        if time.monotonic() >= self._own_until or len(self._closed) >= _CLOSED_MAX:
            self._closed.clear()
        closed = self._closed.get(address)
        if closed is None:
            closed = any(one.has(address) for one in NEVER)
            if not closed and not self._local_networks:
                closed = self._is_local(address)
            self._closed[address] = closed
        return closed

    def source(self, family: int) -> str:
        """The host's address that connections leave from, "" for whichever it takes."""
        return ""

    def is_name_server(self, address: bytes) -> bool:
        return address in self._name_servers

    def is_here(self, address: bytes) -> bool:
        """Whether it is the gateway's own, which answers pings itself."""
        return address in self._gateways or address in self._name_servers

    def server_is_silent(self, server: str) -> None:
        """A question to this name server had no answer: ask another one next."""
        self._resolvers.give_up(server)

    def _is_local(self, address: bytes) -> bool:
        now = time.monotonic()
        if now >= self._own_until:
            try:
                self._own = _own_networks()
                self._own_until = now + _KNOWN_S
            except (OSError, KernelError):
                # No descriptor left: what was known holds, and nothing is reached unknown.
                if not self._own:
                    return True
        return _LINK_LOCAL4.has(address) or any(one.has(address) for one in self._own)


def _own_networks() -> "list[Prefix]":
    from rootless.linux.netlink import Netlink

    netlink = Netlink()
    try:
        return [Prefix(address, bits) for _, address, bits in netlink.networks()]
    finally:
        netlink.close()


class Resolvers:
    """The host's name servers, as resolv.conf(5) has them now."""

    def __init__(self, path: str = "/etc/resolv.conf") -> None:
        self._path = path
        self._stamp = (0, 0)
        self._servers: list[str] = []

    def current(self) -> str:
        """The one to ask, "" without any."""
        try:
            status = os.stat(self._path)
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp != self._stamp:
                with open(self._path, encoding="utf-8", errors="replace") as file:
                    self._servers = _servers(file.read().splitlines())
                self._stamp = stamp
        except OSError:
            pass
        return self._servers[0] if self._servers else ""

    def give_up(self, server: str) -> None:
        """Put `server` last, if it is first."""
        if self._servers[:1] == [server]:
            self._servers.append(self._servers.pop(0))


def _servers(lines: "Sequence[str]") -> "list[str]":
    found = []
    for line in lines:
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            found.append(words[1])
    return found
