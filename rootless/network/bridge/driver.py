"""The driver for networks with names: devices on bridges, and names that others find.

Warm where it was chosen.  docs/decisions/072.
"""

import _socket

from rootless.errors import NetworkError
from rootless.network import driver
from rootless.network.bridge import client, endpoints, plug

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rootless.context import Context
    from rootless.network.driver import Watcher
    from rootless.network.forward import Forwarder
    from rootless.network.ports import Port
    from rootless.store.containers import Container

    Document = dict[str, Any]

_AGAIN_S = 1.0  # between tries to have a helper again


class Bridge(driver.Driver):
    """A container's endpoints on its networks, and its connection to their helper."""

    name = "bridge"

    def __init__(
        self, ctx: "Context", container: "Container", ports: "Sequence[Port]", dns: "Sequence[str]"
    ) -> None:
        """Take the addresses, and have the helper make the bridges.  Raises RlError."""
        super().__init__(ports)
        self._ctx = ctx
        self._container = container
        self._dns = list(dns)
        self._forwarder: Forwarder | None = None
        self._child: plug.Child | None = None
        self._watcher: Watcher | None = None
        self.endpoints: Document = {}
        self._lease: client.Lease | None = None
        try:
            for name, wanted in container.config["networks"].items():
                made = endpoints.make(ctx.paths, container.id, name, wanted)
                self.endpoints[made["network"]] = made
            endpoints.choose_default(self.endpoints.values())
            endpoints.write(ctx.paths, container.id, self.endpoints)
            self._lease = client.join(ctx, self._member(self.endpoints))
        except BaseException:
            self.close()
            raise
        self.user_namespace_fd = self._lease.user_fd
        self.idmap = self._lease.idmap
        self._show()

    def _member(self, found: "Document") -> "dict[str, object]":
        return {
            "container": self._container.id,
            "name": self._container.name,
            "hostname": self._container.config["hostname"],
            "dns": self._dns,
            "egress": self._container.config.get("egress") or {},
            "endpoints": endpoints.told(found),
        }

    def _show(self) -> None:
        """The address and the name servers of the container: those of its first networks."""
        everyone = list(self.endpoints.values())
        first = next((one for one in everyone if one["default"]), None)
        first = first or next((one for one in everyone if one["ip"]), None)
        if first is not None:
            self.ip, self.gateway = first["ip"], first["gateway"]
        self.addresses = [one["ip"] or one["ip6"] for one in everyone]
        self.nameserver = endpoints.name_server(self.endpoints)

    def start(self, pid: int) -> None:
        assert self._lease is not None
        if self.ports:
            from rootless.network.forward import Forwarder

            self._forwarder = Forwarder(self.ports, pid)
        found = list(self.endpoints.values())
        self._child = plug.plug(self._lease.user_fd, self._lease.network_fd, pid, found)

    def finish(self) -> None:
        assert self._child is not None
        child, self._child = self._child, None
        devices = child.finish()
        assert isinstance(devices, list)
        for endpoint, device in zip(self.endpoints.values(), devices, strict=True):
            endpoint["device"] = device
        endpoints.write(self._ctx.paths, self._container.id, self.endpoints)
        if self._forwarder is not None:
            self._forwarder.bind()

    def serve(self, watcher: "Watcher") -> None:
        assert self._lease is not None
        self._watcher = watcher
        watcher.watch(self._lease.channel.fileno(), self._on_helper_end, 0)
        if self._forwarder is None:
            return
        places: dict[int, tuple[str, str]] = {}
        hidden = []
        for family, address, bits, gateway in (
            (_socket.AF_INET, "ip", "bits", "gateway"),
            (_socket.AF_INET6, "ip6", "bits6", "gateway6"),
        ):
            for one in self.endpoints.values():
                if one[address]:
                    places.setdefault(family, (one[address], one[gateway]))
                    hidden.append(f"{one[address]}/{one[bits]}")
        # Of a network without IPv4, what listens on all addresses is reached by this one.
        places.setdefault(_socket.AF_INET, ("127.0.0.1", ""))
        self._forwarder.serve(watcher, places, hidden)

    def _on_helper_end(self, _argument: int) -> None:
        """The helper has been killed: have another one go on with the namespaces."""
        assert self._lease is not None
        assert self._watcher is not None
        former = self._lease
        if former.channel.fileno() >= 0:
            self._watcher.forget(former.channel.fileno())
            former.channel.close()
        try:
            # Another command may have connected it to other networks meanwhile.
            found = endpoints.read(self._ctx.paths, self._container.id)
            held = (former.user_fd, former.network_fd)
            self._lease = client.join(self._ctx, self._member(found), held)
        except (NetworkError, OSError):
            self._watcher.call_after(_AGAIN_S, lambda: self._on_helper_end(0))
            return
        former.close()
        self.user_namespace_fd = self._lease.user_fd
        self._watcher.watch(self._lease.channel.fileno(), self._on_helper_end, 0)

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None
        if self._lease is not None:
            if self._watcher is not None:
                self._watcher.forget(self._lease.channel.fileno())
            self._lease.close()
            self._lease = None
            self.user_namespace_fd = -1
        self._watcher = None
        endpoints.forget(self._ctx.paths, self._container.id)
        if self._forwarder is not None:
            self._forwarder.close()
            self._forwarder = None

    def descriptors(self) -> "list[int]":
        if self._lease is None:
            return []
        return [self._lease.channel.fileno(), self._lease.user_fd, self._lease.network_fd]
