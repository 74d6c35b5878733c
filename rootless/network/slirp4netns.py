"""The driver slirp4netns: a user-mode TCP/IP stack behind a tap device.  Warm.

slirp4netns(1).  It runs sandboxed and under its own seccomp filter, reaches nothing on the host's
loopback, and lives as long as the exit descriptor that we hold: it can't be orphaned.
"""

import _socket
import errno
import os

from rootless.errors import KernelError, NetworkError
from rootless.linux import process
from rootless.network import driver
from rootless.network.forward import Forwarder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rootless.network.driver import Watcher
    from rootless.network.ports import Port

MTU = 65520
DEVICE = "tap0"
_READY_FD, _EXIT_FD = 3, 4
_SAID_MAX = 65536
_NETWORK = "10.0.2.0/24"


class Slirp4netns(driver.Driver):
    """One slirp4netns process; its own forwarding of ports is not used: decisions/071."""

    name = "slirp4netns"
    ip = "10.0.2.100"
    gateway = "10.0.2.2"
    nameserver = "10.0.2.3"

    def __init__(self, ports: "Sequence[Port]", environ: "Mapping[str, str]") -> None:
        super().__init__(ports)
        self._environ = environ
        self._program = process.need_program(
            "slirp4netns", environ,
            "fetch it with rl setup slirp4netns, or ask the admin for: apt-get install slirp4netns",
            "RL-NETWORK-NO-HELPER",
        )  # fmt: skip
        self._forwarder: Forwarder | None = None
        self._pid = 0
        self._ready_fd = self._exit_fd = self._output_fd = -1

    def start(self, pid: int) -> None:
        argv = [
            self._program, "--configure", f"--mtu={MTU}", "--disable-host-loopback",
            "--enable-sandbox", "--enable-seccomp",
            f"--ready-fd={_READY_FD}", f"--exit-fd={_EXIT_FD}",
        ]  # fmt: skip
        if self.ports:
            self._forwarder = Forwarder(self.ports, pid)
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
            if self._forwarder is not None:
                self._forwarder.bind()
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
        if self._forwarder is not None:
            self._forwarder.close()
            self._forwarder = None

    def descriptors(self) -> "list[int]":
        return [self._exit_fd]

    def serve(self, watcher: "Watcher") -> None:
        if self._forwarder is not None:
            self._forwarder.serve(watcher, {_socket.AF_INET: (self.ip, self.gateway)}, [_NETWORK])

    def _failure(self) -> NetworkError:
        with open(os.dup(self._output_fd), "rb") as pipe:
            said = pipe.read(_SAID_MAX).decode("utf-8", "replace").strip().splitlines()
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
