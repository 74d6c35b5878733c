"""EXPOSE: port specifications -> "80/tcp".

Source: buildkit frontend/dockerfile/dockerfile2llb/convert_expose.go.
"""

from rootless.errors import BuildError
from rootless.records import dataclass
from rootless.runtime.options_text import parse_address

PROTOCOLS = ("tcp", "udp", "sctp")


@dataclass(frozen=True, slots=True)
class Exposed:
    """`ports` are as in an image config; the rest is for the checks."""

    ports: tuple[str, ...]
    protocol_written: str
    has_host_part: bool


def parse_port(text: str) -> Exposed:
    """[[IP:]HOST:]PORT[-PORT][/PROTOCOL].  Raises BuildError (RL-BUILD-VALUE)."""
    front, _, container = text.rpartition(":")
    address, _, host = front.rpartition(":")
    container, _, protocol = container.partition("/")
    if protocol.lower() not in ("", *PROTOCOLS):
        raise _error(f"{text!r} has an unknown protocol", f"known are {', '.join(PROTOCOLS)}")
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    if address and parse_address(bare) is None:
        raise _error(f"{text!r} has no valid address", "write only the port: 80/tcp")
    first, last = _range(container, text)
    if host:
        host_first, host_last = _range(host, text)
        if last - first != host_last - host_first and first != last:
            raise _error(f"the ranges in {text!r} differ", "write only the port: 80/tcp")
    ending = protocol.lower() or "tcp"
    ports = tuple(f"{port}/{ending}" for port in range(first, last + 1))
    return Exposed(ports, protocol, bool(front))


def _range(text: str, whole: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    ends = [first, last] if dash else [first, first]
    good = all(e.isascii() and e.isdecimal() and len(e) < 9 and int(e) < 65536 for e in ends)
    if not good or int(ends[1]) < int(ends[0]):
        raise _error(f"{whole!r} is no port", "write it as 80, 80/udp or 8000-8010")
    return int(ends[0]), int(ends[1])


def _error(problem: str, remedy: str) -> BuildError:
    return BuildError(problem, remedy=remedy, code="RL-BUILD-VALUE")
