"""Addresses as bytes, and networks of them.  Pure."""

import _socket


class Prefix:
    """A network: its address as a number, and the bits that count."""

    __slots__ = ("bits", "size", "value")

    def __init__(self, address: bytes, bits: int) -> None:
        self.size = len(address)
        self.bits = self.size * 8 - bits
        self.value = int.from_bytes(address, "big") >> self.bits

    def has(self, address: bytes) -> bool:
        return (
            len(address) == self.size and int.from_bytes(address, "big") >> self.bits == self.value
        )


def prefix(text: str) -> Prefix:
    """The Prefix of "10.0.0.0/8"."""
    address, _, bits = text.partition("/")
    return Prefix(packed(address), int(bits))


def packed(address: str) -> bytes:
    """The bytes of an IPv4 or IPv6 address."""
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    return _socket.inet_pton(family, address)


def shown(address: bytes) -> str:
    """The text of a packed address."""
    family = _socket.AF_INET if len(address) == 4 else _socket.AF_INET6
    return _socket.inet_ntop(family, address)
