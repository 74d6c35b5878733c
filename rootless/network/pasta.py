"""The driver pasta: the host's addresses in the container, translated socket by socket.  Warm.

pasta(1).  Without --foreground it returns when the container is connected and its ports are
bound, and goes on in the background; its PID file says where.  It gives IPv6 too.
"""

import _socket
import errno
import os

from rootless.errors import NetworkError
from rootless.linux import process
from rootless.network import driver
from rootless.network.ports import Port, refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DNS_FORWARD = "169.254.1.1"  # link-local, so it is nobody's: what podman and pasta's manual use


class Pasta(driver.Driver):
    """One pasta process in the background."""

    name = "pasta"
    nameserver = DNS_FORWARD

    def __init__(
        self, ports: "Sequence[Port]", runtime_directory: str, environ: "Mapping[str, str]"
    ) -> None:
        super().__init__(ports)
        self._environ = environ
        self._program = process.need_program(
            "pasta", environ, "ask the admin for: apt-get install passt", "RL-NETWORK-NO-HELPER"
        )
        self._pid_path = f"{runtime_directory}.pasta"
        self._spawned: process.Spawned | None = None
        self._pidfd = -1
        self.ip = host_address()

    def start(self, pid: int) -> None:
        argv = [
            self._program, "--config-net", "--stderr", "--quiet", "--no-map-gw",
            "--dns-forward", DNS_FORWARD, "--pid", self._pid_path,
            "-T", "none", "-U", "none",
        ]  # fmt: skip
        tcp = [_forward(port) for port in self.ports if port.protocol == "tcp"]
        argv += ["-t", ",".join(tcp) or "none", "-u", "none"]
        self._spawned = process.Spawned([*argv, str(pid)], self._environ)

    def finish(self) -> None:
        assert self._spawned is not None
        # Its output pipe is closed by the child that stays; the parent's status is the answer.
        status, said = self._spawned.finish()
        self._spawned = None
        if status != 0:
            raise self._failure(said)
        with open(self._pid_path) as file:
            pid = int(file.read())
        os.unlink(self._pid_path)
        started = process.start_time(pid)
        self._pidfd = process.open_pidfd(pid, started)
        self.helpers = [{"name": self.name, "pid": pid, "start_time": started}]

    def close(self) -> None:
        if self._spawned is not None:
            self._spawned.finish()
            self._spawned = None
        if self._pidfd >= 0:
            process.signal_process(self._pidfd, 9)
            os.close(self._pidfd)
            self._pidfd = -1
        try:
            os.unlink(self._pid_path)
        except OSError:
            pass

    def _failure(self, said: str) -> NetworkError:
        if "bind" in said.lower():
            for port in self.ports:
                return refused(port, errno.EADDRINUSE)
        lines = said.splitlines()
        return NetworkError(
            f"pasta cannot connect the container: {lines[-1] if lines else 'no reason given'}",
            remedy="rl doctor tells what this host lacks; --network slirp4netns is another way",
            code="RL-NETWORK-HELPER",
        )


def _forward(port: Port) -> str:
    address = f"{port.host_ip}/" if port.host_ip not in ("", "0.0.0.0") else ""
    return f"{address}{port.host_port}:{port.container_port}"


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
