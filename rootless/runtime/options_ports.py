"""--publish and --expose: go-connections' nat.ParsePortSpec, and the long form of docker's CLI.

A published port is a dictionary: host_ip ("" is every address), host_port (0: any free one),
container_port, protocol.  With one container port and a range of host ports there is also
host_port_end: any free one of the range will do.  `guard`: rootless.network.ports.Port.
"""

import os

from rootless.errors import UsageError
from rootless.runtime.options_text import parse_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Port = dict[str, Any]

_PATH_MAX = 107  # sun_path of struct sockaddr_un, less its zero byte
_FORM = "write [[IP:]HOSTPORT:]CONTAINERPORT[/tcp|/udp], as 127.0.0.1:8080:80"


def parse_publish(specs: list[str], private: "Sequence[str]" = (), cwd: str = "/") -> "list[Port]":
    """The ports of all --publish and --publish-private options.  Raises UsageError."""
    ports: list[Port] = []
    fixed: set[tuple[str, int, str]] = set()
    for number, spec in enumerate([*specs, *private]):
        parse = parse_one if number < len(specs) else _private
        if spec.startswith("unix:") and parse is parse_one:
            ports.append(_unix(spec, cwd))
            continue
        for port in parse(_standard_notation(spec) if "=" in spec else spec):
            key = (port["host_ip"], port["host_port"], port["protocol"])
            if port["host_port"] and "host_port_end" not in port:
                if key in fixed:
                    raise UsageError(
                        f"host port {key[1]}/{key[2]} is published twice",
                        remedy="leave one --publish out, or give it another host port",
                    )
                fixed.add(key)
            ports.append(port)
    return ports


def parse_one(spec: str) -> "list[Port]":
    """The ports of one specification in the short form."""
    ip, host, container = _split(spec)
    container, protocol = split_protocol(container, spec)
    if ip.startswith("[") and ip.endswith("]"):
        ip = ip[1:-1]
    address = parse_address(ip) if ip else ""
    if address is None:
        raise UsageError(f"invalid IP address in --publish {spec}: {ip}", remedy=_FORM)
    if not container:
        raise UsageError(f"no container port in --publish {spec}", remedy=_FORM)
    first, last = parse_range(container, f"invalid container port in --publish {spec}", least=1)
    host_first = host_last = 0
    if host:
        host_first, host_last = parse_range(host, f"invalid host port in --publish {spec}")
    base = {"host_ip": address, "protocol": protocol}
    if host_last - host_first != last - first and host:
        if first != last:
            raise UsageError(
                f"invalid ranges in --publish {spec}: {container} and {host} differ in length",
                remedy="give both ranges the same length, or one container port",
            )
        return [
            {
                **base,
                "host_port": host_first,
                "container_port": first,
                "host_port_end": host_last,
            }
        ]
    return [
        {
            **base,
            # 0 asks for any port, of each port of a range.
            "host_port": host_first + step if host_first else 0,
            "container_port": first + step,
        }
        for step in range(last - first + 1)
    ]


def _private(spec: str) -> "list[Port]":
    """The ports of --publish-private: TCP, of the host's loopback."""
    ports = parse_one(spec)
    for port in ports:
        port["host_ip"] = port["host_ip"] or "127.0.0.1"
        loopback = port["host_ip"].startswith("127.") or port["host_ip"] == "::1"
        if port["protocol"] != "tcp" or not loopback:
            raise UsageError(
                f"cannot publish {spec} privately: whose a connection is can be told for TCP of "
                "the host's loopback alone",
                remedy="write --publish-private [HOSTPORT:]PORT",
            )
        port["guard"] = {"private": True}
    return ports


