"""The caller's device, and the gateway behind it: both are opened by a child.

The child joins the caller's network namespace for its tun or tap device, leaves it for a new one,
the gateway, and makes a tun device there.  Routes by rule: what comes in by that device is for us,
whatever its address (AnyIP); what we send goes out by it, whomever it is for.
"""

import _socket
import errno
import fcntl
import os
import struct

from rootless.errors import KernelError
from rootless.linux import channel as channels
from rootless.linux import syscalls
from rootless.network.stack import gateway as gateways
from rootless.network.stack import spare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.linux.netlink import Netlink

GATEWAY_DEVICE = "gw0"
MTU_DEFAULT, _MTU_MAX = 1500, 65535
_MARK = 0x726C  # of SYNs that we put on lo
_SO_MARK = 36
_TABLE, _PRIORITY = 114, 114
# ioctl_ns(2), if_tun.h, sockios.h
_NS_GET_USERNS = 0xB701
_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_IFF_TUN, _IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0001, 0x0002, 0x1000, 0x4000
_OFFLOADS = 0x01 | 0x02 | 0x04  # checksums, TCP over IPv4, TCP over IPv6
_SIOCGIFMTU, _SIOCSIFMTU, _SIOCGIFHWADDR = 0x8921, 0x8922, 0x8927
_DEVICE_FILE = "/dev/net/tun"


class Wanted:
    """Where the device is: `netns` is a path or "", `fd` a datagram socket or -1."""

    def __init__(self, netns: str, name: str, fd: int, mtu: int) -> None:
        self.netns = netns
        self.name = name
        self.fd = fd
        self.mtu = mtu


class Opened:
    """Descriptors of the caller's device and of the gateway's; `mac` is the guest's, if known."""

    def __init__(
        self, guest_fd: int, gateway_fd: int, gateway: gateways.Gateway, *, ethernet: bool
    ) -> None:
        self.guest_fd = guest_fd
        self.gateway_fd = gateway_fd
        self.gateway = gateway
        self.ethernet = ethernet
        self.mac = b""


class Failed(Exception):
    """Why there is no device."""


def open_all(wanted: Wanted) -> Opened:
    """Both ends; says on standard error what it does.  Raises Failed."""
    if wanted.netns:
        _say(f"[.] Joininig netns {wanted.netns}")  # slirpnetstack's own spelling
    child, ours = spare.start_child(lambda theirs: _open_in_child(theirs, wanted))
    word, body, fds = ours.receive()
    ours.close()
    os.waitpid(child, 0)
    if word != "opened" or not isinstance(body, dict):
        for fd in fds:
            os.close(fd)
        raise Failed(str(body or "its set-up ended without a word"))
    namespace_fd, owner_fd, gateway_fd, *rest = fds
    if not body["joined"]:
        os.close(owner_fd)
        owner_fd = -1
    guest_fd = wanted.fd if wanted.fd >= 0 else rest.pop(0)
    sockets = {
        kind: _socket.socket(fileno=fd)
        for kind, fd in zip(gateways.KINDS[: len(rest)], rest, strict=True)
    }
    for sock in sockets.values():
        sock.setblocking(False)
    gateway = gateways.Gateway(namespace_fd, owner_fd, sockets, int(body["index"]))
    opened = Opened(guest_fd, gateway_fd, gateway, ethernet=bool(body["ethernet"]))
    opened.mac = bytes.fromhex(str(body["mac"]))
    return opened


def _say(line: str) -> None:
    os.write(2, os.fsencode(line) + b"\n")


