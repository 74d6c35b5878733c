"""--network, --add-host, --dns…, host names, and the modes of the other namespaces."""

from rootless.errors import UsageError
from rootless.runtime.options_text import closest, is_hostname, parse_address

NETWORKS = ("bridge", "default", "host", "netstack", "none", "pasta", "private", "slirp4netns")
# What may be said of a container's place on a network, as Docker and podman write it.
_ENDPOINT = {
    "alias": "aliases", "ip": "ip", "ip6": "ip6", "mac": "mac", "mac-address": "mac",
}  # fmt: skip
LATER = "RL-NOT-YET"  # a feature that has its own issue


def parse_networks(
    given: list[str], aliases: list[str], ip: str, ip6: str, mac: str
) -> tuple[str, list[str], dict[str, dict[str, object]]]:
    """(mode, options, networks) of all --network and of what belongs to them.

    The mode is "bridge" for networks with names, which are name -> {"aliases", "ip", "ip6", "mac"}
    in the order in which they were given; else it is as with parse_network().
    """
    networks: dict[str, dict[str, object]] = {}
    modes = []
    for value in given:
        name, wanted = _parse_endpoint(value)
        if name:
            if name in networks:
                raise UsageError(f"the network {name} is given twice", remedy="give it once")
            networks[name] = wanted
        else:
            modes.append(value)
    if len(modes) > 1 or (modes and networks):
        raise UsageError(
            f"cannot be on {' and '.join(given)} at once",
            remedy="several networks are possible if all have names: rl network create",
        )
    _apply(networks, aliases, ip, ip6, mac)
    if networks:
        return "bridge", [], networks
    mode, options = parse_network(modes[0] if modes else "")
    return mode, options, {}


def _apply(
    networks: dict[str, dict[str, object]], aliases: list[str], ip: str, ip6: str, mac: str
) -> None:
    """--network-alias, --ip, --ip6 and --mac-address."""
    given = {"--network-alias": aliases, "--ip": ip, "--ip6": ip6, "--mac-address": mac}
    for option, value in given.items():
        if value and not networks:
            raise UsageError(
                f"{option} needs a network with a name",
                remedy="make one (rl network create NAME) and give it: --network NAME",
            )
        if value and len(networks) > 1 and option != "--network-alias":
            raise UsageError(
                f"{option} with several networks",
                remedy=f"say it of one of them: --network NAME:{option[2:]}={value}",
            )
    for wanted in networks.values():
        own = wanted["aliases"]
        assert isinstance(own, list)
        own += [_check_alias(one) for one in aliases]
        for key, value in (("ip", ip), ("ip6", ip6), ("mac", mac)):
            if value:
                wanted[key] = _check_endpoint(key, value)


def _parse_endpoint(value: str) -> tuple[str, dict[str, object]]:
    """The name of a network and what is wanted there: NAME, NAME:ip=…,alias=… (podman), or
    name=NAME,ip=…,alias=… (Docker).  The name is "" for what is no network with a name."""
    wanted: dict[str, object] = {"aliases": [], "ip": "", "ip6": "", "mac": ""}
    name, colon, rest = value.partition(":")
    if value.startswith("name="):
        name, _, rest = value.removeprefix("name=").partition(",")
    elif name in ("container", "ns") and colon:
        return "", wanted
    if name != "bridge" and (name in NETWORKS or not name):
        return "", wanted
    for pair in rest.split(",") if rest else []:
        key, _, text = pair.partition("=")
        if key not in _ENDPOINT:
            raise UsageError(
                f"unknown word in --network {value}: {key}",
                remedy=closest(key, _ENDPOINT) or f"known are {', '.join(_ENDPOINT)}",
            )
        field = _ENDPOINT[key]
        if field == "aliases":
            own = wanted["aliases"]
            assert isinstance(own, list)
            own.append(_check_alias(text))
        else:
            wanted[field] = _check_endpoint(field, text)
    return name, wanted


def _check_alias(alias: str) -> str:
    plain = all(c.isascii() and (c.isalnum() or c in "-_.") for c in alias)
    if not alias or not plain or len(alias) > 253 or alias[0] == "." or ".." in alias:
        raise UsageError(
            f'invalid network alias "{alias}"', remedy="letters, digits, -, _ and . only"
        )
    return alias


def _check_endpoint(key: str, value: str) -> str:
    if key == "mac":
        parts = value.replace("-", ":").lower().split(":")
        numbers = [int(one, 16) for one in parts if len(one) == 2 and _is_hex(one)]
        if len(parts) != 6 or len(numbers) != 6 or numbers[0] & 1 or not any(numbers):
            raise UsageError(
                f"invalid MAC address: {value}", remedy="six pairs, as 02:42:ac:11:00:02"
            )
        return ":".join(parts)
    address = parse_address(value)
    if address is None or (":" in address) != (key == "ip6"):
        family = "IPv6" if key == "ip6" else "IPv4"
        raise UsageError(
            f"invalid {family} address: {value}", remedy="give one of the network's subnet"
        )
    return address


def _is_hex(text: str) -> bool:
    return all(c in "0123456789abcdef" for c in text)


def parse_network(value: str) -> tuple[str, list[str]]:
    """(mode, options) of a --network without a name; the mode is "" when none is given.

    "bridge", "default" and "private" stand for whatever driver this host does best: "".
    "netstack:…", "slirp4netns:…" and "pasta:…" have options, as podman writes them.
    """
    mode, colon, rest = value.partition(":")
    if mode in ("container", "ns") and colon:
        if not rest:
            raise UsageError(f"invalid --network {value}", remedy="write container:ID or ns:PATH")
        return value, []
    if mode not in NETWORKS and mode:
        raise UsageError(
            f"cannot use the network {value}: steps of a build have no networks with names",
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
