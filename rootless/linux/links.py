"""Bridges, and pairs of devices on them: rtnetlink(7), bridge(8).

include/uapi/linux/if_link.h.  What all networks need is in rootless.linux.netlink.
"""

import errno
import struct

from rootless.errors import KernelError
from rootless.linux.netlink import (
    IFLA_ADDRESS,
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    IFLA_MTU,
    NLM_F_CREATE,
    NLM_F_EXCL,
    RTM_GETLINK,
    RTM_NEWLINK,
    VETH_INFO_PEER,
    attribute,
    attributes,
    nested,
    text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.linux.netlink import Netlink

_RTM_DELLINK, _RTM_SETLINK, _RTM_DELROUTE = 17, 19, 25
_IFLA_MASTER, _IFLA_PROTINFO, _IFLA_NET_NS_FD = 10, 12, 28
_IFLA_BRPORT_ISOLATED = 33
_AF_BRIDGE = 7
_RT_TABLE_MAIN = 254


def add_bridge(netlink: "Netlink", name: str, mac: bytes, mtu: int) -> bool:
    """Make a bridge with a fixed address; False when it is there already."""
    body = (
        bytes(16)
        + text(IFLA_IFNAME, name)
        + attribute(IFLA_ADDRESS, mac)
        + attribute(IFLA_MTU, struct.pack("=I", mtu))
        + nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "bridge"))
    )
    try:
        netlink.change(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, "bridge")
    except KernelError as e:
        if e.errno == errno.EEXIST:
            return False
        raise
    return True


def add_port(
    netlink: "Netlink",
    name: str,
    bridge: int,
    peer: str,
    peer_namespace_fd: int,
    mac: bytes,
    mtu: int,
) -> None:
    """A pair of devices: `name` on the bridge with the index `bridge`, `peer` in that network
    namespace with the address `mac`."""
    size = attribute(IFLA_MTU, struct.pack("=I", mtu))
    there = (
        bytes(16)
        + text(IFLA_IFNAME, peer)
        + size
        + attribute(IFLA_ADDRESS, mac)
        + attribute(_IFLA_NET_NS_FD, struct.pack("=i", peer_namespace_fd))
    )
    body = (
        bytes(16)
        + text(IFLA_IFNAME, name)
        + size
        + attribute(_IFLA_MASTER, struct.pack("=i", bridge))
        + nested(
            IFLA_LINKINFO,
            text(IFLA_INFO_KIND, "veth"),
            nested(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, there)),
        )
    )
    netlink.change(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, "veth")


def isolate_port(netlink: "Netlink", name: str) -> None:
    """Let the port of a bridge reach no other such port."""
    body = struct.pack("=BxHiII", _AF_BRIDGE, 0, netlink.link_index(name), 0, 0)
    body += nested(_IFLA_PROTINFO, attribute(_IFLA_BRPORT_ISOLATED, b"\1"))
    netlink.change(_RTM_SETLINK, 0, body, name)


def remove(netlink: "Netlink", name: str) -> None:
    """Remove a device; one that is gone is no error."""
    try:
        netlink.change(_RTM_DELLINK, 0, bytes(16) + text(IFLA_IFNAME, name), name)
    except KernelError as e:
        if e.errno != errno.ENODEV:
            raise


def names(netlink: "Netlink") -> "list[str]":
    """All devices of the namespace."""
    found = netlink.dump(RTM_GETLINK, bytes(16), "links")
    return [attributes(body[16:])[IFLA_IFNAME].rstrip(b"\0").decode() for body in found]


def drop_default_route(netlink: "Netlink", family: int) -> None:
    """Remove the default route, if there is one."""
    body = struct.pack("=BBBBBBBBI", family, 0, 0, 0, _RT_TABLE_MAIN, 0, 255, 0, 0)
    try:
        netlink.change(_RTM_DELROUTE, 0, body, "route")
    except KernelError as e:
        if e.errno not in (errno.ESRCH, errno.ENOENT):
            raise
