"""-api-socket: forwards that come and go, by slirp4netns's API: slirp4netns(1), "API socket".

A client sends one JSON request and gets one answer:

    {"execute": "add_hostfwd", "arguments": {"proto": "tcp", "host_addr": "0.0.0.0",
     "host_port": 8080, "guest_addr": "10.0.2.100", "guest_port": 80}}      {"return": {"id": 1}}
    {"execute": "list_hostfwd"}                                {"return": {"entries": [...]}}
    {"execute": "remove_hostfwd", "arguments": {"id": 1}}      {"return": {}}

or {"error": {"desc": "bad request: ..."}}.
"""

from rootless import fastjson
from rootless.network.stack import gateway as gateways
from rootless.network.standalone.forwards import Address, Forward, is_ip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

REQUEST_MAX = 4096  # slirp4netns's


class _Bad(Exception):
    """What is wrong with a request."""


class HostForwards:
    """`open_forward(forward, ip)` begins one, and gives what ends it; it raises OSError."""

    def __init__(self, open_forward: "Callable[[Forward, str], Callable[[], None]]") -> None:
        self._open_forward = open_forward
        self._entries: dict[int, dict[str, object]] = {}
        self._ends: dict[int, Callable[[], None]] = {}
        self._last = 0

    def respond(self, data: bytes, ended: bool) -> "bytes | None":
        """The answer to a request: requests.Server."""
        if len(data) > REQUEST_MAX:
            return _error("bad request: too large message")
        try:
            document = fastjson.loads(data)
        except ValueError:
            # It may be half of one; but who sends a line waits for its answer.
            return _error("bad request: cannot parse JSON") if ended or data[-1:] == b"\n" else None
        try:
            return fastjson.dumps({"return": self._execute(document)}).encode()
        except _Bad as e:
            return _error(f"bad request: {e}")

    def _execute(self, document: "Any") -> object:
        if not isinstance(document, dict):
            raise _Bad("no execute found")
        word, arguments = document.get("execute"), document.get("arguments")
        if not isinstance(word, str):
            raise _Bad("no execute found")
        arguments = arguments if isinstance(arguments, dict) else {}
        if word == "add_hostfwd":
            return {"id": self._add(arguments)}
        if word == "list_hostfwd":
            return {"entries": list(self._entries.values())}
        if word == "remove_hostfwd":
            return self._remove(arguments)
        raise _Bad("unknown execute")

    def _add(self, arguments: "dict[str, Any]") -> int:
        proto = arguments.get("proto")
        if proto not in ("tcp", "udp"):
            raise _Bad("add_hostfwd: bad arguments.proto")
        host_ip = arguments.get("host_addr") or "0.0.0.0"
        guest_ip = arguments.get("guest_addr") or (
            gateways.IP6 if ":" in str(host_ip) and host_ip != "::" else gateways.IP4
        )
        host_port, guest_port = arguments.get("host_port"), arguments.get("guest_port")
        for name, value in (("host_addr", host_ip), ("guest_addr", guest_ip)):
            if not isinstance(value, str) or not is_ip(value):
                raise _Bad(f"add_hostfwd: bad arguments.{name}")
        for name, value in (("host_port", host_port), ("guest_port", guest_port)):
            if not isinstance(value, int) or not 0 < value < 65536:
                raise _Bad(f"add_hostfwd: bad arguments.{name}")
        forward = Forward(
            proto, Address(host_ip, host_port or 0), Address(guest_ip, guest_port or 0)
        )
        try:
            end = self._open_forward(forward, host_ip)
        except OSError as e:
            raise _Bad("add_hostfwd: slirp_add_hostfwd failed") from e
        self._last += 1
        self._ends[self._last] = end
        self._entries[self._last] = {
            "id": self._last, "proto": proto, "host_addr": host_ip, "host_port": host_port,
            "guest_addr": guest_ip, "guest_port": guest_port,
        }  # fmt: skip
        return self._last

    def _remove(self, arguments: "dict[str, Any]") -> object:
        number = arguments.get("id")
        if not isinstance(number, int) or number not in self._entries:
            raise _Bad("remove_hostfwd: bad arguments.id")
        self._ends.pop(number)()
        del self._entries[number]
        return {}


def _error(text: str) -> bytes:
    return fastjson.dumps({"error": {"desc": text}}).encode()
