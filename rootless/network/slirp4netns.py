"""The driver slirp4netns: a user-mode TCP/IP stack behind a tap device.  Warm.

slirp4netns(1).  It runs sandboxed and under its own seccomp filter, reaches nothing on the host's
loopback, and lives as long as the exit descriptor that we hold: it can't be orphaned.
"""

import _socket
import errno
import os

from rootless import fastjson
from rootless.errors import KernelError, NetworkError
from rootless.linux import process
from rootless.network import driver
from rootless.network.ports import Port, refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MTU = 65520
DEVICE = "tap0"
_READY_FD, _EXIT_FD = 3, 4
_ANSWER_MAX = 65536


class Slirp4netns(driver.Driver):
    """One slirp4netns process; ports are published through its API socket."""

    name = "slirp4netns"
    ip = "10.0.2.100"
    gateway = "10.0.2.2"
    nameserver = "10.0.2.3"

    def __init__(
        self, ports: "Sequence[Port]", runtime_directory: str, environ: "Mapping[str, str]"
    ) -> None:
        super().__init__(ports)
        self._environ = environ
        self._program = process.need_program(
            "slirp4netns", environ, "ask the admin for: apt-get install slirp4netns",
            "RL-NETWORK-NO-HELPER",
        )  # fmt: skip
        self._tcp = [port for port in ports if port.protocol == "tcp"]
        self._socket_path = f"{runtime_directory}.slirp"
        self._pid = 0
        self._ready_fd = self._exit_fd = self._output_fd = -1
        for port in ports:
            if ":" in port.host_ip and port.protocol == "tcp":
                raise NetworkError(
                    f"cannot publish {port.host_text()}: slirp4netns forwards IPv4 alone",
                    remedy="use --network pasta, or an IPv4 address",
                    code="RL-PORT-IPV6",
                )

    def start(self, pid: int) -> None:
        argv = [
            self._program, "--configure", f"--mtu={MTU}", "--disable-host-loopback",
            "--enable-sandbox", "--enable-seccomp",
            f"--ready-fd={_READY_FD}", f"--exit-fd={_EXIT_FD}",
        ]  # fmt: skip
        if self._tcp:
            argv.append(f"--api-socket={self._socket_path}")
        self._ready_fd, ready = os.pipe()
        exit_, self._exit_fd = os.pipe()
        self._output_fd, output = os.pipe()
        # Moved out of the way of 3 and 4 first: dup2 of one would close the other.
        ready, exit_, output = (_high(fd) for fd in (ready, exit_, output))
        try:
            self._pid = os.posix_spawn(
                self._program,
                [*argv, str(pid), DEVICE],
                self._environ,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, output, 1),
                    (os.POSIX_SPAWN_DUP2, output, 2),
                    (os.POSIX_SPAWN_DUP2, ready, _READY_FD),
                    (os.POSIX_SPAWN_DUP2, exit_, _EXIT_FD),
                ],
                setsigdef=process.PYTHON_IGNORES,
            )
        finally:
            for fd in (ready, exit_, output):
                os.close(fd)
        self.helpers = [
            {"name": self.name, "pid": self._pid, "start_time": process.start_time(self._pid)}
        ]

    def finish(self) -> None:
        try:
            if os.read(self._ready_fd, 1) != b"1":
                raise self._failure()
            for port in self._tcp:
                self._publish(port)
        finally:
            os.close(self._ready_fd)
            os.close(self._output_fd)
            self._ready_fd = self._output_fd = -1

    def close(self) -> None:
        for fd in (self._ready_fd, self._exit_fd, self._output_fd):
            if fd >= 0:
                os.close(fd)
        self._ready_fd = self._exit_fd = self._output_fd = -1
        if self._pid:
            # Told by the exit descriptor it takes 23 ms to leave.  It is our child and not
            # reaped yet, so the PID is still its own.
            try:
                os.kill(self._pid, 9)
            except ProcessLookupError:
                pass
            self._pid = 0
        if self._tcp:
            try:
                os.unlink(self._socket_path)
            except OSError:
                pass

    def descriptors(self) -> "list[int]":
        return [self._exit_fd]

    def _publish(self, port: Port) -> None:
        """add_hostfwd of the API: one request a connection, JSON both ways."""
        arguments: dict[str, object] = {
            "proto": port.protocol,
            "host_addr": port.host_ip or "0.0.0.0",
            "host_port": port.host_port,
            "guest_port": port.container_port,
        }
        answer = self._ask({"execute": "add_hostfwd", "arguments": arguments})
        if "error" in answer:
            # "bad request: add_hostfwd: slirp_add_hostfwd failed" is all that it says.
            raise refused(port, errno.EADDRINUSE)

    def _ask(self, request: "dict[str, object]") -> "dict[str, object]":
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            sock.connect(self._socket_path)
            sock.send(fastjson.dumps(request).encode())
            sock.shutdown(_socket.SHUT_WR)
            data = b""
            while len(data) < _ANSWER_MAX:
                chunk = sock.recv(4096)
                if not chunk:
                    break
                data += chunk
            answer = fastjson.loads(data)
        except (OSError, ValueError) as e:
            raise NetworkError(
                f"slirp4netns does not answer on its API socket: {e}",
                remedy="try again, or use --network pasta",
                code="RL-NETWORK-HELPER",
            ) from e
        finally:
            sock.close()
        return answer if isinstance(answer, dict) else {}

    def _failure(self) -> NetworkError:
        with open(os.dup(self._output_fd), "rb") as pipe:
            said = pipe.read(_ANSWER_MAX).decode("utf-8", "replace").strip().splitlines()
        if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            from rootless.linux import hostfacts

            failure = hostfacts.explain_tun_failure(errno.EACCES)
            return NetworkError(failure.what, remedy=failure.remedy, code=failure.code)
        why = said[-1] if said else "it ended without a word"
        return NetworkError(
            f"slirp4netns cannot connect the container: {why}",
            remedy="rl doctor tells what this host lacks; --network host and none need no helper",
            code="RL-NETWORK-HELPER",
        )


def _high(fd: int) -> int:
    """The same descriptor with a number above those that the helper gets."""
    import fcntl

    try:
        duplicate: int = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)
    except OSError as e:
        raise KernelError("fcntl", e.errno or 0) from e
    os.close(fd)
    return duplicate
