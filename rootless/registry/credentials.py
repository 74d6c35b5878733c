"""Credentials as Docker and podman keep them: files, and helper programs that the files name.

Source: docker-config-json(5), containers-auth.json(5), docker/docker-credential-helpers.
"""

import base64
import binascii
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping

from rootless.context import Context
from rootless.errors import RegistryError
from rootless.oci import reference
from rootless.records import dataclass, field
from rootless.registry import registries_conf

DOCKER_HUB_KEY = "https://index.docker.io/v1/"  # as `docker login` without a name writes it
_HELPER = "docker-credential-"
HELPER_TIMEOUT_S = 60  # a helper may ask the user in a window


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and password, an identity token (an OAuth2 refresh token), or a registry token (a
    Bearer token as it is sent)."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)


def find(ctx: Context, domain: str, path: str = "") -> Credentials | None:
    """Credentials for the repository `path` on `domain`: of the first file that has some, then of
    the helpers that registries.conf names.

    Raises BadDocument, RegistryError RL-REGISTRY-CREDENTIALS: a file or helper that should know,
    but fails.
    """
    for file in _files(ctx):
        config = read_file(file)
        if config is None:
            continue
        program = helper(config, domain, file)
        found = _from_helper(ctx, program, domain) if program else None
        found = found or _from_file(config, domain, path, file)
        if found is not None:
            return found
    for name in registries_conf.load(ctx).helpers:
        found = _from_helper(ctx, f"{_HELPER}{name}", domain)
        if found is not None:
            return found
    return None


def _files(ctx: Context) -> Iterator[str]:
    """Docker's file, then podman's three places."""
    environ = ctx.environ
    yield docker_file(ctx)
    if environ.get("REGISTRY_AUTH_FILE"):
        yield environ["REGISTRY_AUTH_FILE"]
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{ctx.uid}"
    yield f"{runtime}/containers/auth.json"
    config_home = environ.get("XDG_CONFIG_HOME") or f"{ctx.home}/.config"
    yield f"{config_home}/containers/auth.json"


def docker_file(ctx: Context) -> str:
    """The file that `docker login` writes."""
    return f"{ctx.environ.get('DOCKER_CONFIG') or f'{ctx.home}/.docker'}/config.json"


def read_file(file: str) -> dict[str, object] | None:
    """The object in a file with credentials, or None where there is none.

    Raises RegistryError RL-REGISTRY-CREDENTIALS.
    """
    try:
        with open(file, "rb") as stream:
            config = json.loads(stream.read())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as e:
        raise _failed(f"cannot read {file}: {e}", f"repair or remove {file}") from e
    if not isinstance(config, dict):
        raise _failed(f"cannot read {file}: it holds no object", f"repair or remove {file}")
    return config


def _keys(domain: str, path: str) -> list[str]:
    """The names under which credentials may be filed, the narrowest first."""
    keys = []
    parts = path.split("/") if path else []
    for length in range(len(parts), 0, -1):  # containers-auth.json(5): host/namespace/repository
        keys.append("/".join([domain, *parts[:length]]))
    keys.append(domain)
    if domain == reference.DEFAULT_DOMAIN:
        keys += [DOCKER_HUB_KEY, reference.LEGACY_DOMAIN]
    return keys


def _from_file(config: dict[str, object], domain: str, path: str, file: str) -> Credentials | None:
    auths = config.get("auths")
    if not isinstance(auths, dict):
        return None
    # Old files have URLs as keys; Docker compares their hosts.
    by_host = {_host_of(str(key)): value for key, value in auths.items()}
    for key in _keys(domain, path):
        entry = auths.get(key, by_host.get(key))
        if isinstance(entry, dict):
            found = _from_entry(entry, f"{file}: {key}")
            if found is not None:
                return found
    return None


def _host_of(key: str) -> str:
    if "://" not in key:
        return key
    return key.partition("://")[2].partition("/")[0]


def _from_entry(entry: Mapping[str, object], where: str) -> Credentials | None:
    token = entry.get("identitytoken")
    if isinstance(token, str) and token:
        return Credentials(identity_token=token)
    bearer = entry.get("registrytoken")
    if isinstance(bearer, str) and bearer:
        return Credentials(registry_token=bearer)
    auth = entry.get("auth")
    if isinstance(auth, str) and auth:
        try:
            text = base64.b64decode(auth, validate=True).decode()
        except (binascii.Error, ValueError) as e:
            raise _failed(f"{where}: auth is not base64", "log in to the registry again") from e
        user, colon, password = text.partition(":")
        if not colon:
            raise _failed(f"{where}: auth has no password", "log in to the registry again")
        return Credentials(user, password.rstrip("\0"))
    user_name, secret = entry.get("username"), entry.get("password")
    if isinstance(user_name, str) and isinstance(secret, str) and user_name:
        return Credentials(user_name, secret)
    return None  # an empty entry says that a helper keeps it


def helper(config: Mapping[str, object], domain: str, file: str) -> str:
    """The program that `config` makes responsible for `domain`, or ""."""
    helpers = config.get("credHelpers")
    name: object = None
    if isinstance(helpers, dict):
        name = helpers.get(domain) or helpers.get(_server(domain))
    name = name or config.get("credsStore")
    if not isinstance(name, str) or not name:
        return ""
    if "/" in name:
        raise _failed(f"{file}: {name!r} is not the name of a credential helper", f"repair {file}")
    return f"{_HELPER}{name}"


def _server(domain: str) -> str:
    return DOCKER_HUB_KEY if domain == reference.DEFAULT_DOMAIN else domain


def _from_helper(ctx: Context, program: str, domain: str) -> Credentials | None:
    answer = _ask_helper(ctx, program, "get", _server(domain))
    if answer is None:
        return None
    try:
        entry = json.loads(answer)
        user, secret = entry["Username"], entry["Secret"]
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise _failed(f"{program} gave no credentials that make sense", "try it by hand") from e
    if not isinstance(user, str) or not isinstance(secret, str):
        raise _failed(f"{program} gave no credentials that make sense", "try it by hand")
    return Credentials(identity_token=secret) if user == "<token>" else Credentials(user, secret)


def helper_store(ctx: Context, program: str, server: str, given: Credentials) -> None:
    """Give a credential helper what it is to keep.  Raises RegistryError."""
    token = given.identity_token
    entry = {
        "ServerURL": server,
        "Username": "<token>" if token else given.username,
        "Secret": token or given.password,
    }
    _ask_helper(ctx, program, "store", json.dumps(entry))


def helper_erase(ctx: Context, program: str, server: str) -> bool:
    """Make a credential helper forget; whether it knew.  Raises RegistryError."""
    if _ask_helper(ctx, program, "get", server) is None:
        return False
    _ask_helper(ctx, program, "erase", server)
    return True


def _ask_helper(ctx: Context, program: str, verb: str, text: str) -> bytes | None:
    """What the helper answers; None when it has nothing for this registry."""
    path = shutil.which(program, path=ctx.environ.get("PATH", os.defpath))
    if path is None:
        raise _failed(
            f"the credential helper {program} is not installed",
            "install it, or take it out of credsStore and credHelpers in ~/.docker/config.json "
            "(credential-helpers in registries.conf)",
        )
    try:
        answer = subprocess.run(
            [path, verb],
            input=text.encode(),
            capture_output=True,
            timeout=HELPER_TIMEOUT_S,
            env=dict(ctx.environ),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        raise _failed(f"the credential helper {program} failed: {e}", "try it by hand") from e
    if answer.returncode == 0:
        return answer.stdout
    # The helpers' protocol has no status for "none": this sentence is it.
    said = (answer.stdout + answer.stderr).decode(errors="replace").strip()
    if "credentials not found" in said:
        return None
    hint = f"try: echo {text} | {program} {verb}" if verb != "store" else "try it by hand"
    raise _failed(f"{program} failed: {said[:200]}", hint)


def _failed(what: str, remedy: str) -> RegistryError:
    return RegistryError(what, remedy=remedy, code="RL-REGISTRY-CREDENTIALS")
