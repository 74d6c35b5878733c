"""Ethernet frames of a tap device: who has an address, and what is around a packet.  Pure.

RFC 826 (ARP), RFC 4861 (neighbour discovery); struct virtio_net_hdr: linux/virtio_net.h.
"""

import struct

from rootless.network.stack import packets

MAC = bytes.fromhex("7071aa4b29aa")  # slirpnetstack's, and so ours
BROADCAST = b"\xff" * 6
HEADER = 14
ARP, IP4, IP6 = b"\x08\x06", b"\x08\x00", b"\x86\xdd"
VNET = 10  # the size of struct virtio_net_hdr
_SOLICITATION, _ADVERTISEMENT = 135, 136
_SOLICITED_OVERRIDE = 0x60000000
_TARGET_ADDRESS = 2


def arp_reply(body: bytes) -> bytes:
    """The frame that answers an ARP request with our address, whatever was asked for; b"" for
    no request, and for one that looks whether an address is free."""
    if len(body) < 28 or body[:8] != b"\0\1\x08\0\6\4\0\1":
        return b""
    sender_mac, sender, target = body[8:14], body[14:18], body[24:28]
    if sender in (target, bytes(4)):
        return b""
    reply = b"\0\1\x08\0\6\4\0\2" + MAC + target + sender_mac + sender
    return sender_mac + MAC + ARP + reply


def arp_request(sender: bytes, target: bytes) -> bytes:
    body = b"\0\1\x08\0\6\4\0\1" + MAC + sender + bytes(6) + target
    return BROADCAST + MAC + ARP + body


def is_solicitation(packet: "bytes | memoryview") -> bool:
    """Whether an IPv6 packet asks for a neighbour."""
    return len(packet) >= 64 and packet[6] == packets.ICMPV6 and packet[40] == _SOLICITATION


def advertisement(packet: bytes, receiver: bytes) -> bytes:
    """The frame that answers a neighbour solicitation; b"" for one that looks whether an address
    is free."""
    source, target = packet[8:24], packet[48:64]
    if source == bytes(16):
        return b""
    body = struct.pack("!BBHI", _ADVERTISEMENT, 0, 0, _SOLICITED_OVERRIDE) + target
    body += struct.pack("!BB", _TARGET_ADDRESS, 1) + MAC
    value = packets.transport_sum(packets.ICMPV6, target, source, body)
    body = body[:2] + struct.pack("!H", value) + body[4:]
    header = struct.pack("!IHBB", 6 << 28, len(body), packets.ICMPV6, 255) + target + source
    return receiver + MAC + IP6 + header + body


def shift(header: bytearray, by: int) -> None:
    """Move the offsets of a virtio_net_hdr: the packet has `by` bytes more in front of it."""
    flags, kind, size, segment, start, offset = struct.unpack("=BBHHHH", header)
    if kind and size:
        size = max(0, size + by)
    if flags & 1:  # VIRTIO_NET_HDR_F_NEEDS_CSUM
        start = max(0, start + by)
    header[:] = struct.pack("=BBHHHH", flags, kind, size, segment, start, offset)
