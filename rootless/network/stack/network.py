"""A container's whole network: what goes out, what comes in, in one loop.

Each part is loaded when the first packet for it comes: many containers never ping anybody.
"""

from rootless.network.stack import gateway as gateways
from rootless.network.stack.loop import IN, REST_S, Loop
from rootless.network.stack.relay import Pipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Iterable
    from typing import Protocol

    from rootless.network.ports import Port
    from rootless.network.stack.gateway import Gateway
    from rootless.network.stack.incoming import Incoming
    from rootless.network.stack.inflow import Inflow
    from rootless.network.stack.policy import Policy
    from rootless.network.stack.spare import Spare

    class Part(Protocol):
        def close(self) -> None: ...


class Network:
    """The traffic of one gateway; `step()` does what there is to do when `fileno()` is readable."""

    def __init__(
        self,
        gateway: "Gateway",
        policy: "Callable[[], Policy]",
        published: "Iterable[tuple[_socket.socket, Port]]",
        call_after: "Callable[[float, Callable[[], None]], None]",
    ) -> None:
        """`policy()` makes it when it is needed; `published` are listening sockets, each with its
        port."""
        self._gateway = gateway
        self._loop = Loop(call_after)
        self._pipes = Pipes()
        self._make_policy = policy
        self._policy: Policy | None = None
        self._parts: list[Part] = []
        self._sleep(("packet4", "packet6"), self._load_outgoing)
        self._sleep(("udp4", "udp6"), self._load_datagrams)
        self._sleep(("icmp4", "icmp6"), self._load_echo)
        self._incoming: Incoming | None = None
        self._inflows: list[Inflow] = []
        self._spares: dict[int, Spare] = {}  # for datagrams
        for listener, port in published:
            self._publish(listener, port)

    def _sleep(self, kinds: "tuple[str, ...]", load: "Callable[[], Callable[[], Part]]") -> None:
        """Until the first packet comes by one of these sockets; then the part watches them.

        `load()` imports the part, and gives what makes it.
        """
        fds = [self._gateway.sockets[one].fileno() for one in kinds if one in self._gateway.sockets]

        def wake(_events: int) -> None:
            for fd in fds:
                self._loop.forget(fd)
            try:
                make = load()
            except (ImportError, OSError):
                # No descriptor is left to read a module with.
                self._loop.call_after(REST_S, lambda: self._sleep(kinds, load))
                return
            self._parts.append(make())

        for fd in fds:
            if fd >= 0:
                self._loop.watch(fd, wake, IN)

    def _load_outgoing(self) -> "Callable[[], Part]":
        from rootless.network.stack.outgoing import Outgoing

        rules = self._rules()
        return lambda: Outgoing(self._loop, self._pipes, self._gateway, rules)

    def _load_datagrams(self) -> "Callable[[], Part]":
        from rootless.network.stack.datagrams import Datagrams

        rules = self._rules()
        return lambda: Datagrams(self._loop, self._gateway, rules)

    def _load_echo(self) -> "Callable[[], Part]":
        from rootless.network.stack.echo import Echo

        rules = self._rules()
        return lambda: Echo(self._loop, self._gateway, rules)

    def _rules(self) -> "Policy":
        if self._policy is None:
            self._policy = self._make_policy()
        return self._policy

    def _publish(self, listener: "_socket.socket", port: "Port") -> None:
        if self._incoming is None:
            from rootless.network.stack.incoming import Incoming, Place  # most publish nothing

            place = Place(self._gateway.addresses(), gateways.NETWORKS)
            self._incoming = Incoming(self._loop, self._pipes, self._gateway, place)
        self._incoming.publish(listener, port)

    def publish_datagrams(self, sock: "_socket.socket", port: "Port") -> None:
        """Forward what comes to the bound `sock`; ours from now on."""
        from rootless.network.stack import inflow  # most publish none
        from rootless.network.stack.incoming import Place

        place = Place(self._gateway.addresses(), gateways.NETWORKS)
        if not self._spares:
            self._spares = inflow.spares(self._loop, self._gateway, place)
        self._inflows.append(
            inflow.Published(self._loop, self._spares, place, sock, port.container_port)
        )

    def fileno(self) -> int:
        return self._loop.fileno()

    def step(self) -> None:
        self._loop.step()

    def close(self) -> None:
        """End all connections, and the gateway with them."""
        if self._incoming is not None:
            self._incoming.close()
        for one in self._inflows:
            one.close()
        for spare in self._spares.values():
            spare.close()
        for part in self._parts:
            part.close()
        self._pipes.close()
        self._loop.close()
        self._gateway.close()
