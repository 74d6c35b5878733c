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
_NEWTABLE, _DELTABLE, _NEWCHAIN, _NEWRULE, _NEWSET = 0, 2, 3, 6, 9
_NEWSETELEM, _DELSETELEM = 12, 14
_APPEND = 0x800  # NLM_F_APPEND
_NFPROTO_INET = 1
PREROUTING, FORWARD, POSTROUTING = 0, 2, 4
MANGLE, FILTER, SOURCE_NAT = -150, 0, 100
_REGISTER, _VERDICT = 1, 0
_META_IIF, _META_OIF, _META_OIFNAME, _META_NFPROTO, _META_L4PROTO = 4, 5, 7, 15, 16
_IFNAMSIZ = 16
_CT_STATE = 0
ESTABLISHED_OR_RELATED = 2 | 4
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_ICMPX_UNREACHABLE, _ADMIN_PROHIBITED, _TCP_RESET = 2, 3, 1
DROP, ACCEPT, JUMP, GOTO, RETURN = 0, 1, -3, -4, -5
_EQUAL, _NOT_EQUAL, _AT_MOST, _AT_LEAST = 0, 1, 3, 5
_SET_TIMEOUT = 0x10
_ADDRESS4_TYPE, _ADDRESS6_TYPE = 7, 8  # what nft(8) calls them; the kernel keeps the number


def meta_is(key: int, value: bytes) -> bytes:
    """Go on if the packet's `key` is `value`."""
    return _expression(
        "meta", _attribute(2, _be32(key)) + _attribute(1, _be32(_REGISTER))
    ) + _compare(value)


def came_in_by(index: int) -> bytes:
    return meta_is(_META_IIF, struct.pack("=I", index))


def goes_out_by(device: "int | str") -> bytes:
    """By the device with this index, or this name whenever there is one."""
    if isinstance(device, int):
        return meta_is(_META_OIF, struct.pack("=I", device))
    return meta_is(_META_OIFNAME, device.encode().ljust(_IFNAMSIZ, b"\0"))


def protocol_is(number: int) -> bytes:
    return meta_is(_META_L4PROTO, bytes([number]))


def tcp_flags_are(mask: int, value: int) -> bytes:
    """Go on if the TCP header's flags under `mask` are `value`."""
    return _payload_is(_TRANSPORT_HEADER, 13, bytes([mask]), bytes([value]))


def comes_from(address: bytes, bits: int) -> bytes:
    """Go on if the packet's source is of this network."""
    return _address_is(address, bits, {4: 12, 16: 8})


def goes_to(address: bytes, bits: int) -> bytes:
    """Go on if the packet's destination is of this network."""
    return _address_is(address, bits, {4: 16, 16: 24})


def goes_to_one_of(name: str, family: int) -> bytes:
    """Go on if the packet's destination is in the set `name`, of IPv4 (4) or IPv6 (6)."""
    size, offset = (4, 16) if family == 4 else (16, 24)
    known = meta_is(_META_NFPROTO, bytes([2 if family == 4 else 10]))
    lookup = _text(1, name) + _attribute(2, _be32(_REGISTER))
    return known + _load(_NETWORK_HEADER, offset, size) + _expression("lookup", lookup)


def port_is(first: int, last: int) -> bytes:
    """Go on if the destination's port, of TCP or UDP, is one of these."""
    found = _load(_TRANSPORT_HEADER, 2, 2)
    if first == last:
        return found + _compare(struct.pack("!H", first))
    return (
        found
        + _compare(struct.pack("!H", first), _AT_LEAST)
        + _compare(struct.pack("!H", last), _AT_MOST)
    )


def log(group: int, prefix: str, size: int) -> bytes:
    """Copy the first `size` bytes of the packet to who listens on that group: nfnetlink_log."""
    return _expression(
        "log",
        _attribute(1, struct.pack("!H", group))
        + _text(2, prefix)
        + _attribute(3, _be32(size))
        + _attribute(4, struct.pack("!H", 1)),
    )


