"""Which registries may be spoken to without TLS, and which extra certificates they need.

Sources: rl's config.toml (insecure-registries), containers-registries.conf(5) version 2
(insecure, blocked), docker's and podman's certs.d directories.
"""

import os
import tomllib
from dataclasses import dataclass

from rootless.context import Context
from rootless.errors import BadDocument
from rootless.registry.proxies import is_loopback

DOCKER_HUB_API = (
    "registry-1.docker.io"  # where docker.io's API is; distribution's defaultV2Registry
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How to reach the registry of one domain."""

    domain: str  # as in references
    host: str  # host[:port] of the API
    insecure: bool  # no certificate needed, http allowed
    blocked: bool
    certificates: tuple[str, ...]  # files with CAs
    client: tuple[str, str] | None  # files: certificate, key


def endpoint(ctx: Context, domain: str, path: str, *, tls_verify: bool) -> Endpoint:
    """The Endpoint for the repository `path` on `domain`.  Raises BadDocument."""
    insecure, blocked = _registries_conf(ctx, f"{domain}/{path}")
    configured = ctx.config.get("insecure-registries")
    if isinstance(configured, list) and domain in configured:
        insecure = True
    certificates, client = _certs_d(ctx, domain)
    return Endpoint(
        domain=domain,
        host=DOCKER_HUB_API if domain == "docker.io" else domain,
        insecure=insecure or not tls_verify or is_loopback(host_and_port(domain)[0]),
        blocked=blocked,
        certificates=certificates,
        client=client,
    )


def host_and_port(domain: str) -> tuple[str, int | None]:
    """The host, without brackets, and the port if there is one."""
    if domain.startswith("["):
        host, _, rest = domain[1:].partition("]")
        return host, int(rest[1:]) if rest else None
    host, colon, port = domain.partition(":")
    return host, int(port) if colon else None


def _registries_conf(ctx: Context, name: str) -> tuple[bool, bool]:
    """(insecure, blocked) of the longest prefix of `name` that registries.conf has."""
    best = ("", False, False)
    for file in _conf_files(ctx):
        try:
            with open(file, "rb") as stream:
                conf = tomllib.load(stream)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as e:
            raise BadDocument(f"cannot read {file}: {e}", remedy=f"repair {file}") from e
        entries = conf.get("registry")
        for entry in entries if isinstance(entries, list) else []:
            if not isinstance(entry, dict):
                continue
            prefix = str(entry.get("prefix") or entry.get("location") or "")
            if prefix and _has_prefix(name, prefix) and len(prefix) >= len(best[0]):
                best = (prefix, entry.get("insecure") is True, entry.get("blocked") is True)
    return best[1], best[2]


def _has_prefix(name: str, prefix: str) -> bool:
    if prefix.startswith("*."):
        return name.partition("/")[0].endswith(prefix[1:])
    return name == prefix or name.startswith(prefix + "/")


def _conf_files(ctx: Context) -> list[str]:
    """The user's file instead of the host's; the files of .d directories on top."""
    home = f"{ctx.environ.get('XDG_CONFIG_HOME') or f'{ctx.home}/.config'}/containers"
    if ctx.environ.get("CONTAINERS_REGISTRIES_CONF"):
        return [ctx.environ["CONTAINERS_REGISTRIES_CONF"]]
    main = f"{home}/registries.conf"
    files = [main if os.path.exists(main) else "/etc/containers/registries.conf"]
    for directory in ("/etc/containers/registries.conf.d", f"{home}/registries.conf.d"):
        files += [f"{directory}/{n}" for n in _listdir(directory) if n.endswith(".conf")]
    return files


def _certs_d(ctx: Context, domain: str) -> tuple[tuple[str, ...], tuple[str, str] | None]:
    """The *.crt files for a domain, and the first *.cert that has its *.key."""
    authorities: list[str] = []
    client: tuple[str, str] | None = None
    for directory in (
        f"{ctx.environ.get('XDG_CONFIG_HOME') or f'{ctx.home}/.config'}/containers/certs.d",
        f"{ctx.home}/.config/docker/certs.d",
        "/etc/containers/certs.d",
        "/etc/docker/certs.d",
    ):
        for name in _listdir(f"{directory}/{domain}"):
            path = f"{directory}/{domain}/{name}"
            if name.endswith(".crt"):
                authorities.append(path)
            elif name.endswith(".cert") and client is None:
                key = f"{path.removesuffix('.cert')}.key"
                client = (path, key) if os.path.exists(key) else None
    return tuple(authorities), client


def _listdir(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []
