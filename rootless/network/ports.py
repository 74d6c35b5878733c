"""Published ports: checked before a container starts.  Warm."""

import _socket
import errno
import os

from rootless.errors import NetworkError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Port:
    """One published port: host side, container side, "tcp" or "udp"."""

    __slots__ = ("container_port", "host_ip", "host_port", "protocol")

    def __init__(self, host_ip: str, host_port: int, container_port: int, protocol: str) -> None:
        self.host_ip = host_ip
        self.host_port = host_port
        self.container_port = container_port
        self.protocol = protocol

    def to_dict(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}

    def host_text(self) -> str:
        """127.0.0.1:8080, [::1]:8080; 0.0.0.0 where no address was asked for."""
        ip = self.host_ip or "0.0.0.0"
        return f"[{ip}]:{self.host_port}" if ":" in ip else f"{ip}:{self.host_port}"


def from_dicts(documents: "Iterable[Mapping[str, object]]") -> list[Port]:
    """Ports as container.json keeps them."""
    ports = []
    for one in documents:
        host_port, container_port = one["host_port"], one["container_port"]
        assert isinstance(host_port, int)
        assert isinstance(container_port, int)
        ports.append(Port(str(one["host_ip"]), host_port, container_port, str(one["protocol"])))
    return ports


def claim(ports: "Iterable[Port]") -> list[Port]:
    """Check that each port can be bound; host port 0 becomes a free one.

    Raises NetworkError RL-PORT-TAKEN, RL-PORT-PRIVILEGED, RL-PORT-ADDRESS.  The sockets are
    closed again: the helper binds them, a few milliseconds later, and reports what comes between.
    """
    held = []
    claimed = []
    try:
        for port in ports:
            sock = bind(port)
            held.append(sock)
            number = port.host_port or sock.getsockname()[1]
            claimed.append(Port(port.host_ip, number, port.container_port, port.protocol))
    finally:
        for sock in held:
            sock.close()
    return claimed


def bind_udp(ports: "Iterable[Port]") -> "list[tuple[Port, _socket.socket]]":
    """The bound sockets of those that are UDP.  Raises as claim(), with none left open."""
    bound: list[tuple[Port, _socket.socket]] = []
    try:
        for port in ports:
            if port.protocol == "udp":
                bound.append((port, bind(port)))
    except NetworkError:
        for _, sock in bound:
            sock.close()
        raise
    return bound


def claim_ranges(documents: "Iterable[Mapping[str, object]]") -> list[dict[str, object]]:
    """Check the ports of a new container; one of a range (host_port_end) becomes a free one.

    Raises as claim().  A host port 0 stays: it is chosen at each start, as Docker does.
    """
    chosen = []
    for document in documents:
        last = document.get("host_port_end")
        port = from_dicts([document])[0]
        if isinstance(last, int):
            port = _first_free(port, last)
        elif port.host_port:
            claim([port])
        chosen.append(port.to_dict())
    return chosen


def _first_free(port: Port, last: int) -> Port:
    for number in range(port.host_port, last + 1):
        candidate = Port(port.host_ip, number, port.container_port, port.protocol)
        try:
            claim([candidate])
            return candidate
        except NetworkError as e:
            if number == last or e.code != "RL-PORT-TAKEN":
                raise
    return port


def bind(port: Port) -> "_socket.socket":
    """The bound socket of `port`; a TCP one listens.  Raises NetworkError as claim()."""
    family = _socket.AF_INET6 if ":" in port.host_ip else _socket.AF_INET
    kind = _socket.SOCK_DGRAM if port.protocol == "udp" else _socket.SOCK_STREAM
    sock = _socket.socket(family, kind)
    try:
        if port.protocol == "tcp":
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        if family == _socket.AF_INET6:
            sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
        sock.bind((port.host_ip or "0.0.0.0", port.host_port))
        if port.protocol == "tcp":
            # With SO_REUSEADDR a second bind may pass; a second listen doesn't.
            sock.listen(1)
    except OSError as e:
        sock.close()
        raise refused(port, e.errno or 0) from e
    return sock


def refused(port: Port, error: int) -> NetworkError:
    """Why the host did not let `port` be bound, by errno."""
    text = f"cannot publish {port.host_text()}/{port.protocol}"
    if error == errno.EADDRINUSE:
        return NetworkError(
            f"{text}: the port is in use",
            remedy="choose another host port, or none (-p "
            f"{port.container_port}) for a free one; `ss -lntup` shows who has it",
            code="RL-PORT-TAKEN",
        )
    if error == errno.EACCES:
        first = _first_unprivileged()
        return NetworkError(
            f"{text}: ports below {first} are privileged on this host",
            remedy=f"use a port from {first} on, or ask the admin for: "
            f"sysctl net.ipv4.ip_unprivileged_port_start={port.host_port}",
            code="RL-PORT-PRIVILEGED",
        )
    if error == errno.EADDRNOTAVAIL:
        return NetworkError(
            f"{text}: {port.host_ip} is no address of this host",
            remedy="use one of its own, 127.0.0.1, or leave the address out",
            code="RL-PORT-ADDRESS",
        )
    return NetworkError(f"{text}: {os.strerror(error)}", code="RL-PORT")


def _first_unprivileged() -> int:
    try:
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 1024