def _address_is(address: bytes, bits: int, places: "dict[int, int]") -> bytes:
    size = len(address)
    mask = ((1 << 8 * size) - (1 << 8 * size - bits)).to_bytes(size, "big")
    first = (int.from_bytes(address, "big") & int.from_bytes(mask, "big")).to_bytes(size, "big")
    family = 2 if size == 4 else 10
    return meta_is(_META_NFPROTO, bytes([family])) + _payload_is(
        _NETWORK_HEADER, places[size], mask, first
    )


def _payload_is(base: int, offset: int, mask: bytes, value: bytes) -> bytes:
    return _load(base, offset, len(mask)) + _masked(mask) + _compare(value)


def _load(base: int, offset: int, size: int) -> bytes:
    load = (
        _attribute(1, _be32(_REGISTER))
        + _attribute(2, _be32(base))
        + _attribute(3, _be32(offset))
        + _attribute(4, _be32(size))
    )
    return _expression("payload", load)


def _masked(mask: bytes) -> bytes:
    select = (
        _attribute(1, _be32(_REGISTER))
        + _attribute(2, _be32(_REGISTER))
        + _attribute(3, _be32(len(mask)))
        + _nested(4, _attribute(1, mask))
        + _nested(5, _attribute(1, bytes(len(mask))))
    )
    return _expression("bitwise", select)


def connection_is(states: int) -> bytes:
    """Go on if the packet's connection is in one of the `states` (bits of nf_conntrack)."""
    load = _attribute(1, _be32(_REGISTER)) + _attribute(2, _be32(_CT_STATE))
    mask = struct.pack("=I", states)
    return _expression("ct", load) + _masked(mask) + _compare(bytes(4), _NOT_EQUAL)


def reject() -> bytes:
    """Answer with ICMP that it is forbidden."""
    kind = _attribute(1, _be32(_ICMPX_UNREACHABLE)) + _attribute(2, bytes([_ADMIN_PROHIBITED]))
    return _expression("reject", kind)


def reset() -> bytes:
    """Answer TCP with a reset."""
    return _expression("reject", _attribute(1, _be32(_TCP_RESET)) + _attribute(2, b"\0"))


def masquerade() -> bytes:
    """Give the packet the address of the device that it leaves by."""
    return _expression("masq", b"")


def to_socket(port: int) -> bytes:
    """Deliver the packet to the transparent socket that listens on `port`, or to the one that is
    connected to its sender; its destination stays.  Documentation/networking/tproxy.rst."""
    value = _nested(2, _attribute(1, struct.pack("!H", port)))
    load = _attribute(1, _be32(_REGISTER)) + value
    return _expression("immediate", load) + _expression(
        "tproxy", _attribute(1, _be32(0)) + _attribute(3, _be32(_REGISTER))
    )


def verdict(code: int, chain: str = "") -> bytes:
    """DROP, ACCEPT, RETURN, or JUMP and GOTO to a chain."""
    where = _text(2, chain) if chain else b""
    data = _nested(2, _nested(2, _attribute(1, _be32(code)) + where))
    return _expression("immediate", _attribute(1, _be32(_VERDICT)) + data)


class Chain:
    """A chain of a table: its rules, each of them expressions; and where packets come into it,
    unless it is only jumped to."""

    __slots__ = ("hook", "kind", "name", "policy", "priority", "rules")

    def __init__(
        self,
        name: str,
        rules: "list[bytes]",
        *,
        kind: str = "",
        hook: int = 0,
        priority: int = 0,
        policy: int = ACCEPT,
    ) -> None:
        self.name = name
        self.rules = rules
        self.kind = kind  # "filter" or "nat", "" for one that is jumped to
        self.hook = hook
        self.priority = priority
        self.policy = policy


def load(table: str, rules: "list[bytes]") -> None:
    """Make `table` with one chain, before routing, of `rules`.  Raises as replace()."""
    replace(table, [Chain("in", rules, kind="filter", hook=PREROUTING, priority=MANGLE)])


