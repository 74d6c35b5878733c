"""What is said of connections, as slirpnetstack says it; and how many there are and were."""

import os

from rootless.network.stack import packets
from rootless.network.stack.addresses import shown
from rootless.network.stack.inflow import unmapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from rootless.network.stack.policy import End
    from rootless.network.standalone.firewall import Firewall
    from rootless.network.standalone.output import Output

_NETWORKS = {packets.TCP: "tcp", packets.UDP: "udp"}


def end_text(address: str, port: int) -> str:
    """1.2.3.4:80, [fd00::2]:80; IPv4 written as IPv6 as IPv4."""
    address = unmapped(address)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def ending(first: int, error: int) -> str:
    """How a pair of connections ended: reading and writing the near one, then the far one; the
    first to end in brackets."""
    words = ["EOF", "0", "EOF", "0"]
    if error:
        words = ["0", "0", "0", "0"]
        words[max(first, 0)] = os.strerror(error).lower()
    words[max(first, 0)] = f"[{words[max(first, 0)]}]"
    return f"l={words[0]}/{words[1]} r={words[2]}/{words[3]}"


class Journal:
    """The lines of connections from the guest; those to it are told by told()."""

    def __init__(self, output: "Output", firewall: "Firewall") -> None:
        self._output = output
        self._firewall = firewall
        self.open = 0
        self.counts = {"routed": 0, "remote": 0, "local": 0, "failed": 0}

    def told(self, line: str, kind: str = "", change: int = 0) -> None:
        """Say `line`; `kind` is counted, and `change` connections more are open."""
        if kind:
            self.counts[kind] += 1
        self.open += change
        self._output.line(line)

    def _ways(self, protocol: int, source: "End", asked: "End") -> "tuple[str, str, bool]":
        """What a line begins with, what the asked end is called in it, and whether it is -R."""
        network = _NETWORKS[protocol]
        guest = end_text(shown(source[0]), source[1])
        there = end_text(shown(asked[0]), asked[1])
        forward = self._firewall.forward(asked[0], asked[1], protocol)
        if forward is None:
            return f"{network}://{guest}", there, False
        return f"{network}://{guest}-{there}", forward.host.label or str(forward.host), True

    def began(
        self, protocol: int, source: "End", asked: "End", outside: "_socket.socket"
    ) -> object:
        begin, _, forwarded = self._ways(protocol, source, asked)
        here = end_text(*outside.getsockname()[:2])
        there = end_text(*outside.getpeername()[:2])
        what = "remote-fwd" if forwarded else "Routing"
        line = f"{begin}/{here}-{there} {what} conn"
        self.told(f"[+] {line} new", "remote" if forwarded else "routed", 1)
        return line

    def failed(self, protocol: int, source: "End", asked: "End", error: int) -> None:
        begin, target, forwarded = self._ways(protocol, source, asked)
        what = "remote-fwd" if forwarded else "Routing"
        forward = self._firewall.forward(asked[0], asked[1], protocol)
        if not error and forward is not None:
            lookup = f"dns lookup error of {forward.network} addr: {forward.host.why}"
            self.told(f"[!] {begin}/{target}-failed remote-fwd {lookup}", "failed")
            return
        self.told(f"[!] {begin}/{target} {what} conn error: {ending(2, error)}", "failed")

    def ended(self, token: object, first: int, error: int) -> None:
        self.told(f"[-] {token} done: {ending(first, error)}", change=-1)
