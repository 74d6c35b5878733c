"""The driver netstack: the kernel is the TCP stack, and the container's parent moves the bytes.

There is no helper process: rootless.network.stack runs in the parent's own loop.  On a kernel
without nftables or virtual devices slirp4netns or pasta takes its place, with the same addresses.
Warm only where it was chosen.
"""

import _socket

from rootless.errors import NetworkError, UsageError
from rootless.network import driver, ports
from rootless.network.stack import gateway as gateways

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rootless.network.driver import Watcher
    from rootless.network.ports import Port
    from rootless.network.stack.network import Network
    from rootless.network.stack.policy import Policy

OPTIONS = ("allow_host_loopback", "allow_local_networks", "mtu")
MTU_MIN = 1280  # IPv6's: RFC 8200, 5
_BACKLOG = 4096


class Netstack(driver.Driver):
    """One gateway, and its traffic."""

    name = "netstack"
    ip = gateways.IP4
    gateway = gateways.GATEWAY4
    host = gateways.GATEWAY4
    nameserver = gateways.DNS4

    def __init__(
        self,
        ports: "Sequence[Port]",
        options: "Sequence[str]",
        *,
        host_gateway: bool,
        otherwise: "Callable[[], driver.Driver | None] | None" = None,
    ) -> None:
        """`options` as parse() takes them; with `host_gateway` the gateway's address is the
        host's.  `otherwise()` gives the driver to take where this one can't work."""
        super().__init__(ports)
        self._otherwise = otherwise
        self._other: driver.Driver | None = None
        self._pid = 0
        self._options = parse(options)
        self._host_gateway = host_gateway
        self._making: gateways.Making | None = None
        self._made: gateways.Gateway | None = None
        self._network: Network | None = None
        self._watcher: Watcher | None = None
        self._listeners: list[tuple[_socket.socket, Port]] = []

    def start(self, pid: int) -> None:
        self._pid = pid
        self._making = gateways.Making(pid, self._options["mtu"])

    def finish(self) -> None:
        assert self._making is not None
        making, self._making = self._making, None
        try:
            self._made = making.finish()
        except NetworkError:
            if not self._is_replaced():
                raise
            return
        for port in self.ports:
            if port.protocol == "tcp":
                listener = ports.bind(port)
                listener.listen(_BACKLOG)
                self._listeners.append((listener, port))

    def _is_replaced(self) -> bool:
        """Whether another driver does it.  None reaches the host as this one would."""
        reaches = self._options["allow_host_loopback"] or self._options["allow_local_networks"]
        other = None if reaches or self._host_gateway or not self._otherwise else self._otherwise()
        if other is None:
            return False
        self._other = other
        self.name, self.gateway = other.name, other.gateway
        other.start(self._pid)
        other.finish()
        self.helpers = other.helpers
        return True

    def descriptors(self) -> "list[int]":
        return self._other.descriptors() if self._other is not None else []

    def serve(self, watcher: "Watcher") -> None:
        if self._other is not None:
            self._other.serve(watcher)
            return
        from rootless.network.stack.network import Network

        assert self._made is not None
        host = ""
        if self._host_gateway:
            from rootless.network.pasta import host_address

            host = host_address()

        def policy() -> "Policy":
            from rootless.network.stack.policy import Policy

            return Policy(
                loopback=bool(self._options["allow_host_loopback"]),
                local_networks=bool(self._options["allow_local_networks"]),
                host=host,
            )

        made, self._made = self._made, None
        listeners, self._listeners = self._listeners, []
        network = Network(made, policy, listeners, watcher.call_after)
        self._network, self._watcher = network, watcher
        watcher.watch(network.fileno(), lambda _argument: network.step(), 0)

    def publish_udp(self, bound: "Sequence[tuple[Port, _socket.socket]]") -> bool:
        if self._network is None:
            return False
        for port, sock in bound:
            self._network.publish_datagrams(sock, port)
        return True

    def close(self) -> None:
        if self._other is not None:
            self._other.close()
            self._other = None
        if self._making is not None:
            self._making.close()
        for listener, port in self._listeners:
            ports.drop(listener, port)
        if self._made is not None:
            self._made.close()
        if self._network is not None and self._watcher is not None:
            self._watcher.forget(self._network.fileno())
            self._network.close()
        self._making = self._made = self._network = self._watcher = None
        self._listeners = []


def parse(options: "Sequence[str]") -> "dict[str, int]":
    """The options of `--network netstack:a=b,c=d`.  Raises UsageError."""
    found = {"allow_host_loopback": 0, "allow_local_networks": 0, "mtu": gateways.MTU_DEFAULT}
    for option in options:
        key, _, value = option.partition("=")
        if key not in found:
            raise UsageError(
                f"unknown option of netstack: {option}", remedy=f"known are {', '.join(OPTIONS)}"
            )
        if key == "mtu":
            number = int(value) if value.isdecimal() and len(value) < 6 else 0
            if not MTU_MIN <= number <= gateways.MTU_DEFAULT:
                raise UsageError(
                    f"invalid mtu of netstack: {value}",
                    remedy=f"a number from {MTU_MIN} to {gateways.MTU_DEFAULT}",
                )
            found[key] = number
        elif value in ("true", "false"):
            found[key] = int(value == "true")
        else:
            raise UsageError(f"invalid {key} of netstack: {value}", remedy="true or false")
    return found
