"""The gateway of a container: a network namespace of its own, where every packet ends.

The container's eth0 is one end of a veth pair; the other is here, beside a local route for every
address (AnyIP) and four nftables rules:

    a TCP SYN from the container      dropped: a packet socket has seen it (outgoing.py)
    a TCP SYN that we put on lo       to our listener, with its addresses as they are
    a datagram                        to our UDP socket, or the one connected to its flow

Nobody lives in the gateway: it is held by the sockets that make_gateway() gives, and is gone with
them, and the container's eth0 with it.  Warm only where netstack was chosen.
"""

import _socket
import os
import struct

from rootless.errors import KernelError, NetworkError
from rootless.linux import channel as channels
from rootless.linux import syscalls
from rootless.network.stack import spare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.linux.netlink import Netlink

MTU_DEFAULT = 65520  # slirp4netns's; 65535 would leave no room for headers
DEVICE = "eth0"
PORT = 61001  # of our sockets in the gateway; nobody else is there
IP4, GATEWAY4, DNS4 = "10.0.2.100", "10.0.2.2", "10.0.2.3"
IP6, GATEWAY6, DNS6 = "fd00::100", "fd00::2", "fd00::3"
NETWORKS = ("10.0.2.0/24", "fd00::/64")
IP_TRANSPARENT, IPV6_TRANSPARENT = 19, 75
_IP_RECVORIGDSTADDR, _IPV6_RECVORIGDSTADDR = 20, 74
_BACKLOG = 4096
_INSIDE = "gw0"
_ETH_P_IP, _ETH_P_IPV6 = 0x0800, 0x86DD
_SO_ATTACH_FILTER, _ICMP_FILTER, _ICMPV6_FILTER = 26, 1, 1
SYN_FLAGS = 0x17  # FIN, SYN, RST, ACK
_SOL_RAW = 255

KINDS = ("tcp4", "udp4", "packet4", "raw4", "icmp4", "tcp6", "udp6", "packet6", "raw6", "icmp6")


class Gateway:
    """The sockets of a gateway, and the way to more of them.

    `sockets` has "tcp4", "udp4", "packet4" (SYNs in, SYNs out by lo), "raw4" (whole packets out),
    "icmp4" (echo requests in), and the same with 6 where there is IPv6.  `index` is that of its
    end of the pair.
    """

    def __init__(
        self, namespace_fd: int, owner_fd: int, sockets: "dict[str, _socket.socket]", index: int
    ) -> None:
        """`owner_fd` is the user namespace that it belongs to, as join() takes it."""
        self._namespace_fd = namespace_fd
        self._owner_fd = owner_fd
        self.sockets = sockets
        self.index = index

    def ask_for_sockets(self, family: int, kind: int, count: int) -> "tuple[int, channels.Channel]":
        """Have up to 253 transparent sockets made; the PID of who makes them, and the channel on
        which they come.  Doesn't wait."""

        def make() -> list[_socket.socket]:
            join(self._owner_fd)
            syscalls.setns(self._namespace_fd, syscalls.CLONE_NEWNET)
            return [transparent(family, kind) for _ in range(min(count, channels.FDS_MAX))]

        return spare.ask_child(make)

    def addresses(self) -> "dict[int, tuple[str, str]]":
        """The container's address and ours, for each family that there is."""
        found = {_socket.AF_INET: (IP4, GATEWAY4)}
        if "tcp6" in self.sockets:
            found[_socket.AF_INET6] = (IP6, GATEWAY6)
        return found

    def close(self) -> None:
        """Let the gateway go, and the container's network with it."""
        for sock in self.sockets.values():
            sock.close()
        for fd in (self._namespace_fd, self._owner_fd):
            if fd >= 0:
                os.close(fd)
        self._namespace_fd = self._owner_fd = -1


class Making:
    """A gateway on its way: made by a child, beside whatever the parent does meanwhile."""

    def __init__(self, pid: int, mtu: int = MTU_DEFAULT) -> None:
        """For the network namespace of our child `pid`; begin."""
        self._pidfd = os.pidfd_open(pid)
        self._channel, theirs = channels.pair()
        self._child = os.fork()
        if self._child == 0:
            try:
                _make(theirs, self._pidfd, pid, mtu)
            finally:
                os._exit(0)
        theirs.close()

    def finish(self) -> Gateway:
        """Wait for it.  Raises NetworkError RL-NETWORK-NETSTACK."""
        name, body, fds = self._channel.receive()
        self._channel.close()
        os.waitpid(self._child, 0)
        self._child = 0
        if name != "gateway":
            for fd in fds:
                os.close(fd)
            self.close()
            raise _failure(str(body))
        assert isinstance(body, dict)
        sockets = {
            kind: _socket.socket(fileno=fd) for kind, fd in zip(body["kinds"], fds[1:], strict=True)
        }
        for sock in sockets.values():
            sock.setblocking(False)
        pidfd, self._pidfd = self._pidfd, -1
        return Gateway(fds[0], pidfd, sockets, int(body["index"]))

    def close(self) -> None:
        """Give it up."""
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        if self._child:
            self._channel.close()
            os.waitpid(self._child, 0)
            self._child = 0


