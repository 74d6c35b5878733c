"""A host and a guest of rl-netstack: two network namespaces in a user namespace of our own.

The host has 192.168.1.100 and 3ffe::100 beside its loopback; the guest a tap device tun0 with
10.0.2.100 and fd00::100, which rl-netstack, run in the host, connects.
"""

import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from typing import Any

from rootless.linux import idmap, syscalls
from rootless.linux.netlink import Netlink
from rootless.network import inside
from rootless.network.standalone import device
from support.traces import wait_until

HOST4, HOST6 = "192.168.1.100", "3ffe::100"
GUEST4, GUEST6, GATEWAY4, GATEWAY6 = "10.0.2.100", "fd00::100", "10.0.2.2", "fd00::2"
_TUNSETPERSIST = 0x400454CB
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def _hold(go: int) -> None:
    os.read(go, 1)  # ends with the test process, too
    os._exit(0)


def _address(netlink: Netlink, text: str, bits: int, index: int) -> None:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    netlink.add_address(family, socket.inet_pton(family, text), bits, index)


def _set_up_host() -> None:
    netlink = Netlink()
    netlink.link_up("lo")
    _address(netlink, HOST4, 24, 1)
    _address(netlink, HOST6, 64, 1)


def _set_up_guest(mode: str, mtu: int) -> None:
    netlink = Netlink()
    netlink.link_up("lo")
    if not mode:
        return
    flags = device._IFF_TAP if mode == "tap" else device._IFF_TUN
    fd = device._attach("tun0", flags)
    fcntl.ioctl(fd, _TUNSETPERSIST, 1)
    os.close(fd)
    device._interface(device._SIOCSIFMTU, struct.pack("=16si", b"tun0", mtu))
    netlink.link_up("tun0")
    index = netlink.link_index("tun0")
    for text, bits, gateway in ((GUEST4, 24, GATEWAY4), (GUEST6, 64, GATEWAY6)):
        family = socket.AF_INET6 if ":" in text else socket.AF_INET
        _address(netlink, text, bits, index)
        netlink.add_route(family, index, gateway=socket.inet_pton(family, gateway))


