"""All parts of the program, from the device to the last line."""

import _socket
import os
import select
import signal
import time

from rootless.errors import NetworkError
from rootless.network.stack import gateway as gateways
from rootless.network.stack import inflow
from rootless.network.stack.datagrams import Datagrams
from rootless.network.stack.echo import Echo
from rootless.network.stack.incoming import Place
from rootless.network.stack.loop import Loop
from rootless.network.stack.outgoing import Outgoing
from rootless.network.stack.relay import Pipes
from rootless.network.standalone import device, forwards, local, main
from rootless.network.standalone.firewall import Firewall
from rootless.network.standalone.journal import Journal, end_text
from rootless.network.standalone.local_tcp import LocalTcp
from rootless.network.standalone.local_udp import LocalUdp
from rootless.network.standalone.main import say
from rootless.network.standalone.names import Names
from rootless.network.standalone.output import Output
from rootless.network.standalone.tap import Tap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.network.standalone.forwards import Forward
    from rootless.network.standalone.options import Options
    from rootless.network.standalone.pcap import Capture
    from rootless.network.standalone.requests import Server


class _Stop(Exception):
    """The program can't go on; its exit status."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status


class _Clock:
    """Signals, timers, and the loop that waits for both."""

    def __init__(self) -> None:
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self.stopped = False
        self._wake, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(write)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: self.stop())

    def stop(self) -> None:
        self.stopped = True

    def call_after(self, seconds: float, action: "Callable[[], None]") -> None:
        import heapq

        self._count += 1
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._count, action))

    def run(self, loop: Loop) -> None:
        """Until a signal, or stop()."""
        import heapq

        poll = select.poll()
        poll.register(loop.fileno(), select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while not self.stopped:
            wait = None
            if self._timers:
                wait = max(0, int((self._timers[0][0] - time.monotonic()) * 1000) + 1)
            poll.poll(wait)
            while self._timers and self._timers[0][0] <= time.monotonic():
                heapq.heappop(self._timers)[2]()
            loop.step()


class Program:
    """One run."""

    def __init__(self, options: "Options") -> None:
        self._options = options
        self._clock = _Clock()
        self._output = Output(self._clock.call_after, quiet=options.quiet)
        self._firewall = Firewall(
            host=options.enable_host, routing=options.enable_routing, sources=options.sources
        )
        self._firewall.allowed, self._firewall.denied = options.allow, options.deny
        self._journal = Journal(self._output, self._firewall)
        self._servers: list[Server] = []
        self._capture: Capture | None = None
        self._paths: list[str] = []  # of UNIX sockets, to be removed

    def run(self) -> int:
        """Until a signal comes; the exit status."""
        try:
            self._loop = Loop(self._clock.call_after)
            if self._options.metrics is not None:
                self._serve_metrics(*self._options.metrics)
            opened = self._open()
            if self._options.exit_with_parent:
                main.die_with_parent()
            self._start(opened)
        except _Stop as e:
            say(str(e))
            self._remove_sockets()
            return e.status
        say(f"[+] #{os.getpid()} Slirpnetstack started")
        os.kill(os.getppid(), signal.SIGWINCH)
        self._clock.run(self._loop)
        say(f"[-] #{os.getpid()} Slirpnetstack closing")
        self._close(opened)
        return 0

    def _open(self) -> device.Opened:
        options = self._options
        if options.fd >= 0 and options.netns:
            raise _Stop(main.BAD_CHOICE, "Please specify either -fd or -netns")
        wanted = device.Wanted(options.netns, options.interface, options.fd, options.mtu)
        try:
            return device.open_all(wanted)
        except device.Failed as e:
            raise _Stop(main.BAD_DEVICE, f"Failed to open TUN/TAP: {e}") from e

    def _start(self, opened: device.Opened) -> None:
        gateway, loop, journal = opened.gateway, self._loop, self._journal
        self._pipes = Pipes()
        self._names = self._firewall.names = Names(loop, self._options.dns_ttl)
        self._place = Place(gateway.addresses(), gateways.NETWORKS)
        self._tcp = LocalTcp(loop, self._pipes, gateway, self._place, self._names, journal)
        self._udp: set[LocalUdp] = set()
        self._spares = inflow.spares(loop, gateway, self._place)
        for forward in self._options.local:
            self._listen(forward)
        for forward in self._options.remote:
            self._accept(forward)
        if self._options.pcap:
            self._open_capture()
        self._outgoing = Outgoing(loop, self._pipes, gateway, self._firewall, journal)
        self._datagrams = Datagrams(loop, gateway, self._firewall, journal)
        self._echo = Echo(loop, gateway, self._firewall)
        if self._options.api_socket:
            self._serve_api(self._options.api_socket)
        self._tap = Tap(
            loop,
            opened.guest_fd,
            opened.gateway_fd,
            ethernet=opened.ethernet,
            vnet=self._options.fd < 0,
            guest_mac=opened.mac,
            capture=self._capture,
            gone=self._clock.stop,
        )

    def _listen(self, forward: "Forward") -> None:
        """A -L."""
        try:
            sock, _ = self.open_forward(forward, local.address_of(forward.bind))
        except (OSError, NetworkError) as e:
            why = e.what if isinstance(e, NetworkError) else local.failure(forward, e)
            where = forward.bind if forward.bind.ip else forward.bind.label
            text = f"[!] Failed to listen on {forward.network}://{where}: {why}"
            raise _Stop(main.BAD_LISTEN, text) from e
        where = end_text(*sock.getsockname()[:2])
        word = "PP " if forward.proxied else ""
        self._output.line(f"[+] local-fwd Local {word}listen {forward.network}://{where}")

    def open_forward(
        self, forward: "Forward", ip: str
    ) -> "tuple[_socket.socket, Callable[[], None]]":
        """Listen for a forward; the socket, and what ends it.  Raises OSError."""
        sock = local.bind(forward, ip)
        if forward.network == "tcp":
            listener = self._tcp.publish(sock, forward)
            return sock, lambda: self._tcp.withdraw(listener)
        udp = LocalUdp(
            self._loop, self._spares, self._place, sock, forward, self._names, self._journal
        )
        self._udp.add(udp)

        def end() -> None:
            self._udp.discard(udp)
            udp.close()

        return sock, end

    def _accept(self, forward: "Forward") -> None:
        """A -R."""
        try:
            local.address_of(forward.bind)
        except NetworkError as e:
            what = f"dns lookup error of {forward.network} addr: {e.what}"
            text = f"[!] Failed to resolve bind address. {what}"
            raise _Stop(main.BAD_NAME, text) from e
        self._output.line(f"[+] Accepting on remote side {forward.network}://{forward.bind}")
        self._firewall.accept(forward)

    def _open_capture(self) -> None:
        from rootless.network.standalone.pcap import Capture

        path = self._options.pcap
        try:
            self._capture = Capture(path)
        except OSError as e:
            why = os.strerror(e.errno or 0).lower()
            text = f"[!] Failed to open PCAP file: open {path}: {why}"
            raise _Stop(main.BAD_CAPTURE, text) from e

    def _serve_metrics(self, network: str, address: str) -> None:
        from rootless.network.standalone.metrics import Metrics
        from rootless.network.standalone.requests import Server, listen_unix

        try:
            if network == "unix":
                sock = listen_unix(address)
                self._paths.append(address)
                where = address
            elif network == "tcp":
                host, port = forwards.split(address)
                bind = forwards.Address(host or "::", int(port))
                sock = local.bind(forwards.Forward("tcp", bind, bind), local.address_of(bind))
                where = end_text(*sock.getsockname()[:2])
            else:
                raise NetworkError(f"listen {network} {address}: HTTP needs a stream")
        except (OSError, NetworkError) as e:
            why = e.what if isinstance(e, NetworkError) else os.strerror(e.errno or 0).lower()
            raise _Stop(main.BAD_METRICS, f"[!] Failed to start metrics: {why}") from e
        say(f"[ ] #{os.getpid()} Running metrics on {where}")
        self._servers.append(Server(self._loop, sock, Metrics(self._journal).respond))

    def _serve_api(self, path: str) -> None:
        from rootless.network.standalone.api_socket import HostForwards
        from rootless.network.standalone.requests import Server, listen_unix

        try:
            sock = listen_unix(path)
        except OSError as e:
            why = os.strerror(e.errno or 0).lower()
            text = f"[!] Failed to listen on unix://{path}: {why}"
            raise _Stop(main.BAD_LISTEN, text) from e
        self._paths.append(path)
        entries = HostForwards(lambda forward, ip: self.open_forward(forward, ip)[1])
        self._servers.append(Server(self._loop, sock, entries.respond))

    def _remove_sockets(self) -> None:
        for path in self._paths:
            try:
                os.unlink(path)
            except OSError:
                pass

    def _close(self, opened: device.Opened) -> None:
        if self._options.metrics is not None:
            say(f"[ ] #{os.getpid()} Stopping metrics")
        for server in self._servers:
            server.close()
        self._remove_sockets()
        for udp in self._udp:
            udp.close()
        for part in (self._tcp, self._outgoing, self._datagrams, self._echo, self._tap):
            part.close()
        for spare in self._spares.values():
            spare.close()
        self._names.close()
        if self._capture is not None:
            self._capture.close()
        self._pipes.close()
        self._loop.close()
        opened.gateway.close()
