"""The few nftables rules that rl needs, as netlink messages.

include/uapi/linux/netfilter/nf_tables.h.  Numbers in them are in network byte order; a rule is a
list of expressions, each of which loads a register, compares one, or decides.
"""

import struct

from rootless.linux.netlink import NETLINK_NETFILTER, NLM_F_ACK, NLM_F_CREATE, Netlink
from rootless.linux.netlink import attribute as _attribute
from rootless.linux.netlink import nested as _nested
from rootless.linux.netlink import text as _text

_SUBSYSTEM = 10
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEWTABLE, _NEWCHAIN, _NEWRULE = 0, 3, 6
_NFPROTO_INET = 1
_PREROUTING, _MANGLE = 0, -150
_REGISTER, _VERDICT = 1, 0
_META_IIF, _META_L4PROTO = 4, 16
DROP, ACCEPT = 0, 1


def meta_is(key: int, value: bytes) -> bytes:
    """Go on if the packet's `key` is `value`."""
    return _expression(
        "meta", _attribute(2, _be32(key)) + _attribute(1, _be32(_REGISTER))
    ) + _compare(value)


def came_in_by(index: int) -> bytes:
    return meta_is(_META_IIF, struct.pack("=I", index))


def protocol_is(number: int) -> bytes:
    return meta_is(_META_L4PROTO, bytes([number]))


def tcp_flags_are(mask: int, value: int) -> bytes:
    """Go on if the TCP header's flags under `mask` are `value`."""
    transport, offset = 2, 13
    load = (
        _attribute(1, _be32(_REGISTER))
        + _attribute(2, _be32(transport))
        + _attribute(3, _be32(offset))
        + _attribute(4, _be32(1))
    )
    select = (
        _attribute(1, _be32(_REGISTER))
        + _attribute(2, _be32(_REGISTER))
        + _attribute(3, _be32(1))
        + _nested(4, _attribute(1, bytes([mask])))
        + _nested(5, _attribute(1, b"\0"))
    )
    return _expression("payload", load) + _expression("bitwise", select) + _compare(bytes([value]))


def to_socket(port: int) -> bytes:
    """Deliver the packet to the transparent socket that listens on `port`, or to the one that is
    connected to its sender; its destination stays.  Documentation/networking/tproxy.rst."""
    value = _nested(2, _attribute(1, struct.pack("!H", port)))
    load = _attribute(1, _be32(_REGISTER)) + value
    return _expression("immediate", load) + _expression(
        "tproxy", _attribute(1, _be32(0)) + _attribute(3, _be32(_REGISTER))
    )


def verdict(code: int) -> bytes:
    """DROP or ACCEPT."""
    data = _nested(2, _nested(2, _attribute(1, _be32(code))))
    return _expression("immediate", _attribute(1, _be32(_VERDICT)) + data)


def load(table: str, rules: "list[bytes]") -> None:
    """Make `table` with one chain, before routing, of `rules`.  Raises KernelError: ENOENT or
    EOPNOTSUPP where the kernel has not what a rule needs."""
    netlink = Netlink(NETLINK_NETFILTER)
    hook = _nested(4, _attribute(1, _be32(_PREROUTING)), _attribute(2, _be32(_MANGLE)))
    chain = _text(1, table) + _text(3, "in") + hook + _text(7, "filter")
    requests = [(_NEWTABLE, _text(1, table)), (_NEWCHAIN, chain)]
    for rule in rules:
        body = _text(1, table) + _text(2, "in") + _nested(4, rule)
        requests.append((_NEWRULE, body))
    batch = netlink.message(_BATCH_BEGIN, 0, struct.pack("!BBH", 0, 0, _SUBSYSTEM))
    for kind, body in requests:
        batch += netlink.message(
            _SUBSYSTEM << 8 | kind,
            NLM_F_CREATE | NLM_F_ACK | (0x800 if kind == _NEWRULE else 0),  # NLM_F_APPEND
            struct.pack("!BBH", _NFPROTO_INET, 0, 0) + body,
        )
    batch += netlink.message(_BATCH_END, 0, struct.pack("!BBH", 0, 0, _SUBSYSTEM))
    try:
        netlink.send(batch, len(requests), "nftables")
    finally:
        netlink.close()


def _expression(name: str, data: bytes) -> bytes:
    return _nested(1, _text(1, name), _nested(2, data))


def _compare(value: bytes) -> bytes:
    data = _attribute(1, _be32(_REGISTER)) + _attribute(2, _be32(0))
    return _expression("cmp", data + _nested(3, _attribute(1, value)))


def _be32(value: int) -> bytes:
    return struct.pack("!i", value)
