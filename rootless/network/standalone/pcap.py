"""-pcap: a capture of what passes, in the form of tcpdump.

https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-03.html; packets without the Ethernet header
(LINKTYPE_RAW), and the bodies of ARP packets, as slirpnetstack writes them.
"""

import os
import struct
import time

_MAGIC, _VERSION, _LINKTYPE_RAW = 0xA1B2C3D4, (2, 4), 101
_SNAPLEN = 65535


class Capture:
    """One file.  Raises OSError where it can't be written at first; later what doesn't fit is
    left out."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.write(
            self._fd, struct.pack("=IHHiIII", _MAGIC, *_VERSION, 0, 0, _SNAPLEN, _LINKTYPE_RAW)
        )

    def write(self, packet: "bytes | memoryview") -> None:
        kept = packet[:_SNAPLEN]
        now = time.time_ns() // 1000
        header = struct.pack("=IIII", now // 1000000, now % 1000000, len(kept), len(packet))
        try:
            os.writev(self._fd, [header, kept])
        except OSError:
            pass  # a full disk stops the capture, not the network

    def close(self) -> None:
        os.close(self._fd)
