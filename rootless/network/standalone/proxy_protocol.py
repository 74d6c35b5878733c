"""Who a proxy says its client is.  Pure.

https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt, version 1 (one line of text) and 2;
for datagrams Cloudflare's "simple proxy protocol": 38 bytes in front of each.
"""

import struct

from rootless.network.stack.addresses import packed, shown
from rootless.network.stack.inflow import unmapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LINE_MAX = 108  # version 1: 107 characters, and a zero of the specification's buffer
SIMPLE = 38
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_SIMPLE_MAGIC = 0x56EC


class Client:
    """`size` bytes of header; the client's end and the one that it asked, None where the proxy
    speaks for itself."""

    def __init__(
        self, size: int, source: "tuple[str, int] | None", asked: "tuple[str, int] | None"
    ) -> None:
        self.size = size
        self.source = source
        self.asked = asked


def parse(data: bytes) -> "Client | None":
    """The header that `data` begins with; None where it is not complete.  Raises ValueError."""
    if data.startswith(_SIGNATURE):
        return _parse_binary(data)
    if _SIGNATURE.startswith(data):
        return None
    line, newline, _ = data[:LINE_MAX].partition(b"\n")
    if not newline:
        if len(data) >= LINE_MAX or not (b"PROXY " + data[6:]).startswith(data):
            raise ValueError("bad magic number")
        return None
    size = len(line) + 1
    words = line.removesuffix(b"\r").decode("latin-1").split(" ")
    if not line.endswith(b"\r") or words[0] != "PROXY":
        raise ValueError("bad magic number")
    if words[1:2] == ["UNKNOWN"]:
        return Client(size, None, None)
    if words[1:2] not in (["TCP4"], ["TCP6"]) or len(words) != 6:
        raise ValueError("bad magic number")
    return Client(size, _end(words[2], words[4]), _end(words[3], words[5]))


def _end(address: str, port: str) -> "tuple[str, int]":
    try:
        packed(address)
    except OSError as e:
        raise ValueError("bad magic number") from e
    if not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise ValueError("bad magic number")
    return address, int(port)


def _parse_binary(data: bytes) -> "Client | None":
    if len(data) < 16:
        return None
    command, family, size = struct.unpack_from("!BBH", data, 12)
    if command not in (0x20, 0x21):
        raise ValueError("bad magic number")
    if len(data) < 16 + size:
        return None
    body: Any = data[16 : 16 + size]
    width = {0x11: 4, 0x21: 16}.get(family, 0)
    if command == 0x20 or not width or size < 2 * width + 4:
        return Client(16 + size, None, None)
    ports = struct.unpack_from("!HH", body, 2 * width)
    source, asked = shown(body[:width]), shown(body[width : 2 * width])
    return Client(16 + size, (source, ports[0]), (asked, ports[1]))


def parse_simple(data: bytes) -> Client:
    """The header of a datagram.  Raises ValueError."""
    if len(data) < SIMPLE:
        raise ValueError("unexpected EOF")
    magic, source, asked, source_port, port = struct.unpack_from("!H16s16sHH", data)
    if magic != _SIMPLE_MAGIC:
        raise ValueError("spp: bad magic number")
    return Client(SIMPLE, (_simple(source), source_port), (_simple(asked), port))


def _simple(address: bytes) -> str:
    return unmapped(shown(address))