def _open_in_child(theirs: channels.Channel, wanted: Wanted) -> None:
    try:
        body: dict[str, object] = {"ethernet": True, "mac": "", "joined": False}
        guest: list[int] = []
        mtu = wanted.mtu or MTU_DEFAULT
        if wanted.fd < 0:
            body["joined"] = bool(wanted.netns) and _join(wanted.netns)
            _say(f"[.] Opening tun interface {wanted.name}")
            device_mtu = _device_mtu(wanted.name)
            fd, body["ethernet"] = _open_device(wanted.name)
            guest = [fd]
            mtu = min(wanted.mtu or device_mtu, device_mtu)
            if body["ethernet"]:
                body["mac"] = _interface(_SIOCGIFHWADDR, wanted.name)[18:24].hex()
        if _leave():
            body["joined"] = True
        with_headers = wanted.fd < 0
        gateway_fd = _make_device(GATEWAY_DEVICE, with_headers=with_headers)
        value = struct.pack("=16si", GATEWAY_DEVICE.encode(), min(mtu, _MTU_MAX))
        _interface(_SIOCSIFMTU, value)
        made, body["index"] = _make_gateway()
        namespace_fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        owner_fd = os.open("/proc/thread-self/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        fds = [namespace_fd, owner_fd, gateway_fd, *guest, *(one.fileno() for one in made)]
        theirs.send("opened", body, fds)
    except KernelError as e:
        theirs.send("failed", e.what)
    except OSError as e:
        theirs.send("failed", (e.strerror or "").lower())


def _join(path: str) -> bool:
    """Enter the network namespace at `path`, through its user namespace if we have to; whether
    we did.  Says why not.  Raises OSError, KernelError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            syscalls.setns(fd, syscalls.CLONE_NEWNET)
        except KernelError as e:
            if e.errno != errno.EPERM:
                raise
            owner = fcntl.ioctl(fd, _NS_GET_USERNS)
            syscalls.setns(owner, syscalls.CLONE_NEWUSER)
            syscalls.setns(fd, syscalls.CLONE_NEWNET)
            return True
    except (OSError, KernelError) as e:
        why = os.strerror(e.errno or 0).lower()
        _say(f"[!] Can't join netns {path}: {why}")
        raise OSError(e.errno, why) from e
    return False


def _leave() -> bool:
    """For a network namespace of our own; in a new user namespace, if we have no rights in
    this one: whether that was needed."""
    try:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        return False
    except KernelError as e:
        if e.errno != errno.EPERM:
            raise
    uid, gid = os.getuid(), os.getgid()
    syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    return True


def _interface(request: int, name: "str | bytes") -> bytes:
    """An ioctl of netdevice(7): the struct ifreq that it leaves."""
    value = name if isinstance(name, bytes) else name.encode()
    sock = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        answer: bytes = fcntl.ioctl(sock.fileno(), request, value.ljust(40, b"\0"))
    finally:
        sock.close()
    return answer


def _device_mtu(name: str) -> int:
    try:
        mtu: int = struct.unpack_from("=i", _interface(_SIOCGIFMTU, name), 16)[0]
    except OSError as e:
        _say(f"[!] GetMTU({name}) = {os.strerror(e.errno or 0).lower()}")
        raise
    return mtu


def _open_device(name: str) -> "tuple[int, bool]":
    """The caller's device, which exists: a tun, else a tap, and whether it is a tap."""
    try:
        try:
            return _attach(name, _IFF_TUN | _IFF_VNET_HDR), False
        except OSError as e:
            if e.errno != errno.EINVAL:
                raise
        return _attach(name, _IFF_TAP | _IFF_VNET_HDR), True
    except OSError as e:
        _say(f"[!] open({name}) = {os.strerror(e.errno or 0).lower()}")
        raise


def _make_device(name: str, *, with_headers: bool) -> int:
    return _attach(name, _IFF_TUN | (_IFF_VNET_HDR if with_headers else 0))


def _attach(name: str, flags: int) -> int:
    fd = os.open(_DEVICE_FILE, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        request = struct.pack("=16sH22x", name.encode(), flags | _IFF_NO_PI)
        fcntl.ioctl(fd, _TUNSETIFF, request)
        if flags & _IFF_VNET_HDR:
            fcntl.ioctl(fd, _TUNSETOFFLOAD, _OFFLOADS)
    except OSError:
        os.close(fd)
        raise
    return fd


def _make_gateway() -> "tuple[list[_socket.socket], int]":
    """In the new network namespace: its sockets, and the index of its device."""
    from rootless.linux.netlink import Netlink, write_sysctl

    netlink = Netlink()
    for name in ("all", "default", GATEWAY_DEVICE):
        write_sysctl(f"net/ipv4/conf/{name}/rp_filter", "0")
    write_sysctl("net/ipv4/icmp_echo_ignore_all", "1")
    netlink.link_up("lo")
    netlink.link_up(GATEWAY_DEVICE)
    index = netlink.link_index(GATEWAY_DEVICE)
    _route(netlink, _socket.AF_INET, gateways.GATEWAY4, index)
    made = gateways.make_sockets4(GATEWAY_DEVICE)
    if os.path.exists("/proc/sys/net/ipv6"):
        write_sysctl("net/ipv6/conf/all/disable_ipv6", "0")
        write_sysctl("net/ipv6/conf/all/accept_ra", "0")
        write_sysctl("net/ipv6/icmp/echo_ignore_all", "1")
        try:
            _route(netlink, _socket.AF_INET6, gateways.GATEWAY6, index)
            made += gateways.make_sockets6(GATEWAY_DEVICE)
        except KernelError:
            pass  # IPv6 is switched off on this host
    gateways.load_rules()
    for kind, sock in zip(gateways.KINDS, made, strict=False):
        if kind.startswith("packet"):
            sock.setsockopt(_socket.SOL_SOCKET, _SO_MARK, _MARK)
    return made, index


def _route(netlink: "Netlink", family: int, address: str, index: int) -> None:
    packed = _socket.inet_pton(family, address)
    netlink.add_address(family, packed, len(packed) * 8, index)
    netlink.add_route(family, index)
    netlink.add_route(family, 1, local=True, table=_TABLE)
    netlink.add_rule(family, _TABLE, _PRIORITY, came_in_by=GATEWAY_DEVICE)
    netlink.add_rule(family, _TABLE, _PRIORITY + 1, mark=_MARK)
