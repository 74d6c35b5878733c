"""Who we are to a registry: anonymous first, then what its 401 asks for.

Source: distribution-spec's token authentication (docs.docker.com/registry/spec/auth/token, /oauth),
RFC 9110 section 11 for the header.
"""

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from urllib.parse import urlencode, urlsplit

from rootless.errors import RegistryError
from rootless.log import printable
from rootless.records import dataclass, field
from rootless.registry.credentials import Credentials
from rootless.registry.proxies import is_loopback
from rootless.registry.transport import Response, Transport, join, split

CLIENT_ID = "rl"
LIFETIME_S = 60  # of a token that does not tell; the specification's least
LIFETIME_MAX_S = 10_000_000
TOKEN_MAX = 1 << 16  # characters; servers take some 8 to 16 kB of headers
_TOKEN68 = re.compile(r"[!-~]+")  # no space, no control character
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


@dataclass(frozen=True, slots=True)
class _Token:
    """A header that is good until `deadline` (monotonic seconds)."""

    header: str
    deadline: float


class Authorizer:
    """The Authorization header for one repository; safe to share between threads.

    `scope` is what we do there ("repository:a/b:pull,push", "" for nothing in particular), `find`
    looks credentials up, and is asked only when the registry wants some.  With `offline` the
    token service is asked for a refresh token, too: see refresh_token.
    """

    def __init__(
        self,
        transport: Transport,
        find: Callable[[], Credentials | None],
        scope: str = "",
        *,
        offline: bool = False,
    ) -> None:
        self._transport = transport
        self._find = find
        self._scopes = [scope]
        self._offline = offline
        self._lock = threading.Lock()
        self._parameters: dict[str, str] = {}  # of the Bearer challenge that came last
        self._tokens: dict[str, _Token] = {}  # by the further scope
        self._plain = ""  # Basic, or the registry token of the credentials
        self._credentials: Credentials | None = None
        self._looked = False
        self.refresh_token = ""  # what the token service gives for it, "" for nothing

    def header(self, also: str = "") -> str:
        """What to send now: "" as long as nobody has asked for anything.

        `also` is a further scope that this request needs: a mount reads another repository.
        """
        with self._lock:
            token = self._tokens.get(also)
            if token is None:
                # A scope of its own needs a token of its own, if tokens are the way here.
                return self._fetch_token(also) if also and self._tokens else self._plain
            if time.monotonic() < token.deadline:
                return token.header
            return self._fetch_token(also)

    def answer(self, www_authenticate: str, sent: str, also: str = "") -> bool:
        """React on a 401 to a request with the header `sent`; whether to try again.

        Raises RegistryError when the token service is away or refuses.
        """
        with self._lock:
            token = self._tokens.get(also)
            if (token.header if token else self._plain) != sent:
                return True  # another thread has got a new token meanwhile
            offered = {challenge.scheme: challenge for challenge in challenges(www_authenticate)}
            bearer = offered.get("bearer")
            known = self.credentials()
            if bearer is not None and known is not None and known.registry_token:
                self._plain = f"Bearer {known.registry_token}"
                return self._plain != sent
            if bearer is not None and (bearer.parameters.get("realm") or "basic" not in offered):
                self._parameters = bearer.parameters
                if not also:
                    self._scopes += bearer.parameters.get("scope", "").split()
                return self._fetch_token(also) != sent
            if "basic" in offered and self.credentials() is not None:
                self._plain = self._basic()
                return self._plain != sent
            return False

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

    def _fetch_token(self, also: str) -> str:
        """A new token for our scopes and `also`: its header.  The caller holds the lock."""
        realm = self._realm()
        scopes = merged([*self._scopes, also])
        service = self._parameters.get("service", "")
        credentials = self.credentials()
        if credentials is not None and credentials.identity_token:
            response = self._post(realm, service, scopes, credentials.identity_token)
        else:
            response = self._ask(realm, service, scopes, credentials)
        data = self._transport.read(response)
        if response.status in (400, 401, 403):
            raise self._refused(response.status, data)
        answer = token_answer(data, response.status, realm)
        refresh = answer.get("refresh_token")
        self.refresh_token = refresh if isinstance(refresh, str) else ""
        header = f"Bearer {answer['token']}"
        self._tokens[also] = _Token(header, time.monotonic() + lifetime_s(answer) * 0.9)
        return header

    def _ask(
        self, realm: str, service: str, scopes: list[str], credentials: Credentials | None
    ) -> Response:
        fields = [("service", service)] if service else []
        fields += [("scope", scope) for scope in scopes]
        headers = {"Accept": "application/json"}
        if self._offline:
            fields += [("offline_token", "true"), ("client_id", CLIENT_ID)]
        if credentials is not None:
            fields.append(("account", credentials.username))
            headers["Authorization"] = self._basic()
        separator = "&" if urlsplit(realm).query else "?"
        return self._transport.request("GET", f"{realm}{separator}{urlencode(fields)}", headers)

    def _post(self, realm: str, service: str, scopes: list[str], refresh: str) -> Response:
        """OAuth2: a refresh token (what Docker calls an identity token) for an access token."""
        fields = {
            "grant_type": "refresh_token",
            "refresh_token": refresh,
            "service": service,
            "scope": " ".join(scopes),
            "client_id": CLIENT_ID,
        }
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        body = urlencode({name: value for name, value in fields.items() if value}).encode()
        return self._transport.request("POST", realm, headers, body=body)

    def _realm(self) -> str:
        """The token service's address.  Credentials go there: only through TLS, unless the
        registry itself has none, or the service is on this machine."""
        told = self._parameters.get("realm", "")
        if not told:
            raise _rubbish("it wants a token, and does not say from where")
        realm = join(f"{self._transport.base()}/v2/", told)
        scheme, host = split(realm).scheme, split(realm).hostname
        if scheme not in ("http", "https") or not host:
            raise _rubbish(f"it names {told[:100]!r} as its token service")
        if scheme == "http" and not (self._transport.endpoint.insecure or is_loopback(host)):
            raise RegistryError(
                f"{self._transport.endpoint.domain} wants a token from {host} without TLS",
                remedy="rl does not send credentials there; ask the registry's owner",
                code="RL-REGISTRY-REFUSED",
            )
        return realm

    def _refused(self, status: int, data: bytes) -> RegistryError:
        said = _words_of(data)
        whom = "your credentials" if self._credentials else "anonymous users"
        why = f"its token service answers {status} to {whom}"
        return unauthorized(self._transport.endpoint.domain, f"{why}: {said}" if said else why)