def replace(
    table: str, chains: "list[Chain]", sets: "dict[str, dict[bytes, int]] | None" = None
) -> None:
    """Let `table` have these chains and sets and no others, all at once.

    `sets` are of addresses, each with the milliseconds that it stays; a name ends in 4 or 6 for
    the family.  Raises KernelError: ENOENT or EOPNOTSUPP where the kernel has not what a rule
    needs.
    """
    netlink = Netlink(NETLINK_NETFILTER)
    sets = sets or {}
    # Removed and made: one that was not there would be no table to be removed.
    requests = [(_NEWTABLE, _text(1, table)), (_DELTABLE, _text(1, table)),
                (_NEWTABLE, _text(1, table))]  # fmt: skip
    for number, name in enumerate(sets, 1):
        requests.append((_NEWSET, _set(table, name, number)))
        if sets[name]:
            requests.append((_NEWSETELEM, _elements(table, name, sets[name])))
    requests += [(_NEWCHAIN, _chain(table, chain)) for chain in chains]
    for chain in chains:
        for rule in chain.rules:
            body = _text(1, table) + _text(2, chain.name) + _nested(4, rule)
            requests.append((_NEWRULE, body))
    try:
        _send(netlink, requests)
    finally:
        netlink.close()


def add_elements(
    netlink: Netlink,
    table: str,
    name: str,
    elements: "dict[bytes, int]",
    renewed: "list[bytes]",
) -> None:
    """Add addresses to a set of a table that is there; those of them that are `renewed` are in it
    with another time.  Raises KernelError."""
    requests = [(_NEWSETELEM, _elements(table, name, elements))]
    if renewed:
        gone = _elements(table, name, dict.fromkeys(renewed, 0))
        requests.insert(0, (_DELSETELEM, gone))
    _send(netlink, requests)


def _send(netlink: Netlink, requests: "list[tuple[int, bytes]]") -> None:
    """All of them or none."""
    batch = netlink.message(_BATCH_BEGIN, 0, struct.pack("!BBH", 0, 0, _SUBSYSTEM))
    for kind, body in requests:
        deletes = kind in (_DELTABLE, _DELSETELEM)
        flags = NLM_F_ACK if deletes else NLM_F_CREATE | NLM_F_ACK
        batch += netlink.message(
            _SUBSYSTEM << 8 | kind,
            flags | (_APPEND if kind == _NEWRULE else 0),
            struct.pack("!BBH", _NFPROTO_INET, 0, 0) + body,
        )
    batch += netlink.message(_BATCH_END, 0, struct.pack("!BBH", 0, 0, _SUBSYSTEM))
    netlink.send(batch, len(requests), "nftables")


def _set(table: str, name: str, number: int) -> bytes:
    kind, size = (_ADDRESS4_TYPE, 4) if name.endswith("4") else (_ADDRESS6_TYPE, 16)
    return (
        _text(1, table)
        + _text(2, name)
        + _attribute(3, _be32(_SET_TIMEOUT))
        + _attribute(4, _be32(kind))
        + _attribute(5, _be32(size))
        + _attribute(10, _be32(number))
    )


def _elements(table: str, name: str, elements: "dict[bytes, int]") -> bytes:
    inner = [
        _nested(
            1,
            _nested(1, _attribute(1, address)),
            _attribute(4, struct.pack("!Q", left_ms)) if left_ms else b"",
        )
        for address, left_ms in elements.items()
    ]
    return _text(1, table) + _text(2, name) + _nested(3, *inner)


def _chain(table: str, chain: Chain) -> bytes:
    body = _text(1, table) + _text(3, chain.name)
    if chain.kind:
        body += _nested(4, _attribute(1, _be32(chain.hook)), _attribute(2, _be32(chain.priority)))
        body += _attribute(5, _be32(chain.policy)) + _text(7, chain.kind)
    return body


def _expression(name: str, data: bytes) -> bytes:
    return _nested(1, _text(1, name), _nested(2, data))


def _compare(value: bytes, operation: int = _EQUAL) -> bytes:
    data = _attribute(1, _be32(_REGISTER)) + _attribute(2, _be32(operation))
    return _expression("cmp", data + _nested(3, _attribute(1, value)))


def _be32(value: int) -> bytes:
    return struct.pack("!i", value)
