"""The few packets that we read and make ourselves.  Pure.

RFC 791, 792, 4443, 8200, 9293.  Addresses are packed: 4 or 16 bytes.
"""

import struct

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
_HOPS = 64
# What an ICMP error says, as (type, code) for IPv4 and IPv6.
NO_ROUTE, NO_HOST, NO_PORT, PROHIBITED = 0, 1, 2, 3
_ERRORS = {
    NO_ROUTE: ((3, 0), (1, 0)),
    NO_HOST: ((3, 1), (1, 3)),
    NO_PORT: ((3, 3), (1, 4)),
    PROHIBITED: ((3, 13), (1, 1)),
}


def checksum(data: bytes) -> int:
    """The Internet checksum, RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Syn:
    """A TCP segment that opens a connection, with its IP header."""

    __slots__ = ("destination", "destination_port", "packet", "sequence", "source", "source_port")

    def __init__(self, packet: bytes, source: bytes, destination: bytes, header: int) -> None:
        self.packet = packet
        self.source = source
        self.destination = destination
        self.source_port, self.destination_port, self.sequence = struct.unpack_from(
            "!HHI", packet, header
        )

    @property
    def key(self) -> "tuple[bytes, int, bytes, int]":
        return self.source, self.source_port, self.destination, self.destination_port


def parse_syn(packet: bytes) -> "Syn | None":
    """The SYN in an IP packet, its TCP checksum made right: the container's kernel left that to
    a network card.  None for what is none."""
    if len(packet) < 40:
        return None
    if packet[0] >> 4 == 4:
        header = (packet[0] & 15) * 4
        total = struct.unpack_from("!H", packet, 2)[0]
        source, destination = packet[12:16], packet[16:20]
    else:
        header, total = 40, 40 + struct.unpack_from("!H", packet, 4)[0]
        source, destination = packet[8:24], packet[24:40]
    packet = packet[:total]
    if len(packet) != total or total < header + 20:
        return None
    segment = bytearray(packet[header:])
    segment[16:18] = b"\0\0"
    struct.pack_into("!H", segment, 16, transport_sum(TCP, source, destination, bytes(segment)))
    return Syn(packet[:header] + bytes(segment), source, destination, header)


def refuse(syn: Syn) -> bytes:
    """The reset that answers `syn` where nobody listens: RFC 9293, 3.10.7.1."""
    segment = struct.pack(
        "!HHIIBBHHH", syn.destination_port, syn.source_port, 0,
        (syn.sequence + 1) & 0xFFFFFFFF, 5 << 4, 0x14, 0, 0, 0,
    )  # fmt: skip
    value = transport_sum(TCP, syn.destination, syn.source, segment)
    segment = segment[:16] + struct.pack("!H", value) + segment[18:]
    return ip(TCP, syn.destination, syn.source, segment)


def unreachable(error: int, packet: bytes, sender: bytes) -> bytes:
    """The ICMP error that tells the sender of `packet` (IP header first) why it was not
    delivered; `sender` is who says so."""
    if packet[0] >> 4 == 4:
        kind, code = _ERRORS[error][0]
        body = struct.pack("!BBHI", kind, code, 0, 0) + packet[:548]
        body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
        return ip(ICMP, sender, packet[12:16], body)
    kind, code = _ERRORS[error][1]
    body = struct.pack("!BBHI", kind, code, 0, 0) + packet[:1200]
    value = transport_sum(ICMPV6, sender, packet[8:24], body)
    return ip(ICMPV6, sender, packet[8:24], body[:2] + struct.pack("!H", value) + body[4:])


def echo_reply(source: bytes, destination: bytes, rest: bytes) -> bytes:
    """An ICMP echo reply; `rest` is what follows the checksum: identifier, sequence, data."""
    if len(source) == 4:
        body = b"\0\0" + struct.pack("!H", checksum(b"\0\0\0\0" + rest)) + rest
        return ip(ICMP, source, destination, body)
    value = transport_sum(ICMPV6, source, destination, b"\x81\0\0\0" + rest)
    return ip(ICMPV6, source, destination, b"\x81\0" + struct.pack("!H", value) + rest)


def datagram(source: bytes, source_port: int, destination: bytes, port: int, data: bytes) -> bytes:
    """A UDP packet."""
    body = struct.pack("!HHHH", source_port, port, 8 + len(data), 0) + data
    value = transport_sum(UDP, source, destination, body) or 0xFFFF
    return ip(UDP, source, destination, body[:6] + struct.pack("!H", value) + body[8:])


def ip(protocol: int, source: bytes, destination: bytes, body: bytes) -> bytes:
    """`body` behind an IP header; IPv4's checksum and identification are the kernel's (raw(7))."""
    if len(source) == 4:
        return (
            struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, _HOPS, protocol, 0)
            + source + destination + body
        )  # fmt: skip
    return struct.pack("!IHBB", 6 << 28, len(body), protocol, _HOPS) + source + destination + body


def transport_sum(protocol: int, source: bytes, destination: bytes, body: bytes) -> int:
    """The checksum of `body` with its pseudo header: RFC 9293, 3.1; RFC 8200, 8.1."""
    if len(source) == 4:
        pseudo = struct.pack("!BBH", 0, protocol, len(body))
    else:
        pseudo = struct.pack("!II", len(body), protocol)
    return checksum(source + destination + pseudo + body)