def merged(scopes: Iterable[str]) -> list[str]:
    """The scopes, each resource once with all its actions, in order of appearance.

    TYPE:NAME:ACTION[,ACTION…]; the name may have a colon of its own.
    """
    found: dict[str, dict[str, None]] = {}
    for scope in scopes:
        resource, _, actions = scope.rpartition(":")
        if resource:
            found.setdefault(resource, {}).update(dict.fromkeys(actions.split(",")))
    return [f"{resource}:{','.join(actions)}" for resource, actions in found.items()]


def unauthorized(domain: str, why: str) -> RegistryError:
    """The RegistryError for 401 and 403."""
    return RegistryError(
        f"access denied by {domain}: {why}",
        remedy=f"check the image's name; for a private one log in: rl login {domain}",
        code="RL-REGISTRY-UNAUTHORIZED",
    )


def token_answer(data: bytes, status: int, realm: str) -> dict[str, object]:
    """The token service's answer; its "token" is one that a header can have."""
    where = urlsplit(realm).hostname
    try:
        doc = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise _rubbish(f"its token service {where} answers {status} without JSON") from e
    token = (doc.get("token") or doc.get("access_token")) if isinstance(doc, dict) else None
    if not isinstance(token, str) or not _TOKEN68.fullmatch(token) or len(token) > TOKEN_MAX:
        raise _rubbish(f"its token service {where} answers {status} without a token")
    return {**doc, "token": token}


def lifetime_s(answer: dict[str, object]) -> int:
    """How long a token is good for, in seconds; what makes no sense counts as not said."""
    told = answer.get("expires_in")
    return told if isinstance(told, int) and LIFETIME_S <= told <= LIFETIME_MAX_S else LIFETIME_S


def _words_of(data: bytes) -> str:
    """Why a token service refuses, in its own words: Docker Hub's "details", OAuth2's
    "error_description", the registries' "errors"."""
    try:
        doc = json.loads(data)
        said = doc.get("details") or doc.get("error_description")
        if not said:
            said = ", ".join(str(one.get("message") or "") for one in doc["errors"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
    return printable(str(said))[:200]


def _rubbish(why: str) -> RegistryError:
    return RegistryError(
        f"the registry makes no sense: {printable(why)}",
        remedy="try again later, or ask the registry's owner",
        code="RL-REGISTRY-RUBBISH",
    )