def _unix(spec: str, cwd: str) -> "Port":
    """The port of "unix:PATH:PORT[,mode=OCTAL][,group=NAME]"."""
    rest, words = spec.removeprefix("unix:"), []
    # From the end: the path may have commas.
    while (word := rest.rpartition(",")[2]).startswith(("mode=", "group=")):
        words.append(word)
        rest = rest.rpartition(",")[0]
    path, _, container = rest.rpartition(":")
    container, protocol = split_protocol(container, spec)
    number = _port(container)
    form = "write unix:PATH:PORT[,mode=600][,group=NAME]"
    if not path or not number or protocol != "tcp":
        raise UsageError(f"invalid --publish {spec}", remedy=form)
    path = os.path.normpath(os.path.join(cwd, path))
    if len(os.fsencode(path)) > _PATH_MAX:
        raise UsageError(
            f"cannot publish {spec}: the path has more than {_PATH_MAX} bytes",
            remedy="a socket's path may not: unix(7); choose a shorter one",
        )
    guard: dict[str, object] = {"path": path, "mode": 0o600, "group": ""}
    for word in words:
        key, _, value = word.partition("=")
        if key == "group":
            guard["group"] = value
        elif value and len(value) < 5 and set(value) <= set("01234567"):
            guard["mode"] = int(value, 8)
        else:
            raise UsageError(f"invalid mode in --publish {spec}: {value}", remedy=form)
    return {
        "host_ip": "", "host_port": 0, "container_port": number, "protocol": "tcp", "guard": guard,
    }  # fmt: skip


def parse_expose(specs: list[str]) -> list[str]:
    """The ports of all --expose options, as "80/tcp"."""
    exposed: dict[str, None] = {}
    for spec in specs:
        if ":" in spec:
            raise UsageError(
                f"invalid port format for --expose: {spec}", remedy="write PORT[-PORT][/PROTOCOL]"
            )
        port, protocol = split_protocol(spec, spec)
        first, last = parse_range(port, f"invalid range format for --expose: {spec}", least=1)
        for number in range(first, last + 1):
            exposed[f"{number}/{protocol}"] = None
    return list(exposed)


def parse_range(text: str, problem: str, least: int = 0) -> tuple[int, int]:
    """(first, last) of "80" or "8000-8010"."""
    first, dash, last = text.partition("-")
    low, high = _port(first), _port(last if dash else first)
    if low is None or high is None or low < least or high < low:
        raise UsageError(
            f"{problem}: {text}", remedy=f"a port is a number from {least} to 65535, a range A-B"
        )
    return low, high


def split_protocol(text: str, spec: str) -> tuple[str, str]:
    """("80", "tcp") of "80/tcp" or "80"."""
    port, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash and protocol else "tcp"
    if protocol == "sctp":
        raise UsageError(
            f"cannot publish {spec}: no rootless network carries SCTP",
            remedy="use tcp or udp, or --network host",
        )
    if protocol not in ("tcp", "udp"):
        raise UsageError(f"invalid protocol in {spec}: {protocol}", remedy="use tcp or udp")
    return port, protocol


def _port(text: str) -> int | None:
    if not text.isascii() or not text.isdecimal() or len(text) > 5 or int(text) > 65535:
        return None
    return int(text)


def _split(spec: str) -> tuple[str, str, str]:
    """(IP, host port, container port) at the last two colons, as IPv6 has colons too."""
    parts = spec.split(":")
    if len(parts) == 1:
        return "", "", parts[0]
    return ":".join(parts[:-2]), parts[-2], parts[-1]


def _standard_notation(spec: str) -> str:
    """The short form of "published=8080,target=80,protocol=tcp"."""
    found = {"protocol": "tcp", "published": "", "target": ""}
    for pair in spec.split(","):
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(
                f"invalid publish option '{pair}' in --publish {spec}",
                remedy="write published=8080,target=80,protocol=tcp",
            )
        if key not in found and key != "mode":
            raise UsageError(
                f"unknown key '{key}' in --publish {spec}",
                remedy="the keys are published, target and protocol",
            )
        found[key] = value
    return f"{found['published']}:{found['target']}/{found['protocol']}"
