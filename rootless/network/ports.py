"""Published ports: checked before a container starts.  Warm."""

import _socket
import errno
import os

from rootless.errors import NetworkError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Port:
    """One published port: host side, container side, "tcp" or "udp".

    `guard` has what is rarely asked for: "private" (only our own UID may connect), or "path",
    "mode" and "group" of a UNIX socket that takes the place of the host's address and port.
    """

    __slots__ = ("container_port", "guard", "host_ip", "host_port", "protocol")

    def __init__(
        self,
        host_ip: str,
        host_port: int,
        container_port: int,
        protocol: str,
        guard: "Mapping[str, object] | None" = None,
    ) -> None:
        self.host_ip = host_ip
        self.host_port = host_port
        self.container_port = container_port
        self.protocol = protocol
        self.guard = dict(guard or {})

    @property
    def path(self) -> str:
        """Of the UNIX socket, "" for none."""
        return str(self.guard.get("path", ""))

    def at(self, host_port: int) -> "Port":
        """The same at another port of the host."""
        return Port(self.host_ip, host_port, self.container_port, self.protocol, self.guard)

    def to_dict(self) -> dict[str, object]:
        document: dict[str, object] = {
            "container_port": self.container_port,
            "host_ip": self.host_ip,
            "host_port": self.host_port,
            "protocol": self.protocol,
        }
        return {**document, "guard": self.guard} if self.guard else document

    def host_text(self) -> str:
        """127.0.0.1:8080, [::1]:8080; 0.0.0.0 where no address was asked for."""
        if self.path:
            return f"unix:{self.path}"
        ip = self.host_ip or "0.0.0.0"
        return f"[{ip}]:{self.host_port}" if ":" in ip else f"{ip}:{self.host_port}"


def from_dicts(documents: "Iterable[Mapping[str, object]]") -> list[Port]:
    """Ports as container.json keeps them."""
    ports = []
    for one in documents:
        host_port, container_port = one["host_port"], one["container_port"]
        assert isinstance(host_port, int)
        assert isinstance(container_port, int)
        guard = one.get("guard")
        assert guard is None or isinstance(guard, dict)
        protocol = str(one["protocol"])
        ports.append(Port(str(one["host_ip"]), host_port, container_port, protocol, guard))
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
            if port.path:
                from rootless.network import guarded

                guarded.check(port)
                claimed.append(port)
                continue
            sock = bind(port)
            held.append(sock)
            claimed.append(port.at(port.host_port or sock.getsockname()[1]))
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


def claim_ranges(
    documents: "Iterable[Mapping[str, object]]",
    fallback: "Callable[[str], None] | None" = None,
) -> list[dict[str, object]]:
    """Check the ports of a new container; one of a range (host_port_end) becomes a free one.

    A privileged one becomes another with `fallback`, which is told.  Raises as claim().  A host
    port 0 stays: it is chosen at each start, as Docker does.
    """
    chosen = []
    for document in documents:
        last = document.get("host_port_end")
        port = from_dicts([document])[0]
        if isinstance(last, int):
            port = _first_free(port, last)
        elif port.host_port or port.path:
            try:
                claim([port])
            except NetworkError as e:
                if fallback is None or e.code != "RL-PORT-PRIVILEGED":
                    raise
                asked, port = port.host_text(), _unprivileged(port)
                fallback(f"{asked} is privileged on this host: published at {port.host_text()}")
        chosen.append(port.to_dict())
    return chosen


def _unprivileged(port: Port) -> Port:
    """8080 for 80, 8443 for 443, or any free one."""
    for number in (port.host_port + 8000, 0):
        try:
            return claim([port.at(number)])[0]
        except NetworkError as e:
            if number == 0 or e.code not in ("RL-PORT-TAKEN", "RL-PORT-PRIVILEGED"):
                raise
    return port


def _first_free(port: Port, last: int) -> Port:
    for number in range(port.host_port, last + 1):
        candidate = port.at(number)
        try:
            claim([candidate])
            return candidate
        except NetworkError as e:
            if number == last or e.code != "RL-PORT-TAKEN":
                raise
    return port


def bind(port: Port) -> "_socket.socket":
    """The bound socket of `port`; a TCP one listens.  Raises NetworkError as claim()."""
    if port.path:
        from rootless.network import guarded

        return guarded.bind(port)
    if port.guard:
        from rootless.network import guarded

        guarded.check_private(port)
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


def drop(sock: "_socket.socket", port: Port) -> None:
    """Close what bind() gave, unused."""
    sock.close()
    if port.path:
        try:
            os.unlink(port.path)
        except OSError:
            pass


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
