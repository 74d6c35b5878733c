"""Packets between the caller's device and the gateway's.

The caller's is a tun or tap device, or a datagram socket with Ethernet frames; the gateway's is a
tun device.  Between two devices the kernel's large, unsegmented packets go through as they are
(IFF_VNET_HDR): Documentation/networking/tuntap.rst.
"""

import os

from rootless.network.stack import gateway as gateways
from rootless.network.stack.addresses import packed
from rootless.network.stack.loop import ERR, HUP, IN, OUT, Loop
from rootless.network.standalone import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.network.standalone.pcap import Capture

_PACKET_MAX = 65536 + 64
_BURST = 64
_HELD_MAX = 64  # packets for a guest whose hardware address we don't know yet


class Tap:
    """`ethernet`: frames; `vnet`: a struct virtio_net_hdr is in front of them, on both sides.
    `gone()` is called when the caller's side is no more."""

    def __init__(
        self,
        loop: Loop,
        guest_fd: int,
        gateway_fd: int,
        *,
        ethernet: bool,
        vnet: bool,
        guest_mac: bytes,
        capture: "Capture | None",
        gone: "Callable[[], None]",
    ) -> None:
        self._loop = loop
        self._guest_fd = guest_fd
        self._gateway_fd = gateway_fd
        self._vnet = vnet
        self._capture = capture
        self._gone = gone
        self._guest_mac = guest_mac
        self._held: list[bytes] = []  # packets, until we know whom to send them to
        self._unsent: list[bytes] = []  # what the guest's queue has no room for
        self._header = bytearray(frames.VNET if vnet else 0)
        self._frame = bytearray(frames.HEADER if ethernet else 0)
        self._packet = bytearray(_PACKET_MAX)
        self._view = memoryview(self._packet)
        for fd in (guest_fd, gateway_fd):
            os.set_blocking(fd, False)
        loop.watch(guest_fd, self._on_guest, IN)
        loop.watch(gateway_fd, self._on_gateway, IN)
        if ethernet and not guest_mac:
            self._send(frames.arp_request(packed(gateways.GATEWAY4), packed(gateways.IP4)))

    # From the guest.

    def _on_guest(self, events: int) -> None:
        if events & OUT:
            self._on_room()
        into = [part for part in (self._header, self._frame, self._view) if len(part)]
        before = len(self._header) + len(self._frame)
        for _ in range(_BURST):
            try:
                size = os.readv(self._guest_fd, into) - before
            except BlockingIOError:
                break
            except OSError:
                self._gone()
                return
            if size <= 0:
                break
            self._take(size)
        if events & (HUP | ERR):
            self._gone()

    def _take(self, size: int) -> None:
        packet = self._view[:size]
        kind = bytes(self._frame[12:14])
        if self._frame:
            self._know(bytes(self._frame[6:12]))
        else:
            kind = frames.IP6 if packet[0] >> 4 == 6 else frames.IP4
        if self._capture is not None:
            self._capture.write(packet)
        if kind == frames.ARP:
            self._answer(frames.arp_reply(bytes(packet)))
        elif kind == frames.IP6 and self._frame and frames.is_solicitation(packet):
            self._answer(frames.advertisement(bytes(packet), bytes(self._frame[6:12])))
        elif kind in (frames.IP4, frames.IP6):
            if self._vnet and self._frame:
                frames.shift(self._header, -frames.HEADER)
            try:
                os.writev(self._gateway_fd, [*([self._header] if self._vnet else []), packet])
            except OSError:
                pass  # no packet that the kernel takes, or no memory: it is lost, as on a wire

    def _know(self, mac: bytes) -> None:
        """The guest's hardware address."""
        if mac != self._guest_mac and not mac[0] & 1:
            self._guest_mac = mac
            held, self._held = self._held, []
            for packet in held:
                self._frame_out(packet)

    # To the guest.

    def _on_gateway(self, _events: int) -> None:
        into = [part for part in (self._header, self._view) if len(part)]
        for _ in range(_BURST):
            if self._unsent:
                return
            try:
                size = os.readv(self._gateway_fd, into) - len(self._header)
            except OSError:
                return
            if size <= 0:
                return
            packet = self._view[:size]
            if self._capture is not None:
                self._capture.write(packet)
            if not self._frame:
                self._send(bytes(self._header) + bytes(packet))
            elif self._guest_mac:
                self._frame_out(packet)
            elif len(self._held) < _HELD_MAX:
                self._held.append(bytes(packet))

    def _frame_out(self, packet: "bytes | memoryview") -> None:
        kind = frames.IP6 if packet[0] >> 4 == 6 else frames.IP4
        if self._vnet:
            frames.shift(self._header, frames.HEADER)
        self._send(b"".join((self._header, self._guest_mac, frames.MAC, kind, packet)))

    def _answer(self, frame: bytes) -> None:
        """A frame that we made ourselves."""
        if frame:
            if self._capture is not None:
                self._capture.write(frame[frames.HEADER :])
            self._send(bytes(len(self._header)) + frame)

    def _send(self, data: bytes) -> None:
        if not self._unsent:
            try:
                os.write(self._guest_fd, data)
                return
            except BlockingIOError:
                # The queue of a UNIX socket is full: the gateway isn't read until there is room.
                self._loop.forget(self._gateway_fd)
                self._loop.change(self._guest_fd, self._on_guest, IN | OUT)
            except OSError:
                return
        if len(self._unsent) < _HELD_MAX:
            self._unsent.append(data)

    def _on_room(self) -> None:
        unsent, self._unsent = self._unsent, []
        while unsent:
            try:
                os.write(self._guest_fd, unsent[0])
            except BlockingIOError:
                self._unsent = unsent
                return
            except OSError:
                pass
            unsent.pop(0)
        self._loop.change(self._guest_fd, self._on_guest, IN)
        self._loop.watch(self._gateway_fd, self._on_gateway, IN)

    def close(self) -> None:
        for fd in (self._guest_fd, self._gateway_fd):
            self._loop.forget(fd)
            os.close(fd)