def _failure(why: str) -> NetworkError:
    if "nftables" in why:
        why = f"this kernel has no nftables with tproxy for us ({why})"
    return NetworkError(
        f"netstack cannot connect the container: {why or 'its set-up ended without a word'}",
        remedy="where there is /dev/net/tun, rl setup slirp4netns fetches another way; else use "
        "--network host or none",
        code="RL-NETWORK-NETSTACK",
    )


def join(owner_fd: int) -> None:
    """Become root of a user namespace, known by itself or by a pidfd; -1 for our own."""
    if owner_fd >= 0:
        syscalls.setns(owner_fd, syscalls.CLONE_NEWUSER)


def _make(theirs: channels.Channel, pidfd: int, pid: int, mtu: int) -> None:
    """In the child: join the container, leave it for a new network namespace, connect both."""
    from rootless.linux.netlink import Netlink

    try:
        join(pidfd)
        syscalls.setns(pidfd, syscalls.CLONE_NEWNET)
        container = Netlink()
        syscalls.unshare(syscalls.CLONE_NEWNET)
        gateway = Netlink()
        gateway.add_veth(_INSIDE, DEVICE, pid, mtu)
        index = gateway.link_index(_INSIDE)
        _connect4(container, gateway, index)
        has_ipv6 = _connect6(container, gateway, index)
        load_rules()
        made = make_sockets4(_INSIDE)
        if has_ipv6:
            made += make_sockets6(_INSIDE)
        namespace_fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        body = {"kinds": list(KINDS[: len(made)]), "index": index}
        theirs.send("gateway", body, [namespace_fd, *(one.fileno() for one in made)])
    except KernelError as e:
        theirs.send("error", e.what)
    except OSError as e:
        theirs.send("error", f"{e.strerror}")


def _connect4(container: "Netlink", gateway: "Netlink", index: int) -> None:
    ours, theirs = _socket.inet_aton(GATEWAY4), _socket.inet_aton(IP4)
    from rootless.linux.netlink import write_sysctl

    for name in ("all", "default", _INSIDE):
        write_sysctl(f"net/ipv4/conf/{name}/rp_filter", "0")
    write_sysctl("net/ipv4/icmp_echo_ignore_all", "1")
    container.link_up("lo")
    container.link_up(DEVICE)
    gateway.link_up("lo")
    gateway.link_up(_INSIDE)
    eth = container.link_index(DEVICE)
    gateway.add_address(_socket.AF_INET, ours, 32, index)
    gateway.add_route(_socket.AF_INET, index, to=theirs, prefix=32)
    gateway.add_route(_socket.AF_INET, 1, local=True)
    container.add_address(_socket.AF_INET, theirs, 24, eth)
    container.add_route(_socket.AF_INET, eth, gateway=ours)


def _connect6(container: "Netlink", gateway: "Netlink", index: int) -> bool:
    """False where the host has IPv6 switched off."""
    from rootless.linux.netlink import write_sysctl

    family = _socket.AF_INET6
    ours, dns, theirs = (_socket.inet_pton(family, one) for one in (GATEWAY6, DNS6, IP6))
    if not os.path.exists("/proc/sys/net/ipv6"):
        return False
    write_sysctl("net/ipv6/conf/all/disable_ipv6", "0")
    write_sysctl("net/ipv6/conf/all/accept_ra", "0")
    write_sysctl("net/ipv6/icmp/echo_ignore_all", "1")
    try:
        eth = container.link_index(DEVICE)
        gateway.add_address(family, ours, 128, index)
        gateway.add_address(family, dns, 128, index)
        gateway.add_route(family, index, to=theirs, prefix=128)
        gateway.add_route(family, 1, local=True)
        container.add_address(family, theirs, 64, eth)
        container.add_route(family, eth, gateway=ours)
    except KernelError:
        return False
    return True


def load_rules() -> None:
    """The nftables rules of a gateway, in the network namespace that we are in."""
    from rootless.linux import nftables

    tcp, syn = nftables.protocol_is(6), nftables.tcp_flags_are(SYN_FLAGS, 0x02)
    nftables.load(
        "rl",
        [
            tcp + syn + nftables.came_in_by(1) + nftables.to_socket(PORT)
            + nftables.verdict(nftables.ACCEPT),
            tcp + syn + nftables.verdict(nftables.DROP),
            nftables.protocol_is(17) + nftables.to_socket(PORT)
            + nftables.verdict(nftables.ACCEPT),
        ],
    )  # fmt: skip


