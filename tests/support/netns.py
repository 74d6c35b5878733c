"""A network namespace of our own, connected by the driver netstack: sockets of its inside."""

import os
import signal
import socket
import subprocess
import sys
from typing import Any

from rootless.linux import idmap, syscalls
from rootless.network import inside

GATEWAY, NAME_SERVER, OUR_ADDRESS = "10.0.2.2", "10.0.2.3", "10.0.2.100"


class Namespace:
    """A process that does nothing in new user and network namespaces, and netstack for it."""

    def __init__(
        self,
        *ports: str,
        options: str = "allow_host_loopback=true",
        other: str = "",
        directory: str = "",
    ) -> None:
        """`ports` as stack_runner.py takes them.  With `other`, the name of another driver,
        there can be no second network namespace, and so no netstack."""
        begin, go = os.pipe()
        self.pid = syscalls.clone(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET)
        if self.pid == 0:
            os.close(go)
            os.read(begin, 1)  # ends with the test process too
            os._exit(0)
        os.close(begin)
        self._go = go
        ids = idmap.IdMap([(0, os.getuid(), 1)], [(0, os.getgid(), 1)])
        idmap.write_maps(ids, self.pid, os.environ)
        self.pidfd = os.pidfd_open(self.pid)
        if other:
            limit = "/proc/sys/user/max_net_namespaces"
            done = self.run("/bin/sh", "-c", f"echo 1 >{limit}")
            assert done.returncode == 0, done.stderr
        runner = os.path.join(os.path.dirname(__file__), "stack_runner.py")
        self.network = subprocess.Popen(
            [sys.executable, "-I", "-S", runner, str(self.pid), options, *ports],
            stdout=subprocess.PIPE,
            env={**os.environ, "RL_TEST_OTHER": other, "RL_TEST_DIRECTORY": directory},
        )
        assert self.network.stdout is not None
        word, self.driver = self.network.stdout.readline().decode().split()
        assert word == "ready"

    def make(self, family: Any = socket.AF_INET, kind: Any = socket.SOCK_STREAM) -> socket.socket:
        """A socket of the inside, that waits for 10 s at most."""
        (raw,) = inside.sockets(self.pidfd, family, kind, 1)
        made = socket.socket(family, kind, 0, raw.detach())
        made.settimeout(10)
        return made

    def make_many(self, count: int) -> list[socket.socket]:
        """TCP sockets of the inside."""
        made: list[socket.socket] = []
        while len(made) < count:
            for raw in inside.sockets(self.pidfd, socket.AF_INET, socket.SOCK_STREAM, 100):
                made.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, raw.detach()))
        return made

    def connect(self, port: int, address: str = GATEWAY) -> socket.socket:
        made = self.make(socket.AF_INET6 if ":" in address else socket.AF_INET)
        made.connect((address, port))
        return made

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """A program of the host, in the namespaces."""
        return subprocess.run(
            [sys.executable, "-I", "-c",
             "import os, sys\n"
             f"sys.path.insert(0, {os.getcwd()!r})\n"
             "from rootless.linux import syscalls\n"
             f"syscalls.setns(os.pidfd_open({self.pid}), "
             "syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET)\n"
             "os.execvp(sys.argv[1], sys.argv[1:])", *argv],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def close(self) -> None:
        os.close(self._go)
        os.waitpid(self.pid, 0)
        try:
            self.network.wait(10)
        except subprocess.TimeoutExpired:
            self.network.send_signal(signal.SIGKILL)
            raise
        finally:
            os.close(self.pidfd)
            assert self.network.stdout is not None
            self.network.stdout.close()