class Lab:
    """The two namespaces.  `mode` of the guest's device: "tap", "tun", or "" for none."""

    def __init__(self, mode: str = "tap", mtu: int = 65521) -> None:
        wait, self._go = os.pipe()
        self.host_pid = syscalls.clone(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET)
        if self.host_pid == 0:
            os.close(self._go)
            _hold(wait)
        ids = idmap.IdMap([(0, os.getuid(), 1)], [(0, os.getgid(), 1)])
        idmap.write_maps(ids, self.host_pid, os.environ)
        self.host = os.pidfd_open(self.host_pid)
        ready, done = os.pipe()
        both = syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET
        self.guest_pid = os.fork()
        if self.guest_pid == 0:
            try:
                os.close(self._go)
                syscalls.setns(self.host, both)
                _set_up_host()
                syscalls.unshare(syscalls.CLONE_NEWNET)
                _set_up_guest(mode, mtu)
                os.write(done, b"+")
                _hold(wait)
            finally:
                os._exit(1)
        os.close(done)
        os.close(wait)
        assert os.read(ready, 1) == b"+"
        os.close(ready)
        self.guest = os.pidfd_open(self.guest_pid)
        self._programs: list[Program] = []
        self._sockets: list[socket.socket] = []

    def make(self, where: int, family: Any = socket.AF_INET, kind: Any = socket.SOCK_STREAM):
        """A socket of `where` (self.host, self.guest) that waits for 10 s at most."""
        (raw,) = inside.sockets(where, family, kind, 1)
        made = socket.socket(family, kind, 0, raw.detach())
        made.settimeout(10)
        return made

    def connect(self, where: int, address: str, port: int, *, source: str = "", udp: bool = False):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = self.make(where, family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        if source:
            made.bind((source, 0))
        made.connect((address, port))
        return made

    def echo(self, where: int, *, udp: bool = False) -> "tuple[int, list[str]]":
        """An echo server for both families; its port, and the addresses of its clients."""
        server = self.make(where, socket.AF_INET6, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.settimeout(None)
        server.bind(("::", 0))
        seen: list[str] = []
        if udp:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            server.listen(1024)
        work = _echo_datagrams if udp else _echo_streams
        threading.Thread(target=work, args=(server, seen), daemon=True).start()
        self._sockets.append(server)
        return server.getsockname()[1], seen

    def start(
        self,
        *argv: str,
        netns: bool = True,
        fds: "tuple[int, ...]" = (),
        outside: bool = False,
    ) -> "Program":
        """rl-netstack in the host; or where we are, without any rights over the guest but those
        of its owner."""
        words = [*argv, *(["-netns", f"/proc/{self.guest_pid}/ns/net"] if netns else [])]
        program = Program(0 if outside else self.host_pid, words, fds)
        self._programs.append(program)
        return program

    def run_in_guest(self, *argv: str) -> int:
        return subprocess.run(
            _in_namespaces(self.guest_pid, *argv), timeout=60, check=False,
            stdout=subprocess.DEVNULL,
        ).returncode  # fmt: skip

    def close_programs(self) -> None:
        for program in self._programs:
            program.close()
        for sock in self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
        self._programs, self._sockets = [], []

    def close(self) -> None:
        self.close_programs()
        os.close(self._go)
        for pid in (self.guest_pid, self.host_pid):
            os.waitpid(pid, 0)
        os.close(self.host)
        os.close(self.guest)


def _in_namespaces(pid: int, *argv: str) -> list[str]:
    code = (
        f"import os, sys\nsys.path.insert(0, {ROOT!r})\nfrom rootless.linux import syscalls\n"
        f"syscalls.setns(os.pidfd_open({pid}), syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET)\n"
        "os.execvp(sys.argv[1], sys.argv[1:])"
    )
    return [sys.executable, "-I", "-c", code, *argv]


class Program:
    """rl-netstack, running."""

    def __init__(self, host_pid: int, words: list[str], fds: "tuple[int, ...]") -> None:
        start = f"import sys; sys.path.insert(0, {ROOT!r}); sys.argv[0] = 'rl-netstack'\n"
        start += "from rootless.network.standalone.main import main; raise SystemExit(main())"
        argv = [sys.executable, "-I", "-S", "-c", start, *words]
        self.process = subprocess.Popen(
            _in_namespaces(host_pid, *argv) if host_pid else argv,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=fds,
        )  # fmt: skip
        self.status: int | None = None

    def out(self) -> str:
        """The next line on standard output, "" at its end."""
        return _line(self.process.stdout)

    def err(self) -> str:
        return _line(self.process.stderr)

    def started(self) -> "Program":
        """Its first lines, until it is ready."""
        assert self.err().startswith("[.] Joininig netns /proc/")
        assert self.err() == "[.] Opening tun interface tun0"
        assert self.err() == f"[+] #{self.process.pid} Slirpnetstack started"
        return self

    def wait(self) -> int:
        self.status = self.process.wait(10)
        return self.status

    def close(self) -> int:
        if self.status is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
            finally:
                self.process.wait()
                for pipe in (self.process.stdout, self.process.stderr):
                    assert pipe is not None
                    pipe.close()
        assert self.status is not None
        return self.status


def _line(pipe: Any) -> str:
    line = bytearray()
    while not line.endswith(b"\n"):
        assert select.select([pipe], [], [], 10)[0], f"no line, only {bytes(line)!r}"
        byte = os.read(pipe.fileno(), 1)
        if not byte:
            break
        line += byte
    return line.decode().removesuffix("\n")


def _shown(peer: Any) -> str:
    return str(peer[0]).removeprefix("::ffff:").partition("%")[0]


def _echo_streams(server: socket.socket, seen: list[str]) -> None:
    def serve(client: socket.socket) -> None:
        with client:
            try:
                while data := client.recv(65536):
                    client.sendall(data)
            except OSError:
                pass

    while True:
        try:
            client, peer = server.accept()
        except OSError:
            return
        seen.append(_shown(peer))
        threading.Thread(target=serve, args=(client,), daemon=True).start()


def _echo_datagrams(server: socket.socket, seen: list[str]) -> None:
    while True:
        try:
            data, ancillary, _, peer = server.recvmsg(65536, 128)
            if peer is None:
                return  # shut down
            seen.append(_shown(peer))
            server.sendmsg([data], ancillary, 0, peer)
        except OSError as e:
            if e.errno != 111:  # ECONNREFUSED of a client that has gone
                return


def echoes(sock: socket.socket, data: bytes = b"hello") -> bytes:
    """What comes back."""
    sock.sendall(data)
    answer = sock.recv(65536)
    while len(answer) < len(data) and sock.type == socket.SOCK_STREAM:
        answer += sock.recv(65536)
    return answer


def seen_soon(seen: list[str], address: str) -> None:
    wait_until(lambda: address in seen, 10, f"{address} among {seen}")
