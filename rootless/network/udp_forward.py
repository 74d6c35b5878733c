"""Published UDP ports: datagrams between a socket of the host and sockets in the container.  Warm.

slirp4netns forwards UDP to the container but, with the host's loopback shut, loses the replies to
it; Debian's pasta loses them all.  So rl forwards UDP itself, in the loop of the container's
parent: for each client a connected socket of the container's own network namespace, so that
replies find their way back, forgotten when nothing has passed for a while.
"""

import _socket
import os
import time

from rootless.errors import NetworkError
from rootless.network import inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.network.driver import Watcher
    from rootless.network.ports import Port


IDLE_S = 180  # as the kernel's nf_conntrack_udp_timeout_stream was until Linux 5.1, and Docker's
FLOWS_MAX = 1024
_BURST = 64  # datagrams taken before others get their turn
_DATAGRAM_MAX = 65535
_IP_PKTINFO, _IPV6_RECVPKTINFO, _IPV6_PKTINFO = 8, 49, 50


class _Flow:
    __slots__ = ("answer", "client", "sock", "used")

    def __init__(self, sock: "_socket.socket", client: "Any", answer: "Any") -> None:
        self.sock = sock
        self.client = client
        self.answer = answer  # ancillary data that makes replies leave from the asked address
        self.used = time.monotonic()


class UdpForwarder:
    """One published port.  `listener` is bound already; `address` is the container's own."""

    def __init__(
        self,
        watcher: "Watcher",
        listener: "_socket.socket",
        port: "Port",
        address: str,
        pidfd: int,
    ) -> None:
        self._watcher = watcher
        self._listener = listener
        self._target = (address or "127.0.0.1", port.container_port)
        self._pidfd = os.dup(pidfd)
        self._spare: list[_socket.socket] = []
        self._flows: dict[object, _Flow] = {}
        self._by_fd: dict[int, _Flow] = {}
        listener.setblocking(False)
        ask_where(listener)
        watcher.watch(listener.fileno(), self._on_client, 0)

    def _on_client(self, _argument: int) -> None:
        for _ in range(_BURST):
            try:
                data, ancillary, _, client = self._listener.recvmsg(_DATAGRAM_MAX, 128)
            except OSError:
                return
            flow = self._flows.get(client) or self._open(client, ancillary)
            if flow is None:
                return
            flow.used = time.monotonic()
            try:
                flow.sock.send(data)
            except OSError:
                pass  # ECONNREFUSED: nobody listens there (yet); UDP promises nothing

    def _open(self, client: "Any", ancillary: "Any") -> "_Flow | None":
        self._expire()
        try:
            if not self._spare:
                self._spare = inside.sockets(
                    self._pidfd, _socket.AF_INET, _socket.SOCK_DGRAM, inside.BATCH_MAX
                )
            sock = self._spare.pop()
            sock.setblocking(False)
            sock.connect(self._target)
        except (NetworkError, OSError):
            return None
        flow = _Flow(sock, client, answer_from(ancillary))
        self._flows[client] = flow
        self._by_fd[sock.fileno()] = flow
        self._watcher.watch(sock.fileno(), self._on_container, sock.fileno())
        return flow

    def _on_container(self, fd: int) -> None:
        flow = self._by_fd[fd]
        for _ in range(_BURST):
            try:
                data = flow.sock.recv(_DATAGRAM_MAX)
            except OSError:
                return
            flow.used = time.monotonic()
            try:
                self._listener.sendmsg([data], flow.answer, 0, flow.client)
            except OSError:
                pass

    def _expire(self) -> None:
        """Forget flows that are idle; and the most idle one when there are too many."""
        oldest = time.monotonic() - IDLE_S
        idle = [flow for flow in self._flows.values() if flow.used < oldest]
        if not idle and len(self._flows) >= FLOWS_MAX:
            idle = [min(self._flows.values(), key=lambda flow: flow.used)]
        for flow in idle:
            self._watcher.forget(flow.sock.fileno())
            del self._by_fd[flow.sock.fileno()]
            del self._flows[flow.client]
            flow.sock.close()

    def close(self) -> None:
        """Stop; the loop has ended or goes on without us."""
        self._watcher.forget(self._listener.fileno())
        self._listener.close()
        for flow in self._flows.values():
            self._watcher.forget(flow.sock.fileno())
            flow.sock.close()
        for sock in self._spare:
            sock.close()
        os.close(self._pidfd)


def ask_where(listener: "_socket.socket") -> None:
    """Have each datagram come with the address that it was sent to."""
    if listener.family == _socket.AF_INET6:
        listener.setsockopt(_socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
    else:
        listener.setsockopt(_socket.IPPROTO_IP, _IP_PKTINFO, 1)


def asked_address(ancillary: "Any") -> str:
    """The address that a datagram was sent to; IPv4 may be written as IPv6."""
    for level, kind, data in ancillary:
        if (level, kind) == (_socket.IPPROTO_IP, _IP_PKTINFO):
            return _socket.inet_ntop(_socket.AF_INET, data[8:12])
        if (level, kind) == (_socket.IPPROTO_IPV6, _IPV6_PKTINFO):
            return _socket.inet_ntop(_socket.AF_INET6, data[:16])
    return ""


def answer_from(ancillary: "Any") -> "Any":
    """Control messages to send with: ip(7), IP_PKTINFO; ipv6(7)."""
    for level, kind, data in ancillary:
        if (level, kind) == (_socket.IPPROTO_IP, _IP_PKTINFO):
            # struct in_pktinfo: index, local address to send from, header's address.
            return [(level, kind, bytes(4) + data[8:12] + bytes(4))]
        if (level, kind) == (_socket.IPPROTO_IPV6, _IPV6_PKTINFO):
            return [(level, kind, data)]
    return []
