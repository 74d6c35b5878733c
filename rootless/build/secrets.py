"""Secrets of --secret: their bytes, and those with a meaning to the builder itself.

GIT_AUTH_TOKEN and GIT_AUTH_HEADER are for private repositories over https, for one host alone with
its name behind a dot: GIT_AUTH_TOKEN.github.com.  HTTP_AUTH_TOKEN_<host> and
HTTP_AUTH_HEADER_<host> are for files.  Source: docs.docker.com/build/building/secrets.
"""

import base64
import os
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from rootless.build.option_forms import Secret
from rootless.errors import BuildError

SECRET_MAX = 500 * 1024  # bytes, as BuildKit


def read(environ: Mapping[str, str], secret: Secret) -> bytes:
    """The bytes of a secret.  Raises BuildError RL-BUILD-SECRET."""
    try:
        if secret.env is not None:
            data = os.fsencode(environ[secret.env])
        else:
            with open(str(secret.path), "rb") as file:
                data = file.read(SECRET_MAX + 1)
    except (OSError, KeyError) as e:
        why = e.strerror if isinstance(e, OSError) else "the variable is not set"
        raise BuildError(
            f"cannot read the secret {secret.id}: {why}",
            remedy="check --secret",
            code="RL-BUILD-SECRET",
        ) from e
    if len(data) > SECRET_MAX:
        raise BuildError(
            f"the secret {secret.id} has more than {SECRET_MAX} bytes",
            remedy="secrets are keys and passwords; use a bind mount for files",
            code="RL-BUILD-SECRET",
        )
    return data


def git_environment(
    environ: Mapping[str, str], secrets: Sequence[Secret], remote: str
) -> dict[str, str]:
    """Variables for git that carry the credentials for `remote`; never its command line, which
    others can see.  {} where no secret is for it.
    """
    parts = urlsplit(remote)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return {}
    given = {secret.id: secret for secret in secrets}
    header = ""
    for suffix in (f".{parts.netloc.rpartition('@')[2]}", f".{parts.hostname}", ""):
        if f"GIT_AUTH_HEADER{suffix}" in given:
            header = _text(environ, given[f"GIT_AUTH_HEADER{suffix}"])
            break
        if f"GIT_AUTH_TOKEN{suffix}" in given:
            token = f"x-access-token:{_text(environ, given[f'GIT_AUTH_TOKEN{suffix}'])}"
            header = f"basic {base64.b64encode(os.fsencode(token)).decode()}"
            break
    if not header:
        return {}
    number = environ.get("GIT_CONFIG_COUNT", "0")
    place = int(number) if number.isdecimal() else 0
    base = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"
    return {
        "GIT_CONFIG_COUNT": str(place + 1),
        f"GIT_CONFIG_KEY_{place}": f"http.{base}.extraHeader",
        f"GIT_CONFIG_VALUE_{place}": f"Authorization: {header}",
    }


def http_authorization(environ: Mapping[str, str], secrets: Sequence[Secret], url: str) -> str:
    """The Authorization header that a secret gives for the host of `url`, or ""."""
    given = {secret.id: secret for secret in secrets}
    if not any(name.startswith("HTTP_AUTH_") for name in given):
        return ""
    parts = urlsplit(url)
    for host in (parts.netloc.rpartition("@")[2], parts.hostname):
        if f"HTTP_AUTH_HEADER_{host}" in given:
            return _text(environ, given[f"HTTP_AUTH_HEADER_{host}"])
        if f"HTTP_AUTH_TOKEN_{host}" in given:
            return f"Bearer {_text(environ, given[f'HTTP_AUTH_TOKEN_{host}'])}"
    return ""


def _text(environ: Mapping[str, str], secret: Secret) -> str:
    return os.fsdecode(read(environ, secret)).strip()
