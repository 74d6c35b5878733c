"""/etc/resolv.conf, /etc/hosts and /etc/hostname of a container.  Warm, pure but for reading the
host's resolv.conf.  resolv.conf(5), hosts(5)."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# systemd-resolved's stub listens on loopback; behind it stand these servers.
_RESOLVED_UPSTREAM = "/run/systemd/resolve/resolv.conf"


def read_host() -> str:
    """The host's resolv.conf; that of systemd-resolved's servers where its stub is in use."""
    text = _read("/etc/resolv.conf")
    servers = _values(text, "nameserver")
    if servers and all(_is_loopback(server) for server in servers):
        upstream = _read(_RESOLVED_UPSTREAM)
        if _values(upstream, "nameserver"):
            return upstream
    return text


def resolv_conf(
    host: str,
    *,
    nameserver: str,
    shares_host: bool,
    servers: "Sequence[str]" = (),
    search: "Sequence[str]" = (),
    options: "Sequence[str]" = (),
    ndots: "int | None" = None,
) -> str:
    """The container's file: what was asked for, else the host's.

    `nameserver` is the driver's own forwarder, asked first; servers on the host's loopback can't
    be reached from another network namespace and are left out (unless `shares_host`).  `ndots` is
    that option where none is given: names without a dot are asked for as they are.
    """
    chosen = list(servers)
    if not chosen:
        host_servers = _values(host, "nameserver")
        if not shares_host:
            host_servers = [one for one in host_servers if not _is_loopback(one)]
        chosen = ([nameserver] if nameserver else []) + host_servers
    domains = list(search) or " ".join(_values(host, "search")[-1:]).split()
    if domains == ["."]:
        domains = []
    chosen_options = list(options) or " ".join(_values(host, "options")).split()
    if ndots is not None and not any(one.startswith("ndots:") for one in chosen_options):
        chosen_options.append(f"ndots:{ndots}")
    lines = []
    if domains:
        lines.append("search " + " ".join(domains))
    lines += [f"nameserver {one}" for one in dict.fromkeys(chosen)]
    if chosen_options:
        lines.append("options " + " ".join(chosen_options))
    return "\n".join(lines) + "\n"


def hosts(
    entries: "Sequence[tuple[str, str]]", addresses: "Sequence[str]", names: "Sequence[str]"
) -> str:
    """The container's hosts file; `entries` are (name, address) of --add-host, `addresses` are
    its own."""
    lines = [
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::\tip6-localnet",
        "ff00::\tip6-mcastprefix",
        "ff02::1\tip6-allnodes",
        "ff02::2\tip6-allrouters",
    ]
    lines += [f"{address}\t{name}" for name, address in entries]
    if names:
        lines += [f"{ip or '127.0.1.1'}\t" + " ".join(names) for ip in addresses]
    return "\n".join(lines) + "\n"


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _values(text: str, keyword: str) -> list[str]:
    found = []
    for line in text.splitlines():
        word, _, rest = line.strip().replace("\t", " ").partition(" ")
        if word == keyword and rest.strip():
            found.append(rest.strip())
    return found


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address.partition("%")[0] == "::1"
