"""Devices of containers on the bridges, put in and taken out by a child that joins both sides."""

import _socket
import os

from rootless.errors import KernelError, NetworkError
from rootless.linux import channel as channels
from rootless.linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from rootless.linux.netlink import Netlink

    Document = dict[str, Any]

_DEVICES_MAX = 256


class Child:
    """A child at work in the bridges' namespaces, beside what its parent does meanwhile."""

    def __init__(
        self,
        user_fd: int,
        network_fd: int,
        pid: int,
        work: "Callable[[Netlink, Callable[[], Netlink], int], object]",
    ) -> None:
        """`work(bridges, join, namespace_fd)`: `namespace_fd` is the network namespace of `pid`,
        and `join()` enters it.  Both give netlink sockets."""
        self._channel, theirs = channels.pair()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                theirs.send("done", _at_work(user_fd, network_fd, pid, work))
            except KernelError as e:
                theirs.send("error", e.what)
            except OSError as e:
                theirs.send("error", e.strerror or "")
            finally:
                os._exit(0)
        theirs.close()

    def finish(self) -> object:
        """What `work` has given.  Raises NetworkError RL-NETWORK-PLUG."""
        name, body, _ = self._channel.receive()
        self._channel.close()
        os.waitpid(self._pid, 0)
        if name != "done":
            raise NetworkError(
                f"cannot connect the container with the network: {body or 'its set-up ended'}",
                remedy="try again; --network private needs no bridge",
                code="RL-NETWORK-PLUG",
            )
        return body

    def close(self) -> None:
        """Wait for its end, whatever comes of it."""
        self._channel.close()
        os.waitpid(self._pid, 0)


def _at_work(
    user_fd: int,
    network_fd: int,
    pid: int,
    work: "Callable[[Netlink, Callable[[], Netlink], int], object]",
) -> object:
    from rootless.linux.netlink import Netlink

    namespace_fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    syscalls.setns(user_fd, syscalls.CLONE_NEWUSER)
    syscalls.setns(network_fd, syscalls.CLONE_NEWNET)
    bridges = Netlink()

    def join() -> "Netlink":
        syscalls.setns(namespace_fd, syscalls.CLONE_NEWNET)
        return Netlink()

    return work(bridges, join, namespace_fd)


def plug(user_fd: int, network_fd: int, pid: int, endpoints: "Sequence[Document]") -> Child:
    """Begin to give the container of `pid` a device for each endpoint; the names of the devices
    in it are the answer."""
    from rootless.linux import links
    from rootless.linux.netlink import write_sysctl

    def work(bridges: "Netlink", join: "Callable[[], Netlink]", namespace_fd: int) -> object:
        container = join()
        there = links.names(container)
        made = []
        for endpoint in endpoints:
            device = next(
                name for name in (f"eth{n}" for n in range(_DEVICES_MAX)) if name not in there
            )
            there.append(device)
            made.append(device)
            mac = bytes.fromhex(str(endpoint["mac"]).replace(":", ""))
            bridge = bridges.link_index(endpoint["bridge"])
            links.add_port(
                bridges, endpoint["link"], bridge, device, namespace_fd, mac, endpoint["mtu"]
            )
            if not endpoint["icc"]:
                links.isolate_port(bridges, endpoint["link"])
            bridges.link_up(endpoint["link"])
            write_sysctl(f"net/ipv6/conf/{device}/accept_ra", "0")
            if endpoint["ip6"]:
                write_sysctl(f"net/ipv6/conf/{device}/disable_ipv6", "0")
            container.link_up(device)
            _address(container, endpoint, device)
        return made

    return Child(user_fd, network_fd, pid, work)


def _address(container: "Netlink", endpoint: "Document", device: str) -> None:
    from rootless.network.stack.addresses import packed

    index = container.link_index(device)
    for family, address, bits in (
        (_socket.AF_INET, endpoint["ip"], endpoint["bits"]),
        (_socket.AF_INET6, endpoint["ip6"], endpoint["bits6"]),
    ):
        if address:
            container.add_address(family, packed(address), bits, index)
    _default_routes(container, endpoint, index)


def _default_routes(container: "Netlink", endpoint: "Document", index: int) -> None:
    from rootless.network.stack.addresses import packed

    for family, gateway, wanted in (
        (_socket.AF_INET, endpoint["gateway"], endpoint["default"]),
        (_socket.AF_INET6, endpoint["gateway6"], endpoint["default6"]),
    ):
        if gateway and wanted:
            container.add_route(family, index, gateway=packed(gateway))


def unplug(
    user_fd: int, network_fd: int, pid: int, link: str, heirs: "Sequence[Document]"
) -> Child:
    """Begin to take a device from the container; `heirs` are endpoints that get a default route
    now."""
    from rootless.linux import links

    def work(bridges: "Netlink", join: "Callable[[], Netlink]", _namespace_fd: int) -> object:
        links.remove(bridges, link)
        if heirs:
            container = join()
            for endpoint in heirs:
                index = container.link_index(str(endpoint["device"]))
                _default_routes(container, endpoint, index)
        return None

    return Child(user_fd, network_fd, pid, work)
