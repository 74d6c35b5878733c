"""The driver pasta: the host's addresses in the container, translated socket by socket.  Warm.

pasta(1).  It stays in the foreground, as our child, so that the kernel can end it when we are
killed (a parent-death signal; it does not outlive the fork of going to the background).  Its PID
file, a FIFO here, says when the container is connected.  It gives IPv6 too.
"""

import _socket
import os
import select

from rootless.errors import NetworkError
from rootless.linux import process
from rootless.network import driver
from rootless.network.forward import Forwarder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rootless.network.driver import Watcher
    from rootless.network.ports import Port

DNS_FORWARD = "169.254.1.1"  # link-local, so it is nobody's: what podman and pasta's manual use


class Pasta(driver.Driver):
    """One pasta process in the background."""

    name = "pasta"
    nameserver = DNS_FORWARD

    def __init__(
        self,
        ports: "Sequence[Port]",
        runtime_directory: str,
        environ: "Mapping[str, str]",
        addresses: "tuple[str, str, str] | None" = None,
    ) -> None:
        """`addresses` are those of the container, its gateway and its name server; without them
        the container has the host's."""
        super().__init__(ports)
        self._environ = environ
        self._program = process.need_program(
            "pasta", environ,
            "fetch it with rl setup pasta, or ask the admin for: apt-get install passt",
            "RL-NETWORK-NO-HELPER",
        )  # fmt: skip
        self._pid_path = f"{runtime_directory}.pasta"
        self._messages = self._ready = -1  # what it says, and its PID file
        self._pid = 0
        self._pidfd = -1
        self._forwarder: Forwarder | None = None
        self._addresses = addresses
        self.ip = addresses[0] if addresses else host_address()

    def start(self, pid: int) -> None:
        argv = [
            self._program, "--foreground", "--config-net", "--stderr", "--quiet", "--no-map-gw",
            "--dns-forward", self._addresses[2] if self._addresses else DNS_FORWARD,
            "--pid", self._pid_path,
            "-t", "none", "-u", "none", "-T", "none", "-U", "none",
        ]  # fmt: skip
        if self._addresses:
            address, gateway, _ = self._addresses
            argv += ["-4", "--address", address, "--netmask", "24", "--gateway", gateway]
        try:
            os.unlink(self._pid_path)
        except FileNotFoundError:
            pass
        os.mkfifo(self._pid_path, 0o600)
        self._ready = os.open(self._pid_path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._messages, write_fd = os.pipe()
        # Nobody reads them later: what does not fit is lost, and pasta does not wait.
        os.set_blocking(write_fd, False)
        os.set_blocking(self._messages, False)
        if self.ports:
            self._forwarder = Forwarder(self.ports, pid)
        self._pid = process.spawn_tied([*argv, str(pid)], self._environ, write_fd)
        os.close(write_fd)
        self._pidfd = os.pidfd_open(self._pid)

    def finish(self) -> None:
        poll = select.poll()
        poll.register(self._ready, select.POLLIN)
        poll.register(self._pidfd, select.POLLIN)
        while True:
            events = dict(poll.poll())
            if events.get(self._ready, 0) & select.POLLIN:
                break
            if self._pidfd in events:
                raise self._failure(self._said())
            poll.unregister(self._ready)  # closed without a PID: its end comes
        os.unlink(self._pid_path)
        os.close(self._ready)
        self._ready = -1
        started = process.start_time(self._pid)
        if self._forwarder is not None:
            self._forwarder.bind()
        self.helpers = [{"name": self.name, "pid": self._pid, "start_time": started}]

    def _said(self) -> str:
        try:
            return os.read(self._messages, 65536).decode("utf-8", "replace").strip()
        except BlockingIOError:
            return ""

    def serve(self, watcher: "Watcher") -> None:
        if self._forwarder is not None:
            address = self.ip or "127.0.0.1"
            gateway = self._addresses[1] if self._addresses else DNS_FORWARD
            places = {_socket.AF_INET: (address, gateway)}
            self._forwarder.serve(watcher, places, [f"{address}/32"])

    def close(self) -> None:
        if self._forwarder is not None:
            self._forwarder.close()
            self._forwarder = None
        if self._pidfd >= 0:
            process.signal_process(self._pidfd, 9)
            os.waitpid(self._pid, 0)
        for fd in (self._pidfd, self._messages, self._ready):
            if fd >= 0:
                os.close(fd)
        self._pidfd = self._messages = self._ready = -1
        try:
            os.unlink(self._pid_path)
        except OSError:
            pass

    def _failure(self, said: str) -> NetworkError:
        lines = said.splitlines()
        return NetworkError(
            f"pasta cannot connect the container: {lines[-1] if lines else 'no reason given'}",
            remedy="rl doctor tells what this host lacks; --network slirp4netns is another way",
            code="RL-NETWORK-HELPER",
        )


def host_address() -> str:
    """The host's address towards the world, "" without a route.  Sends nothing: a UDP connect
    only looks the route up; 192.0.2.1 is documentation's (RFC 5737)."""
    sock = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        sock.connect(("192.0.2.1", 9))
        return str(sock.getsockname()[0])
    except OSError:
        return ""
    finally:
        sock.close()