def transparent(family: int, kind: int) -> "_socket.socket":
    """A socket that may have any address: IP_TRANSPARENT, ip(7)."""
    sock = _socket.socket(family, kind)
    if family == _socket.AF_INET:
        sock.setsockopt(_socket.IPPROTO_IP, IP_TRANSPARENT, 1)
    else:
        sock.setsockopt(_socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
        sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
    sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    return sock


def make_sockets4(device: str) -> "list[_socket.socket]":
    """Those of KINDS with a 4, for a gateway whose container is behind `device`."""
    tcp = transparent(_socket.AF_INET, _socket.SOCK_STREAM)
    tcp.bind(("0.0.0.0", PORT))
    tcp.listen(_BACKLOG)
    udp = transparent(_socket.AF_INET, _socket.SOCK_DGRAM)
    udp.setsockopt(_socket.IPPROTO_IP, _IP_RECVORIGDSTADDR, 1)
    udp.bind(("0.0.0.0", PORT))
    raw = _socket.socket(_socket.AF_INET, _socket.SOCK_RAW, _socket.IPPROTO_RAW)
    icmp = _socket.socket(_socket.AF_INET, _socket.SOCK_RAW, _socket.IPPROTO_ICMP)
    icmp.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", 0xFFFFFFFF & ~(1 << 8)))
    return [tcp, udp, _packet(_ETH_P_IP, device, _syn_filter4()), raw, icmp]


def make_sockets6(device: str) -> "list[_socket.socket]":
    tcp = transparent(_socket.AF_INET6, _socket.SOCK_STREAM)
    tcp.bind(("::", PORT))
    tcp.listen(_BACKLOG)
    udp = transparent(_socket.AF_INET6, _socket.SOCK_DGRAM)
    udp.setsockopt(_socket.IPPROTO_IPV6, _IPV6_RECVORIGDSTADDR, 1)
    udp.bind(("::", PORT))
    raw = _socket.socket(_socket.AF_INET6, _socket.SOCK_RAW, _socket.IPPROTO_RAW)
    icmp = _socket.socket(_socket.AF_INET6, _socket.SOCK_RAW, _socket.IPPROTO_ICMPV6)
    wanted = bytearray(b"\xff" * 32)
    wanted[128 // 8] = 0xFE  # echo request; the bits are those that are blocked (RFC 3542, 3.2)
    icmp.setsockopt(_socket.IPPROTO_ICMPV6, _ICMPV6_FILTER, bytes(wanted))
    icmp.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_RECVPKTINFO, 1)
    return [tcp, udp, _packet(_ETH_P_IPV6, device, _syn_filter6()), raw, icmp]


def _packet(protocol: int, device: str, program: bytes) -> "_socket.socket":
    """A packet socket that sees the SYNs that come in by `device`; packet(7)."""
    import ctypes

    # Bound to its protocol when the filter is there: nothing else gets in before.
    sock = _socket.socket(_socket.AF_PACKET, _socket.SOCK_DGRAM, 0)
    buffer = ctypes.create_string_buffer(program)
    fprog = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    sock.setsockopt(_socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
    sock.bind((device, protocol))
    return sock


def _bpf(*instructions: "tuple[int, int, int, int]") -> bytes:
    return b"".join(struct.pack("=HBBI", *one) for one in instructions)


def _syn_filter4() -> bytes:
    """Classic BPF: protocol TCP, no fragment, SYN alone of FIN, SYN, RST and ACK."""
    return _bpf(
        (0x30, 0, 0, 9),  # A = protocol
        (0x15, 0, 7, 6),  # TCP
        (0x28, 0, 0, 6),  # A = fragment offset
        (0x45, 5, 0, 0x1FFF),
        (0xB1, 0, 0, 0),  # X = length of the header
        (0x50, 0, 0, 13),  # A = flags
        (0x54, 0, 0, SYN_FLAGS),
        (0x15, 0, 1, 0x02),
        (0x06, 0, 0, 0x40000),
        (0x06, 0, 0, 0),
    )


def _syn_filter6() -> bytes:
    """The same; a TCP header behind extension headers is not looked for."""
    return _bpf(
        (0x30, 0, 0, 6),  # A = next header
        (0x15, 0, 4, 6),
        (0x30, 0, 0, 40 + 13),
        (0x54, 0, 0, SYN_FLAGS),
        (0x15, 0, 1, 0x02),
        (0x06, 0, 0, 0x40000),
        (0x06, 0, 0, 0),
    )
