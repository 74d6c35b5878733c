"""Which proxy a request goes through, by the environment variables that curl and Docker read.

Source: Go's golang.org/x/net/http/httpproxy, whose rules Docker follows: NO_PROXY lists names
(with all below them), addresses, CIDR blocks, each with an optional port; loopback never goes
through a proxy.
"""

import base64
import ipaddress
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from rootless.errors import RegistryError
from rootless.log import printable


def proxy_for(environ: Mapping[str, str], scheme: str, host: str, port: int) -> str | None:
    """The URL of the proxy for `scheme`://`host`:`port`, or None to go straight."""
    if is_loopback(host):
        return None
    proxy = _either(environ, f"{scheme}_proxy")
    if not proxy or _is_excepted(_either(environ, "no_proxy"), host.lower(), port):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def split_proxy(proxy: str) -> tuple[str, dict[str, str]]:
    """The proxy's URL without the user in it, and the headers for it, who may want a password.

    Raises RegistryError: rl speaks to HTTP proxies alone.
    """
    try:
        parts = urlsplit(proxy)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        shown = parts.scheme or proxy[:60]
        raise RegistryError(
            f"the proxy of HTTP_PROXY or HTTPS_PROXY cannot be used: {printable(shown)}",
            remedy="set it to http://[USER:PASSWORD@]HOST:PORT, or list the registry in NO_PROXY",
            code="RL-REGISTRY-UNREACHABLE",
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    address = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    if parts.username is None:
        return address, {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    secret = base64.b64encode(pair.encode()).decode()
    return address, {"Proxy-Authorization": f"Basic {secret}"}


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an address without brackets) is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _either(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name.upper()) or environ.get(name) or ""


def _is_excepted(no_proxy: str, host: str, port: int) -> bool:
    return any(_matches(item.strip().lower(), host, port) for item in no_proxy.split(","))


def _matches(item: str, host: str, port: int) -> bool:
    if not item:
        return False
    if item == "*":
        return True
    if "/" in item:
        try:
            return ipaddress.ip_address(host) in ipaddress.ip_network(item, strict=False)
        except ValueError:
            return False
    name, colon, wanted_port = item.rpartition(":")
    if colon and wanted_port.isdecimal() and (name.count(":") == 0 or name.endswith("]")):
        if int(wanted_port) != port:
            return False
        item = name.strip("[]")
    if item.startswith("*."):
        item = item[1:]
    if item.startswith("."):
        return host.endswith(item)
    return host == item or host.endswith(f".{item}")
