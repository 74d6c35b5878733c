"""`rl login` and `logout`: credentials checked with their registry, and kept as Docker keeps them.

In ~/.docker/config.json ($DOCKER_CONFIG), or with the credential helper that it names.
Source: docker-config-json(5); docker/cli, cli/config/credentials; docker-credential-helpers.
"""

import base64
import json
import os
import stat

from rootless.context import Context
from rootless.errors import BadReference, RegistryError, StoreError, UsageError
from rootless.oci import reference
from rootless.records import dataclass
from rootless.registry import config, credentials
from rootless.registry.auth import Authorizer, unauthorized
from rootless.registry.credentials import DOCKER_HUB_KEY, Credentials
from rootless.registry.transport import Transport
from rootless.store import atomic


@dataclass(frozen=True, slots=True)
class Server:
    """A registry to log in to: its domain as in references, and its key in Docker's file."""

    domain: str
    key: str


def server(text: str) -> Server:
    """The Server that SERVER of a command line means; "" is Docker Hub.  Raises UsageError."""
    domain = text.removeprefix("https://").removeprefix("http://")
    # Old documentation writes https://index.docker.io/v1/; repository paths are podman's.
    domain = domain.partition("/")[0]
    hub = (reference.DEFAULT_DOMAIN, reference.LEGACY_DOMAIN, config.DOCKER_HUB_API)
    if not text or domain in hub:
        return Server(reference.DEFAULT_DOMAIN, DOCKER_HUB_KEY)
    try:
        found = reference.parse(f"{domain}/x").domain
    except BadReference:
        found = ""
    if found != domain:
        raise UsageError(
            f"{text!r} is not a registry", remedy="write it as HOST or HOST:PORT, without a path"
        )
    return Server(domain, domain)


def stored(ctx: Context, target: Server) -> Credentials | None:
    """What Docker's or podman's files have for the registry."""
    return credentials.find(ctx, target.domain)


def check(
    ctx: Context, target: Server, given: Credentials, *, tls_verify: bool = True
) -> Credentials:
    """Ask the registry whether it takes these credentials; what to keep of them.

    That is an identity token, if the token service gives one: then no password is kept.
    Raises RegistryError RL-REGISTRY-UNAUTHORIZED when not, and those of the transport.
    """
    transport = Transport(ctx, config.server(ctx, target.domain, tls_verify=tls_verify))
    auth = Authorizer(transport, lambda: given, offline=True)
    try:
        url = f"{transport.base()}/v2/"
        for _ in range(2):
            sent = auth.header()
            headers = {"Authorization": sent} if sent else {}
            response = transport.request("GET", url, headers)
            challenge = response.headers.get("WWW-Authenticate", "")
            transport.read(response)
            if response.status != 401 or not auth.answer(challenge, sent):
                break
    finally:
        transport.close()
    if response.status in (401, 403):
        raise unauthorized(target.domain, "incorrect username or password")
    if response.status != 200:
        raise RegistryError(
            f"{target.domain} answers {response.status} to a login",
            remedy="is it a registry?",
            code="RL-REGISTRY-ERROR",
        )
    if auth.refresh_token and not given.identity_token:
        return Credentials(given.username, identity_token=auth.refresh_token)
    return given


def save(ctx: Context, target: Server, given: Credentials) -> str:
    """Keep the credentials; the file if they are in it as good as readable, "" with a helper.

    Raises RegistryError RL-REGISTRY-CREDENTIALS.
    """
    path = credentials.docker_file(ctx)
    document = credentials.read_file(path) or {}
    helper = credentials.helper(document, target.domain, path)
    entry: dict[str, object] = {}
    if helper:
        credentials.helper_store(ctx, helper, target.key, given)
    elif given.identity_token:
        entry = {"auth": _basic(given.username, ""), "identitytoken": given.identity_token}
    else:
        entry = {"auth": _basic(given.username, given.password)}
    auths = document.get("auths")
    auths = dict(auths) if isinstance(auths, dict) else {}
    if auths.get(target.key) != entry:
        _write(path, {**document, "auths": {**auths, target.key: entry}})
    return "" if helper else path


def remove(ctx: Context, target: Server) -> bool:
    """Forget the credentials; whether there were any.

    Raises RegistryError RL-REGISTRY-CREDENTIALS.
    """
    path = credentials.docker_file(ctx)
    document = credentials.read_file(path) or {}
    helper = credentials.helper(document, target.domain, path)
    found = False
    if helper:
        found = credentials.helper_erase(ctx, helper, target.key)
    auths = document.get("auths")
    if not isinstance(auths, dict):
        return found
    left = {key: value for key, value in auths.items() if not _is_for(str(key), target)}
    if len(left) < len(auths):
        _write(path, {**document, "auths": left})
        return True
    return found


def _is_for(key: str, target: Server) -> bool:
    """Docker has written a registry's key as URL, too."""
    host = key.removeprefix("https://").removeprefix("http://").partition("/")[0]
    if target.key == DOCKER_HUB_KEY:
        return host in (reference.DEFAULT_DOMAIN, reference.LEGACY_DOMAIN, config.DOCKER_HUB_API)
    return key == target.key or ("://" in key and host == target.domain)


def _basic(username: str, password: str) -> str:
    return base64.b64encode(f"{username}:{password}".encode()).decode()


def _write(path: str, document: dict[str, object]) -> None:
    """All or nothing, for its owner alone; a symbolic link stays one, as with Docker."""
    real = os.path.realpath(path)
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        mode = stat.S_IMODE(os.stat(real).st_mode) & 0o600 if os.path.exists(real) else 0o600
    except OSError as e:
        raise _unwritable(path, e.strerror or str(e)) from e
    data = json.dumps(document, indent="\t", ensure_ascii=False).encode()
    try:
        atomic.write_bytes(real, data + b"\n", mode)
    except StoreError as e:
        raise _unwritable(path, e.what) from e


def _unwritable(path: str, why: str) -> RegistryError:
    return RegistryError(
        f"cannot keep credentials in {path}: {why}",
        remedy="make it writable for you, or set DOCKER_CONFIG to another directory",
        code="RL-REGISTRY-CREDENTIALS",
    )
