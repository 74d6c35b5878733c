"""The network namespace that the bridges are in, as their helper works on it.

It belongs to a user namespace of its own, which those of the containers are below.  A child of the
helper, the holder, is in both, so that what connects a process to the world has one to connect;
work is done by forked children that join them.
"""

import _socket
import os
import time

from rootless.errors import KernelError, NetworkError
from rootless.linux import channel as channels
from rootless.linux import idmap as idmaps
from rootless.linux import links, nftables, syscalls
from rootless.linux.namespaces import become_root
from rootless.linux.netlink import Netlink, write_sysctl
from rootless.network.bridge import endpoints
from rootless.network.stack.addresses import packed
from rootless.store import mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from rootless.context import Context
    from rootless.network.bridge.guard import Guard

    Document = dict[str, Any]

TABLE = "rl"
DNS_PORT = 53
_KILL = 9
_LONG_S = 1 << 20


class Gateway:
    """Both namespaces: `user_fd`, `network_fd`, and the PID of the `holder` in them."""

    def __init__(self, ctx: "Context", held: "Sequence[int]") -> None:
        """`held` are those of a helper that has gone.  Raises RlError."""
        self.idmap = mapping.default_map(ctx)
        if held:
            self.user_fd, self.network_fd = held
            self.holder = os.fork()
            if self.holder == 0:
                _hold(os.getppid(), held)
            return
        ours, theirs = channels.pair()
        me = os.getpid()
        try:
            self.holder = syscalls.clone(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET)
        except KernelError as e:
            from rootless.linux import hostfacts

            raise hostfacts.explain_user_namespace_failure(e.errno) from e
        if self.holder == 0:
            ours.close()
            _begin(me, theirs)
        theirs.close()
        try:
            idmaps.write_maps(self.idmap, self.holder, ctx.environ)
            ours.send("mapped")
            name, body, _ = ours.receive()
            if name != "ready":
                raise failure(str(body or "its set-up ended without a word"))
            self.user_fd = os.open(f"/proc/{self.holder}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
            self.network_fd = os.open(f"/proc/{self.holder}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except BaseException:
            os.kill(self.holder, _KILL)
            raise
        finally:
            ours.close()

    def run(self, work: "Callable[[], Sequence[_socket.socket]]") -> "list[int]":
        """`work()` in both namespaces, by a child; the descriptors of the sockets that it gives.

        Raises NetworkError RL-NETWORK-GATEWAY.
        """
        ours, theirs = channels.pair()
        child = os.fork()
        if child == 0:
            try:
                syscalls.setns(self.user_fd, syscalls.CLONE_NEWUSER)
                syscalls.setns(self.network_fd, syscalls.CLONE_NEWNET)
                made = work()
                theirs.send("done", None, [one.fileno() for one in made])
            except KernelError as e:
                theirs.send("error", e.what)
            except OSError as e:
                theirs.send("error", e.strerror or "")
            finally:
                os._exit(0)
        theirs.close()
        name, body, fds = ours.receive()
        ours.close()
        os.waitpid(child, 0)
        if name != "done":
            raise failure(str(body or "a child of the helper ended without a word"))
        return fds


def failure(why: str) -> NetworkError:
    """What the kernel refused for a network with a name."""
    return NetworkError(
        f"cannot make the networks' namespace: {why}",
        remedy="networks with names need bridges, veth devices and nftables with nat in the "
        "kernel; --network private needs none of them",
        code="RL-NETWORK-GATEWAY",
    )


def _begin(parent: int, theirs: channels.Channel) -> None:
    """The holder of new namespaces.  Does not return."""
    try:
        if theirs.receive()[0] != "mapped":
            os._exit(1)
        become_root()
        _prepare()
        theirs.send("ready")
        _wait(parent)
    except KernelError as e:
        theirs.send("error", e.what)
    except OSError as e:
        theirs.send("error", e.strerror or "")
    finally:
        os._exit(1)


def _hold(parent: int, held: "Sequence[int]") -> None:
    """The holder of namespaces that are there.  Does not return."""
    try:
        syscalls.setns(held[0], syscalls.CLONE_NEWUSER)
        syscalls.setns(held[1], syscalls.CLONE_NEWNET)
        become_root()
        _wait(parent)
    finally:
        os._exit(1)


def _wait(parent: int) -> None:
    """Stay until the helper ends, with nothing of what it has open."""
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, _KILL)
    if os.getppid() != parent:
        os._exit(1)
    syscalls.set_name("rl-networks-ns")
    syscalls.close_range(3, syscalls.FD_MAX)
    while True:
        time.sleep(_LONG_S)


def _prepare() -> None:
    """The new network namespace routes, and bridged packets are the bridges' alone."""
    write_sysctl("net/ipv4/ip_forward", "1")
    write_sysctl("net/ipv6/conf/all/disable_ipv6", "0")
    write_sysctl("net/ipv6/conf/default/disable_ipv6", "0")
    write_sysctl("net/ipv6/conf/default/accept_ra", "0")
    write_sysctl("net/ipv6/conf/all/forwarding", "1")
    for name in ("arptables", "ip6tables", "iptables"):
        write_sysctl(f"net/bridge/bridge-nf-call-{name}", "0")
    Netlink().link_up("lo")


def add_bridge(name: str, network: "Document", mtu: int) -> None:
    """In the namespaces: the bridge of a network, with the gateways' addresses."""
    netlink = Netlink()
    first = network["subnets"][0]["gateway"]
    if not links.add_bridge(netlink, name, endpoints.mac_of(first), mtu):
        return
    write_sysctl(f"net/ipv6/conf/{name}/accept_ra", "0")
    index = netlink.link_index(name)
    for row in network["subnets"]:
        family = _socket.AF_INET6 if ":" in row["gateway"] else _socket.AF_INET
        bits = int(row["subnet"].partition("/")[2])
        netlink.add_address(family, packed(row["gateway"]), bits, index)
    netlink.link_up(name)


def remove_bridge(name: str) -> None:
    links.remove(Netlink(), name)


def dns_sockets(addresses: "Sequence[str]") -> "list[_socket.socket]":
    """In the namespaces: for each address a socket for UDP and one that listens for TCP."""
    made = []
    for address in addresses:
        family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
        for kind in (_socket.SOCK_DGRAM, _socket.SOCK_STREAM):
            sock = _socket.socket(family, kind)
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
            sock.bind((address, DNS_PORT))
            if kind == _socket.SOCK_STREAM:
                sock.listen(64)
            made.append(sock)
    return made


def _outside(netlink: Netlink) -> str:
    """The device towards the host: the one that is none of ours."""
    for name in links.names(netlink):
        if name != "lo" and not name.startswith(("rl", "v")):
            return name
    return "none"


class Rules:
    """What the rules depend on: each network's bridge, and the egress policies."""

    __slots__ = ("bridges", "guard")

    def __init__(self, bridges: "Sequence[tuple[str, Document, Any]]", guard: "Guard") -> None:
        self.guard = guard
        self.bridges = bridges  # (device, network, rootless.network.bridge.settings.Settings)

    def load(self) -> None:
        """In the namespaces.  Raises KernelError."""
        accept = nftables.verdict(nftables.ACCEPT)
        netlink = Netlink()
        index = {device: netlink.link_index(device) for device, _, _ in self.bridges}
        forward = [nftables.connection_is(nftables.ESTABLISHED_OR_RELATED) + accept]
        leaving = []
        by_id = {network["id"]: index[device] for device, network, _ in self.bridges}
        jumps, chains = self.guard.chains(by_id)
        forward += jumps
        outside = nftables.goes_out_by(_outside(netlink))
        for device, network, settings in self.bridges:
            came = nftables.came_in_by(index[device])
            if network["internal"]:
                continue
            forward.append(came + outside + accept)
            for other, its_network, its_settings in self.bridges:
                both = not settings.isolate and not its_settings.isolate
                if other != device and both and not its_network["internal"]:
                    forward.append(came + nftables.goes_out_by(index[other]) + accept)
            if settings.masquerade:
                for row in network["subnets"]:
                    address, _, bits = row["subnet"].partition("/")
                    source = nftables.comes_from(packed(address), int(bits))
                    leaving.append(source + outside + nftables.masquerade())
        # Refused at once, not after a time-out.
        forward += [nftables.protocol_is(6) + nftables.reset(), nftables.reject()]
        nftables.replace(
            TABLE,
            [
                nftables.Chain("forward", forward, kind="filter", hook=nftables.FORWARD,
                               priority=nftables.FILTER, policy=nftables.DROP),
                nftables.Chain("leaving", leaving, kind="nat", hook=nftables.POSTROUTING,
                               priority=nftables.SOURCE_NAT),
                *chains,
            ],
            self.guard.sets(),
        )  # fmt: skip
