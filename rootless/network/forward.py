"""Published TCP ports of containers whose driver has no gateway of ours: slirp4netns, pasta.  Warm.

The same forwarder as netstack's (rootless.network.stack.incoming), with sockets of the container's
own network namespace.  What they send bears a mark; by tcp_fwmark_accept the container's answers
bear it too, and a rule routes those to its loopback, where our sockets are, whatever address they
have.  Without policy routing in the kernel the container sees its gateway instead of its clients.
"""

import _socket
import os

from rootless.errors import KernelError
from rootless.linux import channel as channels
from rootless.linux import syscalls
from rootless.network import ports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rootless.network.driver import Watcher
    from rootless.network.ports import Port
    from rootless.network.stack.incoming import Incoming
    from rootless.network.stack.loop import Loop
    from rootless.network.stack.relay import Pipes

MARK = 0x726C
_TABLE, _PRIORITY = 114, 114
_SO_MARK = 36
_BACKLOG = 4096


class Forwarder:
    """The TCP ports among `ports`.  bind(), then serve(), then close()."""

    def __init__(self, ports: "Iterable[Port]", pid: int) -> None:
        """`pid` is our child, the container's init."""
        self._ports = [port for port in ports if port.protocol == "tcp"]
        self._pidfd = os.pidfd_open(pid) if self._ports else -1
        self._prepared = False
        self._listeners: list[tuple[_socket.socket, Port]] = []
        self._watcher: Watcher | None = None
        self._loop: Loop | None = None
        self._pipes: Pipes | None = None
        self._incoming: Incoming | None = None

    def bind(self) -> None:
        """Listen.  Raises NetworkError, RL-PORT-…"""
        for port in self._ports:
            listener = ports.bind(port)
            listener.listen(_BACKLOG)
            self._listeners.append((listener, port))

    def serve(
        self,
        watcher: "Watcher",
        addresses: "dict[int, tuple[str, str]]",
        networks: "Sequence[str]",
    ) -> None:
        """Forward in the parent's loop to the container.

        `addresses` has its address for each family, and that which clients of the host's loopback
        come from, "" for its own; no client is shown as one of `networks`.
        """
        if not self._listeners:
            return
        from rootless.network.stack.incoming import Incoming, Place
        from rootless.network.stack.loop import Loop
        from rootless.network.stack.relay import Pipes

        loop, self._pipes = Loop(watcher.call_after), Pipes()
        place = Place(addresses, networks)
        self._incoming = Incoming(loop, self._pipes, self, place)
        listeners, self._listeners = self._listeners, []
        for listener, port in listeners:
            self._incoming.publish(listener, port)
        watcher.watch(loop.fileno(), lambda _argument: loop.step(), 0)
        self._watcher, self._loop = watcher, loop

    def ask_for_sockets(self, family: int, kind: int, count: int) -> "tuple[int, channels.Channel]":
        """As rootless.network.stack.spare.Maker."""
        from rootless.network.stack import spare

        first, self._prepared = not self._prepared, True

        def make() -> list[_socket.socket]:
            syscalls.setns(self._pidfd, syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET)
            if first:
                _prepare()
            return [_marked(family, kind) for _ in range(min(count, channels.FDS_MAX))]

        return spare.ask_child(make)

    def close(self) -> None:
        for listener, port in self._listeners:
            ports.drop(listener, port)
        self._listeners = []
        if self._incoming is not None and self._loop is not None and self._watcher is not None:
            self._watcher.forget(self._loop.fileno())
            self._incoming.close()
            self._loop.close()
        if self._pipes is not None:
            self._pipes.close()
        self._incoming = self._loop = self._pipes = self._watcher = None
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1


def _prepare() -> None:
    """In the container: bring answers to marked connections back to us."""
    from rootless.linux.netlink import Netlink, write_sysctl

    if not write_sysctl("net/ipv4/tcp_fwmark_accept", "1"):
        return
    try:
        netlink = Netlink()
        netlink.add_route(_socket.AF_INET, 1, local=True, table=_TABLE)
        netlink.add_rule(_socket.AF_INET, _TABLE, _PRIORITY, mark=MARK)
        if os.path.exists("/proc/sys/net/ipv6"):
            netlink.add_route(_socket.AF_INET6, 1, local=True, table=_TABLE)
            netlink.add_rule(_socket.AF_INET6, _TABLE, _PRIORITY, mark=MARK)
    except KernelError:
        write_sysctl("net/ipv4/tcp_fwmark_accept", "0")


def _marked(family: int, kind: int) -> "_socket.socket":
    """Transparent where answers find their way: the mark is accepted."""
    from rootless.network.stack.gateway import transparent

    with open("/proc/sys/net/ipv4/tcp_fwmark_accept") as file:
        if file.read().strip() != "1":
            return _socket.socket(family, kind)
    sock = transparent(family, kind)
    sock.setsockopt(_socket.SOL_SOCKET, _SO_MARK, MARK)
    return sock
