"""What the guest may reach: nothing, but what -R, -allow, -enable-host and -enable-routing tell.

In this order: a -R forward; never what rootless.network.stack.policy never lets through; -deny;
-allow; the host's own networks with -enable-host; all others with -enable-routing.
"""

import time

from rootless.errors import KernelError
from rootless.linux.netlink import Netlink
from rootless.network.stack.addresses import Prefix, packed, shown
from rootless.network.stack.policy import NEVER, Later
from rootless.network.standalone.forwards import PROTOCOLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.network.stack.policy import Target
    from rootless.network.standalone.forwards import Forward, Range
    from rootless.network.standalone.names import Names

_KNOWN_S = 30.0  # how long the host's routes are taken for the same


class Remote(Later):
    """The target of a -R forward."""

    def __init__(self, forward: "Forward", names: "Names") -> None:
        self._forward = forward
        self._names = names
        self.once = forward.rpc

    def then(self, action: "Callable[[Target | None], None]") -> None:
        self._names.find(self._forward.host, lambda found, _why: action(found))


class Firewall:
    """The policy of the standalone program: rootless.network.stack.policy.Rules."""

    def __init__(self, *, host: bool, routing: bool, sources: "dict[int, str]") -> None:
        self._host = host
        self._routing = routing
        self._sources = sources
        self.allowed: list[Range] = []
        self.denied: list[Range] = []
        self.names: Names | None = None
        self._forwards: dict[tuple[int, bytes, int], Forward] = {}
        self._own: list[Prefix] = []
        self._own_until = 0.0

    def accept(self, forward: "Forward") -> None:
        """A -R, its bind address known."""
        bind = forward.bind
        self._forwards[PROTOCOLS[forward.network], packed(bind.ip), bind.port] = forward

    def forward(self, address: bytes, port: int, protocol: int) -> "Forward | None":
        return self._forwards.get((protocol, address, port))

    def target(self, address: bytes, port: int, protocol: int) -> "Target | Later | None":
        forward = self.forward(address, port, protocol)
        if forward is not None and self.names is not None:
            return Remote(forward, self.names)
        return None if self._blocks(address, port, protocol) else (shown(address), port)

    def _blocks(self, address: bytes, port: int, protocol: int) -> bool:
        if any(one.has(address) for one in NEVER):
            return True
        if any(one.has(address, port, protocol) for one in self.denied):
            return True
        if any(one.has(address, port, protocol) for one in self.allowed):
            return False
        return not (self._host if self._is_local(address) else self._routing)

    def _is_local(self, address: bytes) -> bool:
        now = time.monotonic()
        if now >= self._own_until:
            try:
                netlink = Netlink()
                self._own = [Prefix(found, bits) for _, found, bits in netlink.routes()]
                netlink.close()
                self._own_until = now + _KNOWN_S
            except (OSError, KernelError):
                if not self._own:
                    return True  # what isn't known is not reached
        return any(one.has(address) for one in self._own)

    def source(self, family: int) -> str:
        return self._sources.get(family, "")

    def is_name_server(self, address: bytes) -> bool:
        return False

    def is_here(self, address: bytes) -> bool:
        """Pings are answered here, whomever they are for."""
        return True

    def server_is_silent(self, server: str) -> None:
        pass
