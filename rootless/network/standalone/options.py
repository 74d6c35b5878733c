"""The options of rl-netstack: slirpnetstack's, and -api-socket."""

import _socket

from rootless.errors import NetworkError
from rootless.network.standalone import flags, forwards, names
from rootless.network.standalone.flags import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rootless.network.standalone.forwards import Forward, Range

_HOST, _HOST6 = ("127.0.0.1", "::1"), ("10.0.2.100", "fd00::100")
_GUEST, _GUEST6 = ("10.0.2.2", "fd00::2"), ("127.0.0.1", "::1")


class Options:
    """What was asked for."""

    def __init__(self) -> None:
        self.version = self.quiet = self.exit_with_parent = False
        self.enable_host = self.enable_routing = False
        self.fd = -1
        self.mtu = 0
        self.processors = 0  # one is all that we ever use
        self.netns = self.pcap = self.api_socket = ""
        self.interface = "tun0"
        self.remote: list[Forward] = []
        self.local: list[Forward] = []
        self.allow: list[Range] = []
        self.deny: list[Range] = []
        self.metrics: tuple[str, str] | None = None  # "tcp" or "unix", and the address
        self.dns_ttl = 5.0
        self.sources: dict[int, str] = {}

    def finish(self) -> None:
        """Fill in the addresses that -L and -R were not given."""
        for forward in self.local:
            forward.set_defaults(_HOST, _HOST6)
        for forward in self.remote:
            forward.set_defaults(_GUEST, _GUEST6)


def table(options: Options) -> "list[Flag]":
    """The flags, each of which sets what it says in `options`."""

    def to(name: str, read: "Callable[[str], Any]") -> "Callable[[str], None]":
        return lambda text: setattr(options, name, read(text))

    def more(values: "list[Any]", read: "Callable[[str], list[Any]]") -> "Callable[[str], None]":
        return lambda text: values.extend(read(text))

    def source(family: int) -> "Callable[[str], None]":
        return lambda text: options.sources.update({family: _source(family, text)})

    def ranges(text: str) -> "list[Range]":
        return forwards.parse_ranges(text, _resolve)

    return [
        Flag("L", "value", more(options.local, lambda text: [forwards.parse_forward(text)]),
             "forward from the host to the guest: [tcp|udp|udprpc|tcppp|udpspp://]"
             "[bind:]port[:guest:port]"),
        Flag("R", "value", more(options.remote, lambda text: [forwards.parse_forward(text)]),
             "forward from the guest to the host: [tcp|udp|udprpc://][bind:]port[:host:port]"),
        Flag("allow", "value", more(options.allow, ranges),
             "let the guest reach these: [tcp|udp://]net[:port[-port]],..."),
        Flag("api-socket", "string", to("api_socket", str),
             "path of a UNIX socket for slirp4netns's API"),
        Flag("deny", "value", more(options.deny, ranges),
             "never let the guest reach these, whatever else allows them"),
        Flag("dns-ttl", "duration", to("dns_ttl", flags.duration),
             "how long a name of a forward is known before it is looked up again", "5s"),
        Flag("enable-host", "", to("enable_host", flags.boolean),
             "let the guest reach the networks that the host has routes to, and the host"),
        Flag("enable-routing", "", to("enable_routing", flags.boolean),
             "let the guest reach all other networks"),
        Flag("exit-with-parent", "", to("exit_with_parent", flags.boolean),
             "end when the parent process ends"),
        Flag("fd", "int", to("fd", flags.integer),
             "a datagram socket with Ethernet frames, instead of a device", "-1"),
        Flag("interface", "string", to("interface", str),
             "name of the tun or tap device", '"tun0"'),
        Flag("m", "value", to("metrics", _metrics),
             "where to serve metrics by HTTP: tcp://address:port or unix://path"),
        Flag("maxprocs", "int", to("processors", flags.integer),
             "processors to use at most; one is all that it ever uses"),
        Flag("mtu", "uint", to("mtu", flags.unsigned),
             "largest packet (default: 1500 for -fd, the device's own for -netns)"),
        Flag("netns", "string", to("netns", str),
             "path of the network namespace that the device is in"),
        Flag("pcap", "string", to("pcap", str), "write what passes to this file, as tcpdump would"),
        Flag("quiet", "", to("quiet", flags.boolean), "say nothing of single connections"),
        Flag("source-ipv4", "value", source(_socket.AF_INET),
             "connect from this address of the host"),
        Flag("source-ipv6", "value", source(_socket.AF_INET6),
             "connect from this address of the host"),
        Flag("version", "", to("version", flags.boolean), "print the version and exit"),
    ]  # fmt: skip


def _resolve(name: str) -> str:
    try:
        return names.resolve(name)[0]
    except NetworkError as e:
        raise ValueError(e.what) from e


def _source(family: int, text: str) -> str:
    ip = text if forwards.is_ip(text) else _resolve(text)
    if (":" in ip) != (family == _socket.AF_INET6):
        raise ValueError(f"{ip} is of the other family")
    return ip


def _metrics(text: str) -> "tuple[str, str]":
    network, separator, address = text.partition("://")
    if not separator or network not in ("unix", "tcp", "udp"):
        raise ValueError("Address must be in form net://address, where net is one of unix/tcp/udp")
    if network != "unix":
        parts = forwards.split(address)
        if len(parts) != 2:
            raise ValueError(f"address {address}: missing port in address")
        flags.port(parts[1])
    return network, address
