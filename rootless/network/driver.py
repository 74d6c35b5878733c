"""What a network driver is, and the choice among them.  Warm.

A driver serves one container.  The parent (rl or the supervisor) makes it before the container,
so that everything that can be refused is refused first, and then:

    start(pid)      the container's namespaces exist: begin to connect them; doesn't wait
    finish()        wait until the network works and the TCP ports are published
    serve(watcher)  the parent's loop begins: carry in it what the driver carries itself
    close()         the container has ended: end the helper, don't wait for it

Published ports are forwarded by the parent itself: rootless.network.forward, udp_forward.
"""

import os

from rootless.errors import UsageError
from rootless.linux import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Protocol

    from rootless.linux.idmap import IdMap
    from rootless.network.ports import Port

    class Watcher(Protocol):
        """The parent's loop: rootless.runtime.streams.Pump."""

        def watch(self, fd: int, handler: Callable[[int], None], argument: int) -> None: ...

        def forget(self, fd: int) -> None: ...

        def call_after(self, seconds: float, action: Callable[[], None]) -> None: ...


class Driver:
    """No network but loopback (`none`), or the host's own (`host`): nothing to start."""

    name = "none"
    new_namespace = True
    ip = ""
    gateway = ""
    host = ""  # the address that is the host's inside, "" for one of its own
    nameserver = ""  # the address that the driver answers DNS on, "" for none
    addresses: "Sequence[str]" = ()  # of each network with a name
    # Of which the container's is to be a child, and who is who there; -1 for our own.
    user_namespace_fd = -1
    idmap: "IdMap | None" = None
    # One that is to be joined, with the user namespace that it belongs to; -1 for a new one.
    network_namespace_fd = -1
    like = ""  # the directory of the container whose network it is, too

    def __init__(self, ports: "Sequence[Port]" = ()) -> None:
        self.ports = list(ports)
        self.helpers: list[dict[str, object]] = []

    def start(self, pid: int) -> None:
        """Connect the namespaces of the process `pid`, which belong to us."""

    def finish(self) -> None:
        """Wait until the network works.  Raises NetworkError."""

    def serve(self, watcher: "Watcher") -> None:
        """Carry the traffic in the parent's loop; nothing to do for those with a helper."""

    def publish_udp(self, bound: "Sequence[tuple[Port, _socket.socket]]") -> bool:
        """Forward datagrams of these, after serve(); False where it can't: then
        rootless.network.udp_forward does."""
        return False

    def close(self) -> None:
        """End the helper."""

    def descriptors(self) -> "list[int]":
        """What must stay open for the helper to live."""
        return []


class Host(Driver):
    """The host's network namespace."""

    name = "host"
    new_namespace = False


def choose(asked: str, environ: "Mapping[str, str]") -> str:
    """The driver for `--network asked`: "bridge", "none", "host", "netstack", "slirp4netns" or
    "pasta".

    For "default" the first rung that is installed: slirp4netns, which starts in 3 ms and takes
    0.5 MiB, then pasta; without either, or without the device that both need (as in containers),
    netstack, which needs no program.  Raises HostError
    RL-NETWORK-NO-HELPER, UsageError.
    """
    if asked in ("bridge", "none", "host", "netstack") or asked.startswith(("container:", "ns:")):
        return asked
    if asked in ("slirp4netns", "pasta"):
        process.need_program(
            asked, environ, f"fetch it with rl setup {asked}, ask the admin for: apt-get install "
            f"{_PACKAGE[asked]}, or use --network netstack", "RL-NETWORK-NO-HELPER",
        )  # fmt: skip
        return asked
    if asked in ("", "default", "private"):
        for name in ("slirp4netns", "pasta"):
            if process.find_program(name, environ) and _opens_tun():
                return name
        return "netstack"
    raise UsageError(
        f"there is no network named {asked}",
        remedy="use one of: bridge, private, none, host, netstack, slirp4netns, pasta",
        code="RL-NETWORK-UNKNOWN",
    )


def _opens_tun() -> bool:
    """Whether there are tap devices for us.  The module may be missing where the node is not."""
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


_PACKAGE = {"slirp4netns": "slirp4netns", "pasta": "passt"}


def make(
    name: str,
    ports: "Sequence[Port]",
    runtime_directory: str,
    environ: "Mapping[str, str]",
    asked: "Mapping[str, Any] | None" = None,
    *,
    alone: bool = False,
) -> Driver:
    """The driver `name` for one container; its sockets go below `runtime_directory`.

    `asked` is the network of its runtime config: rootless.runtime.spec.  `alone`: no other driver
    takes its place where it can't work.
    """
    if name == "netstack":
        from rootless.network.netstack import Netstack

        wanted = asked or {}
        addresses = [address for _, address in wanted.get("add_hosts", ())]

        def otherwise() -> Driver | None:
            return replacement(ports, runtime_directory, environ)

        return Netstack(
            ports,
            wanted.get("options", ()),
            host_gateway="host-gateway" in addresses,
            otherwise=None if alone else otherwise,
        )
    if name == "slirp4netns":
        from rootless.network.slirp4netns import Slirp4netns

        return Slirp4netns(ports, environ)
    if name == "pasta":
        from rootless.network.pasta import Pasta

        return Pasta(ports, runtime_directory, environ)
    return Host() if name == "host" else Driver()


def replacement(
    ports: "Sequence[Port]",
    runtime_directory: str,
    environ: "Mapping[str, str]",
    names: "Sequence[str]" = ("slirp4netns", "pasta"),
) -> "Driver | None":
    """The first of `names` that is installed, with netstack's addresses."""
    for name in names:
        if not process.find_program(name, environ):
            continue
        if name == "slirp4netns":
            from rootless.network.slirp4netns import Slirp4netns

            return Slirp4netns(ports, environ)
        from rootless.network.pasta import Pasta
        from rootless.network.stack import gateway

        addresses = gateway.IP4, gateway.GATEWAY4, gateway.DNS4
        return Pasta(ports, runtime_directory, environ, addresses)
    return None
