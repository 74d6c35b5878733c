"""A container's whole network: what goes out, what comes in, in one loop."""

from rootless.network.stack import gateway as gateways
from rootless.network.stack.datagrams import Datagrams
from rootless.network.stack.echo import Echo
from rootless.network.stack.loop import Loop
from rootless.network.stack.outgoing import Outgoing
from rootless.network.stack.relay import Pipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Iterable

    from rootless.network.ports import Port
    from rootless.network.stack.gateway import Gateway
    from rootless.network.stack.incoming import Incoming
    from rootless.network.stack.inflow import Inflow
    from rootless.network.stack.policy import Policy
    from rootless.network.stack.spare import Spare


class Network:
    """The traffic of one gateway; `step()` does what there is to do when `fileno()` is readable."""

    def __init__(
        self,
        gateway: "Gateway",
        policy: "Policy",
        published: "Iterable[tuple[_socket.socket, Port]]",
        call_after: "Callable[[float, Callable[[], None]], None]",
    ) -> None:
        """`published` are listening sockets, each with its port."""
        self._gateway = gateway
        self._loop = Loop(call_after)
        self._pipes = Pipes()
        self._outgoing = Outgoing(self._loop, self._pipes, gateway, policy)
        self._datagrams = Datagrams(self._loop, gateway, policy)
        self._echo = Echo(self._loop, gateway, policy)
        self._incoming: Incoming | None = None
        self._inflows: list[Inflow] = []
        self._spares: dict[int, Spare] = {}  # for datagrams
        for listener, port in published:
            self._publish(listener, port)

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
        for part in (self._outgoing, self._datagrams, self._echo):
            part.close()
        self._pipes.close()
        self._loop.close()
        self._gateway.close()
