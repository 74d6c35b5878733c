"""Names of forwards: looked up by a child, so that nothing waits for a name server.

A plain name is the host's to resolve (getaddrinfo).  NAME@srv-[ADDRESS:]PORT is the SRV record
(RFC 2782) of NAME from that name server, of 127.0.0.1 if no address is given; the host that it
tells is asked there, too, then of the host's resolver.
"""

import _socket
import os
import struct
import time

from rootless.errors import NetworkError
from rootless.network.stack import spare
from rootless.network.stack.addresses import shown
from rootless.network.stack.loop import IN, Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.linux.channel import Channel
    from rootless.network.standalone.forwards import Address

_A, _AAAA, _SRV, _IN_CLASS = 1, 28, 33, 1
_TRIES, _WAIT_S = 2, 1.5
_ANSWER_MAX = 4096
_JUMPS_MAX = 32  # compression pointers in one name


def resolve(label: str) -> "tuple[str, int]":
    """The address of a name, and the port that its SRV record tells, else 0.  Waits.

    Raises NetworkError.
    """
    name, at, server = label.partition("@")
    if not at:
        return _host_address(label), 0
    if not server.startswith("srv-"):
        raise NetworkError(f"unknown dns type {_quoted(server)}")
    where = server.removeprefix("srv-")
    if ":" not in where:
        where = f"127.0.0.1:{where}"
    address, _, port = where.rpartition(":")
    place = address.strip("[]"), int(port) if port.isdecimal() else 0
    services = sorted(_ask(place, name, _SRV))  # the lowest priority first
    if not services:
        raise NetworkError(f"failed to lookup SRV {_quoted(name)} on {_quoted(where)}")
    _, service_port, target = services[0]
    for kind in (_A, _AAAA):
        for _, _, found in _ask(place, target, kind):
            return found, service_port
    return _host_address(target.rstrip(".")), service_port


def _quoted(text: str) -> str:
    return f'"{text}"'


def _host_address(name: str) -> str:
    """By getaddrinfo(3); IPv4 first."""
    failure = NetworkError(f"lookup {name}: no such host")
    if not name.isascii():
        raise failure
    try:
        found = _socket.getaddrinfo(name, None, 0, _socket.SOCK_STREAM)
    except (OSError, UnicodeError) as e:
        raise failure from e
    for family in (_socket.AF_INET, _socket.AF_INET6):
        for one in found:
            if one[0] == family:
                return str(one[4][0]).partition("%")[0]
    raise failure


def _ask(server: "tuple[str, int]", name: str, kind: int) -> "list[tuple[int, int, str]]":
    """(priority, port, name or address) of each record; none where there is no answer."""
    number = int.from_bytes(os.urandom(2), "big")
    try:
        question = struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + _encoded(name)
    except UnicodeError:
        return []
    question += struct.pack("!HH", kind, _IN_CLASS)
    family = _socket.AF_INET6 if ":" in server[0] else _socket.AF_INET
    sock = _socket.socket(family, _socket.SOCK_DGRAM)
    sock.settimeout(_WAIT_S)
    for _ in range(_TRIES):
        try:
            sock.connect(server)
            sock.send(question)
            answer = sock.recv(_ANSWER_MAX)
            while answer[:2] != question[:2]:
                answer = sock.recv(_ANSWER_MAX)
            return list(records(answer, kind))
        except TimeoutError:
            continue
        except (OSError, ValueError):
            break
    sock.close()
    return []


def _encoded(name: str) -> bytes:
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    if any(not 0 < len(label) < 64 for label in labels):
        raise UnicodeError(name)
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def records(message: bytes, kind: int) -> "list[tuple[int, int, str]]":
    """The answers of one kind in a DNS message: RFC 1035, 4.  Raises ValueError."""
    try:
        _, _, questions, answers, _, _ = struct.unpack_from("!HHHHHH", message)
        place = 12
        for _ in range(questions):
            place = _name(message, place)[1] + 4
        found = []
        for _ in range(answers):
            place = _name(message, place)[1]
            got, _, _, size = struct.unpack_from("!HHIH", message, place)
            place += 10
            data = message[place : place + size]
            if got == kind == _SRV:
                priority, _, port = struct.unpack_from("!HHH", data)
                found.append((priority, port, _name(message, place + 6)[0]))
            elif got == kind and size in (4, 16):
                found.append((0, 0, shown(data)))
            place += size
    except (struct.error, IndexError, UnicodeError) as e:
        raise ValueError("not a DNS message") from e
    return found


def _name(message: bytes, place: int) -> "tuple[str, int]":
    """The name at `place`, and where it ends."""
    labels, end = [], 0
    for _ in range(_JUMPS_MAX + 128):
        size = message[place]
        if size >= 0xC0:
            end = end or place + 2
            place = (size & 0x3F) << 8 | message[place + 1]
        elif size:
            labels.append(message[place + 1 : place + 1 + size].decode("ascii"))
            place += 1 + size
        else:
            return ".".join(labels), end or place + 1
    raise ValueError("a name without an end")


class Names:
    """What names were found to be, for `ttl` seconds."""

    def __init__(self, loop: Loop, ttl: float) -> None:
        self._loop = loop
        self._ttl = ttl
        self._known: dict[str, tuple[float, str, int]] = {}
        self._waiting: dict[str, list[Callable[[tuple[str, int] | None, str], None]]] = {}
        self._asked: dict[int, tuple[Channel, str, int]] = {}

    def find(
        self, address: "Address", then: "Callable[[tuple[str, int] | None, str], None]"
    ) -> None:
        """Call `then((ip, port), "")`, now or soon; (None, reason) when it has none."""
        if not address.label:
            then((address.ip, address.port), "")
            return
        until, ip, port = self._known.get(address.label, (0.0, "", 0))
        if ip and time.monotonic() < until:
            then((ip, port or address.port), "")
            return

        def told(found: "tuple[str, int] | None", why: str) -> None:
            address.why = why
            if found is not None:
                address.ip = found[0]
                found = found[0], found[1] or address.port
            then(found, why)

        waiting = self._waiting.setdefault(address.label, [])
        waiting.append(told)
        if len(waiting) == 1:
            self._ask(address.label)

    def _ask(self, label: str) -> None:
        def look_up(theirs: "Channel") -> None:
            try:
                theirs.send("found", list(resolve(label)))
            except NetworkError as e:
                theirs.send("lost", e.what)

        try:
            child, channel = spare.start_child(look_up)
        except OSError as e:
            self._tell(label, None, str(e.strerror))
            return
        self._asked[channel.fileno()] = (channel, label, child)
        self._loop.watch(channel.fileno(), lambda _events: self._on_answer(channel), IN)

    def _on_answer(self, channel: "Channel") -> None:
        _, label, child = self._asked.pop(channel.fileno())
        word, body, _ = channel.receive()
        self._loop.forget(channel.fileno())
        channel.close()
        os.waitpid(child, 0)
        if word == "found" and isinstance(body, list):
            ip, port = str(body[0]), int(body[1])
            self._known[label] = (time.monotonic() + self._ttl, ip, port)
            self._tell(label, (ip, port), "")
        else:
            self._tell(label, None, str(body or f"lookup {label}: it ended without a word"))

    def _tell(self, label: str, found: "tuple[str, int] | None", why: str) -> None:
        for told in self._waiting.pop(label, []):
            told(found, why)

    def close(self) -> None:
        for channel, _, child in self._asked.values():
            self._loop.forget(channel.fileno())
            channel.close()
            os.kill(child, 9)
            os.waitpid(child, 0)
        self._asked = {}
