"""How the registry of a domain is reached: without TLS or not, and with which certificates.

Sources: rl's config.toml (insecure-registries), registries.conf (insecure, blocked, location,
mirrors), docker's and podman's certs.d directories.
"""

import os

from rootless.context import Context
from rootless.errors import RegistryError
from rootless.oci.reference import Reference
from rootless.records import dataclass
from rootless.registry import registries_conf
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
    certificates: tuple[str, ...] = ()  # files with CAs
    client: tuple[str, str] | None = None  # files: certificate, key


@dataclass(frozen=True, slots=True)
class Source:
    """Where an image is, under the name that it has there."""

    named: Reference
    endpoint: Endpoint


def endpoint(
    ctx: Context, domain: str, *, tls_verify: bool = True, insecure: bool = False
) -> Endpoint:
    """The Endpoint of `domain`; `insecure` where a registries.conf says so."""
    configured = ctx.config.get("insecure-registries")
    if isinstance(configured, list) and domain in configured:
        insecure = True
    certificates, client = _certs_d(ctx, domain)
    return Endpoint(
        domain=domain,
        host=DOCKER_HUB_API if domain == "docker.io" else domain,
        insecure=insecure or not tls_verify or is_loopback(host_and_port(domain)[0]),
        certificates=certificates,
        client=client,
    )


def sources(ctx: Context, named: Reference, *, tls_verify: bool = True) -> list[Source]:
    """Where to fetch an image from, in this order: mirrors, then its own place.

    Raises BadDocument, RegistryError RL-REGISTRY-REFUSED for what registries.conf blocks.
    """
    conf = registries_conf.load(ctx)
    _check_blocked(conf, named)
    return [
        Source(
            place.named,
            endpoint(ctx, place.named.domain, tls_verify=tls_verify, insecure=place.insecure),
        )
        for place in registries_conf.places(conf, named)
    ]


def target(ctx: Context, named: Reference, *, tls_verify: bool = True) -> Source:
    """Where to push an image to: the place that it is called after, as podman does; `location`
    and mirrors are for reading.  Raises as sources()."""
    conf = registries_conf.load(ctx)
    _check_blocked(conf, named)
    found = registries_conf.namespace(conf, named)
    insecure = found is not None and found.insecure
    return Source(named, endpoint(ctx, named.domain, tls_verify=tls_verify, insecure=insecure))


def server(ctx: Context, domain: str, *, tls_verify: bool = True) -> Endpoint:
    """The Endpoint of a registry as such, to log in.  Raises as sources()."""
    return target(ctx, Reference(domain, ""), tls_verify=tls_verify).endpoint


def _check_blocked(conf: registries_conf.RegistriesConf, named: Reference) -> None:
    found = registries_conf.namespace(conf, named)
    if found is not None and found.blocked:
        raise RegistryError(
            f"registries.conf blocks {found.prefix}",
            remedy="use another registry, or ask who wrote that file",
            code="RL-REGISTRY-REFUSED",
        )


def host_and_port(domain: str) -> tuple[str, int | None]:
    """The host, without brackets, and the port if there is one."""
    if domain.startswith("["):
        host, _, rest = domain[1:].partition("]")
        return host, int(rest[1:]) if rest else None
    host, colon, port = domain.partition(":")
    return host, int(port) if colon else None


def _certs_d(ctx: Context, domain: str) -> tuple[tuple[str, ...], tuple[str, str] | None]:
    """The *.crt files for a domain, and the first *.cert that has its *.key."""
    authorities: list[str] = []
    client: tuple[str, str] | None = None
    for directory in (
        f"{ctx.environ.get('XDG_CONFIG_HOME') or f'{ctx.home}/.config'}/containers/certs.d",
        f"{ctx.home}/.config/docker/certs.d",
        f"{ctx.environ.get('DOCKER_CONFIG') or f'{ctx.home}/.docker'}/certs.d",
        "/etc/containers/certs.d",
        "/etc/docker/certs.d",
    ):
        for name in _listdir(f"{directory}/{domain}"):
            path = f"{directory}/{domain}/{name}"
            if name.endswith(".crt"):
                authorities.append(path)
            elif name.endswith(".cert") and client is None:
                key = f"{path.removesuffix('.cert')}.key"
                if not os.path.exists(key):
                    raise RegistryError(
                        f"{path} is there, but {key} is not",
                        remedy="put the client certificate's key beside it",
                        code="RL-REGISTRY-TLS",
                    )
                client = (path, key)
    return tuple(authorities), client


def _listdir(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []
