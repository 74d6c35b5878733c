"""Who we are to a registry: anonymous first, then what its 401 asks for.

Source: distribution-spec's token authentication (docs.docker.com/registry/spec/auth/token, /oauth),
RFC 9110 section 11 for the header.
"""

import base64
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from rootless.errors import RegistryError
from rootless.log import printable
from rootless.registry.credentials import Credentials
from rootless.registry.transport import Transport, split

CLIENT_ID = "rl"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PARAMETER = re.compile(
    r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))'
)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One scheme of a WWW-Authenticate header, both words in lower case."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def challenges(header: str) -> list[Challenge]:
    """What a WWW-Authenticate header offers; what makes no sense in it is left out."""
    found: list[Challenge] = []
    position = 0
    while position < len(header):
        word = _TOKEN.match(header, position)
        if word is None:
            position += 1
            continue
        scheme, position = word[0].lower(), word.end()
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(header, position):
            name, quoted, plain = parameter.groups()
            value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            parameters.setdefault(name.lower(), value)
            position = parameter.end()
            comma = re.compile(r"\s*,").match(header, position)
            if comma is None:
                break
            position = comma.end()
        found.append(Challenge(scheme, parameters))
    return found


class Authorizer:
    """The Authorization header for one repository; safe to share between threads.

    `find` looks credentials up, and is asked only when the registry wants some.
    """

    def __init__(self, transport: Transport, find: Callable[[], Credentials | None]) -> None:
        self._transport = transport
        self._find = find
        self._lock = threading.Lock()
        self._header = ""
        self._credentials: Credentials | None = None
        self._looked = False

    def header(self) -> str:
        """What to send now: "" as long as nobody has asked for anything."""
        with self._lock:
            return self._header

    def answer(self, www_authenticate: str, sent: str, scope: str) -> bool:
        """React on a 401 to a request with the header `sent`; whether to try again.

        Raises RegistryError when the token service is away or refuses.
        """
        with self._lock:
            if self._header != sent:
                return True  # another thread has got a new token meanwhile
            offered = {challenge.scheme: challenge for challenge in challenges(www_authenticate)}
            if "bearer" in offered:
                header = f"Bearer {self._fetch_token(offered['bearer'].parameters, scope)}"
            elif "basic" in offered and self.credentials() is not None:
                header = self._basic()
            else:
                return False
            changed = header != sent
            self._header = header
            return changed

    def credentials(self) -> Credentials | None:
        """What the user has for this registry; looked up once."""
        if not self._looked:
            self._credentials = self._find()
            self._looked = True
        return self._credentials

    def _basic(self) -> str:
        credentials = self.credentials()
        if credentials is None or not credentials.username:
            return ""
        pair = f"{credentials.username}:{credentials.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    def _fetch_token(self, parameters: dict[str, str], scope: str) -> str:
        realm = parameters.get("realm", "")
        self._check_realm(realm)
        credentials = self.credentials()
        fields = {"service": parameters.get("service", "")}
        fields["scope"] = parameters.get("scope") or scope
        fields = {name: value for name, value in fields.items() if value}
        headers = {"Accept": "application/json"}
        if credentials is not None and credentials.identity_token:
            fields |= {
                "grant_type": "refresh_token",
                "refresh_token": credentials.identity_token,
                "client_id": CLIENT_ID,
            }
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            response = self._transport.request(
                "POST", realm, headers, body=urlencode(fields).encode()
            )
        else:
            if credentials is not None:
                fields["account"] = credentials.username
                headers["Authorization"] = self._basic()
            separator = "&" if urlsplit(realm).query else "?"
            response = self._transport.request(
                "GET", f"{realm}{separator}{urlencode(fields)}", headers
            )
        data = self._transport.read(response)
        if response.status in (400, 401, 403):
            raise self._refused(response.status)
        return _token_of(data, response.status, realm)

    def _check_realm(self, realm: str) -> None:
        """Credentials go there: only through TLS, unless the registry itself has none."""
        scheme, host = split(realm).scheme, split(realm).hostname
        if scheme not in ("http", "https") or not host:
            raise _rubbish(f"it names {realm[:100]!r} as its token service")
        if scheme == "http" and not self._transport.endpoint.insecure:
            raise RegistryError(
                f"{self._transport.endpoint.domain} wants a token from {host} without TLS",
                remedy="rl does not send credentials there; ask the registry's owner",
                code="RL-REGISTRY-REFUSED",
            )

    def _refused(self, status: int) -> RegistryError:
        domain = self._transport.endpoint.domain
        if self._credentials is None:
            return unauthorized(domain, f"its token service answers {status} to anonymous users")
        return unauthorized(domain, f"its token service answers {status} to your credentials")


def unauthorized(domain: str, why: str) -> RegistryError:
    """The RegistryError for 401 and 403."""
    return RegistryError(
        f"access denied by {domain}: {why}",
        remedy=f"check the image's name; for a private one log in: rl login {domain}",
        code="RL-REGISTRY-UNAUTHORIZED",
    )


def _token_of(data: bytes, status: int, realm: str) -> str:
    where = urlsplit(realm).hostname
    try:
        doc = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise _rubbish(f"its token service {where} answers {status} without JSON") from e
    token = (doc.get("token") or doc.get("access_token")) if isinstance(doc, dict) else None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise _rubbish(f"its token service {where} answers {status} without a token")
    return token


def _rubbish(why: str) -> RegistryError:
    return RegistryError(
        f"the registry makes no sense: {printable(why)}",
        remedy="try again later, or ask the registry's owner",
        code="RL-REGISTRY-RUBBISH",
    )
