"""--network, --add-host, --dns…, host names, and the modes of the other namespaces."""

from rootless.errors import UsageError
from rootless.runtime.options_text import closest, is_hostname, parse_address

NETWORKS = ("bridge", "default", "host", "netstack", "none", "pasta", "private", "slirp4netns")
LATER = "RL-NOT-YET"  # a feature that has its own issue


def parse_network(value: str) -> tuple[str, list[str]]:
    """(mode, options) of --network; the mode is "" when none is named.

    "bridge", "default" and "private" stand for whatever driver this host does best: "".
    "netstack:…", "slirp4netns:…" and "pasta:…" have options, as podman writes them.
    """
    mode, colon, rest = value.partition(":")
    if value.startswith("container:"):
        raise UsageError(
            f"cannot join the network of another container ({value}): not in this version",
            remedy="publish a port with -p and connect to it, or use --network host for both",
            code=LATER,
        )
    if mode not in NETWORKS and mode:
        raise UsageError(
            f"cannot use the network {value}: named networks are not in this version",
            remedy=closest(mode, NETWORKS) or f"choose one of {', '.join(NETWORKS)}",
            code=LATER,
        )
    if colon and mode not in ("netstack", "slirp4netns", "pasta"):
        raise UsageError(f"network {mode} takes no options: {value}", remedy=f"write {mode}")
    options = [word for word in rest.split(",") if word]
    if mode == "slirp4netns":
        _check_slirp(options)
    elif mode == "netstack":
        from rootless.network import netstack

        netstack.parse(options)
    return ("" if mode in ("bridge", "default", "private") else mode), options


def _check_slirp(options: list[str]) -> None:
    known = ("mtu", "cidr", "enable_ipv6", "allow_host_loopback", "outbound_addr", "port_handler")
    for option in options:
        key, equals, _ = option.partition("=")
        if key not in known or not equals:
            raise UsageError(
                f"unknown option of slirp4netns: {option}",
                remedy=closest(key, known) or f"known are {', '.join(known)}",
            )


def parse_add_host(specs: list[str]) -> list[list[str]]:
    """[[name, address or "host-gateway"], ...] of "name:IP" and "name=IP"."""
    found = []
    for spec in specs:
        separator = "=" if "=" in spec else ":"
        name, given, address = spec.partition(separator)
        form = "write NAME:IP, NAME=IP or NAME:host-gateway"
        if not given or not name or any(c.isspace() for c in name):
            raise UsageError(f'bad format for --add-host: "{spec}"', remedy=form)
        if len(address) > 2 and address[0] == "[" and address[-1] == "]":
            address = address[1:-1]
        if address != "host-gateway":
            parsed = parse_address(address)
            if parsed is None:
                raise UsageError(f'invalid IP address in --add-host: "{address}"', remedy=form)
            address = parsed
        found.append([name, address])
    return found


def parse_dns(servers: list[str]) -> list[str]:
    """Name servers.  Raises UsageError for what is no address."""
    found = []
    for server in servers:
        address = parse_address(server)
        if address is None:
            raise UsageError(
                f"IP address is not correctly formatted: {server} (--dns)",
                remedy="give an IPv4 or IPv6 address",
            )
        found.append(address)
    return found


def parse_dns_search(domains: list[str]) -> list[str]:
    """Search domains; "." alone means none."""
    for domain in domains:
        name = domain.strip().removesuffix(".")
        plain = all(c.isalnum() or c in "-_." for c in name) and ".." not in name
        if domain.strip() != "." and (not name or not plain or len(name) > 253):
            raise UsageError(
                f"{domain} is not a valid domain (--dns-search)", remedy="as example.com, or ."
            )
    return [domain.strip() for domain in domains]


def parse_dns_options(options: list[str]) -> list[str]:
    """Words for the options line of resolv.conf(5)."""
    for option in options:
        if not option or any(c.isspace() for c in option):
            raise UsageError(f'invalid --dns-option "{option}"', remedy="one word, as ndots:1")
    return options


def check_hostname(value: str, option: str) -> str:
    """A name that sethostname(2) and resolvers take."""
    if value and not is_hostname(value):
        raise UsageError(
            f'invalid {option} "{value}"',
            remedy="letters, digits, - and . only, beginning with a letter or digit, at most 64",
        )
    return value


# podman-run(1) has these.
_USERNS_NOT_YET = {
    "auto": "each container would need its own part of your subordinate IDs, and every layer a "
    "copy for it",
    "container": "user namespaces of containers are not shared",
    "ns": "rl makes the user namespace itself",
}


def parse_userns(value: str) -> dict[str, object]:
    """{"mode": "" | "keep-id" | "nomap", "uid": int | None, "gid": int | None} of --userns.

    The numbers of nomap are those that the caller has outside of the program's namespace: the first
    that are no subordinate ID's.  Only create() knows them.
    """
    mode, colon, rest = value.partition(":")
    if mode in ("", "host", "private") and not colon:
        # Docker's "host" switches remapping off; without root there is one way of mapping.
        return {"mode": "", "uid": None, "gid": None}
    if value == "nomap":
        return {"mode": "nomap", "uid": None, "gid": None}
    if mode in _USERNS_NOT_YET:
        raise UsageError(
            f"cannot use --userns {value}: {_USERNS_NOT_YET[mode]}",
            remedy="leave it out, and root is you; use keep-id, and you are yourself; or nomap, "
            "and you are nobody",
            code=LATER,
        )
    if mode != "keep-id":
        raise UsageError(
            f"invalid --userns {value}: rl maps your user to root, or keeps its ID",
            remedy="use keep-id, keep-id:uid=1000,gid=1000, nomap, or leave it out",
        )
    found: dict[str, object] = {"mode": mode, "uid": None, "gid": None}
    for pair in rest.split(",") if rest else []:
        key, _, number = pair.partition("=")
        if key not in ("uid", "gid") or not number.isdecimal() or int(number) > 2**32 - 2:
            raise UsageError(
                f"invalid --userns {value}: {pair}", remedy="write keep-id:uid=NUMBER,gid=NUMBER"
            )
        found[key] = int(number)
    return found


def parse_namespace(option: str, value: str, allowed: tuple[str, ...]) -> str:
    """ "private", "host" or another of `allowed` for --ipc, --pid, --uts and --cgroupns."""
    if value.startswith(("container:", "ns:")):
        raise UsageError(
            f"cannot share the {option} namespace of another container ({value}): "
            "not in this version",
            remedy=f"use --{option} private or host",
            code=LATER,
        )
    if value not in allowed and value:
        raise UsageError(f"invalid --{option} mode: {value}", remedy=f"one of {', '.join(allowed)}")
    return value or "private"
