"""The forwards of -L and -R, and the networks of -allow and -deny, as they are written.  Pure.

    [tcp|udp|udprpc|tcppp|udpspp://][bind:]port[:host:port]      an IPv6 address in [brackets]
    [proto://]address[/bits][:port[-port]]                       several joined by commas

A host may be a name, and NAME@srv-[ADDRESS:]PORT the SRV record of NAME from that name server.
"""

from rootless.network.stack import packets
from rootless.network.stack.addresses import Prefix, packed
from rootless.network.standalone import flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PROTOCOLS = {"tcp": packets.TCP, "udp": packets.UDP}
_ALL = "udp://0.0.0.0/0,udp://[::]/0,tcp://0.0.0.0/0,tcp://[::]/0"


class Address:
    """An IP address, or a name that has one, and a port."""

    def __init__(self, host: str, port: int) -> None:
        self.ip = host if is_ip(host) else ""  # of a name: the last one that was found
        self.label = "" if self.ip else host
        self.port = port
        self.why = ""  # a name could not be resolved last time

    def __str__(self) -> str:
        return f"{self.ip}:{self.port}"


class Forward:
    """One -L or -R.  `network` is "tcp" or "udp"; `rpc`: a flow ends with its first answer;
    `proxied`: the client is told by the PROXY protocol, or its simple form for datagrams."""

    def __init__(self, network: str, bind: Address, host: Address) -> None:
        self.network = network
        self.bind = bind
        self.host = host
        self.rpc = False
        self.proxied = False

    def set_defaults(self, bind: "tuple[str, str]", host: "tuple[str, str]") -> None:
        """Addresses where none was given; the second ones if the other is IPv6."""
        six = ":" in self.bind.ip or ":" in self.host.ip
        for address, defaults in ((self.bind, bind), (self.host, host)):
            if not address.ip and not address.label:
                address.ip = defaults[six]


def is_ip(text: str) -> bool:
    try:
        packed(text)
    except OSError:
        return False
    return True


def parse_forward(text: str) -> Forward:
    """Raises ValueError."""
    network, separator, rest = text.partition("://")
    if not separator:
        network, rest = "tcp", text
    kind = {"udprpc": "udp", "udpspp": "udp", "tcppp": "tcp"}.get(network, network)
    if kind not in PROTOCOLS:
        raise ValueError(f"unknown network type {flags.quoted(network)}")
    parts = split(rest)
    bind_ip = bind_port = host_ip = host_port = ""
    if len(parts) == 1:
        bind_port = parts[0]
    elif len(parts) == 2:
        bind_ip, bind_port = parts
    elif len(parts) == 3:
        bind_port, host_ip, host_port = parts
    elif len(parts) == 4:
        bind_ip, bind_port, host_ip, host_port = parts
    else:
        raise ValueError("error parsing forward: more than four parts")
    bind = Address(bind_ip, flags.port(bind_port or "0"))
    host_port = host_port or bind_port
    forward = Forward(kind, bind, Address(host_ip, flags.port(host_port or "0")))
    forward.rpc = network == "udprpc"
    forward.proxied = network in ("udpspp", "tcppp")
    return forward


def split(text: str) -> "list[str]":
    """At the colons outside of brackets; the outermost brackets go away."""
    parts, part, depth = [], "", 0
    for character in text:
        if character == "[":
            depth += 1
            if depth == 1:
                continue
        elif character == "]" and depth:
            depth -= 1
            if depth == 0:
                continue
        elif character == ":" and depth == 0:
            parts.append(part)
            part = ""
            continue
        part += character
    return [*parts, part]


class Range:
    """A network and ports of one protocol."""

    def __init__(self, protocol: int, network: Prefix, first: int, last: int) -> None:
        self._protocol = protocol
        self._network = network
        self._first = first
        self._last = last

    def has(self, address: bytes, port: int, protocol: int) -> bool:
        if protocol != self._protocol or not self._network.has(address):
            return False
        return not self._last or self._first <= port <= self._last


def parse_ranges(text: str, resolve: "Callable[[str], str]") -> "list[Range]":
    """`resolve` gives the address of a name, or raises ValueError.  Raises ValueError."""
    return [_range(one, resolve) for one in (_ALL if text == "all" else text).split(",")]


def _range(text: str, resolve: "Callable[[str], str]") -> Range:
    network, separator, rest = text.partition("://")
    if not separator:
        network, rest = "tcp", text
    if network not in PROTOCOLS:
        raise ValueError(f"unknown network type {flags.quoted(network)}")
    parts = split(rest)
    if len(parts) > 2:
        raise ValueError("error parsing ipportrange")
    first = last = 0
    if len(parts) == 2:
        low, dash, high = parts[1].partition("-")
        first = flags.port(low)
        last = flags.port(high) if dash else first
        if last < first:
            raise ValueError("min port must be smaller equal than max")
    return Range(PROTOCOLS[network], _prefix(parts[0], resolve), first, last)


def _prefix(text: str, resolve: "Callable[[str], str]") -> Prefix:
    address, slash, bits = text.partition("/")
    if slash and is_ip(address) and bits.isdecimal() and int(bits) <= len(packed(address)) * 8:
        return Prefix(packed(address), int(bits))
    if not is_ip(text):
        text = resolve(text)
    return Prefix(packed(text), len(packed(text)) * 8)
