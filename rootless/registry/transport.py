"""HTTP to one registry: TLS, proxies, timeouts, redirects, repetition.  Knows no documents.

What is repeated: what the network broke, 429 and 5xx, a few times and with the pause that the
registry asks for.  What is never sent elsewhere: Authorization.
"""

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, cast
from urllib.parse import SplitResult, urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, InsecureRequestWarning, NewConnectionError, SSLError
from urllib3.util import Timeout

from rootless import __version__
from rootless.context import Context
from rootless.errors import RegistryError, RlError
from rootless.log import printable
from rootless.registry.config import Endpoint, host_and_port
from rootless.registry.proxies import proxy_for, split_proxy

ATTEMPTS = 4
PAUSE_S = 0.5  # before the second attempt; doubled before each further one
RETRY_AFTER_MAX_S = 30.0  # a registry that wants more is reported, not waited for
REDIRECTS_MAX = 5
CONNECT_TIMEOUT_S = 15.0
READ_TIMEOUT_S = 60.0  # without a single byte
_BLOCK = 1 << 17  # bytes of a body per write
BODY_MAX = 8 * 1024 * 1024  # bytes of anything that is not a blob
_DIGITS = 18  # of a number that is looked at; int() refuses some thousands
_REPEATED = frozenset((408, 429, 500, 502, 503, 504))
_REDIRECTS = frozenset((301, 302, 303, 307, 308))

Response = urllib3.BaseHTTPResponse


class Readable(Protocol):
    """A body that is read while it is sent."""

    def read(self, size: int = ..., /) -> bytes: ...


# A body: none, bytes, or a function that gives it from its beginning, each time it is sent.
Body = bytes | Callable[[], Readable] | None


class Cancelled(RlError):
    """Another part of the same job failed, or the user interrupted it."""

    code = "RL-CANCELLED"


class Transport:
    """Connections to one registry and to whom it refers.  Safe to share between threads."""

    def __init__(self, ctx: Context, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.cancelled = threading.Event()
        self._environ = ctx.environ
        self._pools: dict[tuple[str | None, bool], urllib3.PoolManager] = {}
        self._lock = threading.Lock()  # over _pools and _open
        self._base_lock = threading.Lock()
        self._open: set[Response] = set()
        self._base = ""

    # The registry itself.

    def base(self) -> str:
        """https://host or http://host.  Asks an insecure registry which of them it speaks."""
        with self._base_lock:
            if not self._base:
                self._base = self._find_base()
            return self._base

    def _find_base(self) -> str:
        secure, plain = (f"{scheme}://{self.endpoint.host}" for scheme in ("https", "http"))
        if not self.endpoint.insecure:
            return secure
        for base in (secure, plain):
            try:
                self._send("GET", f"{base}/v2/", {}).close()
                return base
            except HTTPError as e:
                last = e
        raise unreachable(self.endpoint.host, last)

    # Requests.

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        body: Body = None,
        attempts: int = ATTEMPTS,
    ) -> Response:
        """The answer, its body not read yet, to be closed by done().  Any status may come.

        Follows redirects, repeats what may be repeated, unless `attempts` is 1.
        Raises RegistryError RL-REGISTRY-UNREACHABLE, RL-REGISTRY-TLS, RL-REGISTRY-RATE-LIMITED,
        RL-REGISTRY-REFUSED (a redirect that makes no sense), Cancelled.
        """
        for attempt in range(1, attempts + 1):
            self.check_cancelled()
            try:
                response = self._follow(method, url, dict(headers), body)
            except SSLError as e:
                raise self._tls_error(url, e) from e
            except HTTPError as e:
                if attempt == attempts or isinstance(e, NewConnectionError):
                    raise unreachable(_host(url), e) from e
                self.pause(attempt)
                continue
            if response.status not in _REPEATED:
                return response
            pause_s = _retry_after_s(response, PAUSE_S * 2 ** (attempt - 1))
            if attempt == attempts or pause_s > RETRY_AFTER_MAX_S:
                return response
            self.done(response)
            self._wait(pause_s)
        raise AssertionError("the last attempt returns or raises")

    def read(self, response: Response, limit: int = BODY_MAX) -> bytes:
        """The body, which may have at most `limit` bytes; closes the response."""
        try:
            data = response.read(limit + 1)
        except HTTPError as e:
            raise unreachable(self.endpoint.host, e) from e
        finally:
            self.done(response)
        if len(data) > limit:
            raise RegistryError(
                f"{self.endpoint.domain} sent more than {limit} bytes for a document",
                remedy="is it a registry?",
                code="RL-REGISTRY-RUBBISH",
            )
        return data

    def done(self, response: Response) -> None:
        """Close a response; its connection is used again when its body was read."""
        with self._lock:
            self._open.discard(response)
        response.close()

    def cancel(self) -> None:
        """Make all requests, those under way too, end with Cancelled."""
        self.cancelled.set()
        with self._lock:
            responses = list(self._open)
        for response in responses:
            try:
                # urllib3 ≥ 2.3.  Without it, each thread ends at its next chunk or time-out.
                getattr(response, "shutdown", lambda: None)()
            except (OSError, ValueError, RuntimeError):
                pass  # it has just ended by itself

    def close(self) -> None:
        """Close all idle connections."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.clear()

    def pause(self, attempt: int) -> None:
        """Wait after the failed `attempt` (from 1), longer each time.  Raises Cancelled."""
        self._wait(PAUSE_S * 2 ** (attempt - 1))

    def check_cancelled(self) -> None:
        if self.cancelled.is_set():
            raise Cancelled("cancelled")

    def _follow(self, method: str, url: str, headers: dict[str, str], body: Body) -> Response:
        origin = _origin(url)
        for _ in range(REDIRECTS_MAX + 1):
            response = self._send(method, url, headers, body)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                return response
            self.done(response)
            target = join(url, location)
            if split(target).scheme not in ("https", "http") or (
                split(target).scheme == "http"
                and url.startswith("https:")
                and not self.endpoint.insecure
            ):
                raise RegistryError(
                    f"{_host(url)} redirects from https to {printable(target[:100])}",
                    remedy="rl does not follow it; ask the registry's owner",
                    code="RL-REGISTRY-REFUSED",
                )
            if _origin(target) != origin:
                headers.pop("Authorization", None)
                if method == "POST" and body:  # a refresh token: as good as a password
                    raise RegistryError(
                        f"{_host(url)} sends credentials on to {_host(target)}",
                        remedy="rl does not follow it; ask the registry's owner",
                        code="RL-REGISTRY-REFUSED",
                    )
            url = target
        raise RegistryError(
            f"{_host(url)} redirects in circles",
            remedy="ask the registry's owner",
            code="RL-REGISTRY-REFUSED",
        )

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: Body = None
    ) -> Response:
        parts = split(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        proxy = proxy_for(self._environ, parts.scheme, parts.hostname or "", port)
        response = self._pool(proxy, self._is_own(parts.hostname or "")).urlopen(
            method,
            url,
            # urllib3 sends whatever has read(), of the length that Content-Length says.
            body=cast("Any", body() if callable(body) else body),
            headers={"User-Agent": f"rl/{__version__}", "Accept-Encoding": "identity", **headers},
            retries=False,
            redirect=False,
            preload_content=False,
            timeout=Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
        )
        with self._lock:
            self._open.add(response)
        if self.cancelled.is_set():  # while we waited for the answer: cancel() did not see it
            self.done(response)
            self.check_cancelled()
        return response

    def _is_own(self, host: str) -> bool:
        return host == host_and_port(self.endpoint.host)[0]

    def _pool(self, proxy: str | None, own: bool) -> urllib3.PoolManager:
        """Connections, by proxy; only the registry itself gets the client certificate."""
        with self._lock:
            pool = self._pools.get((proxy, own))
            if pool is None:
                context = self._tls(own)
                if proxy is None:
                    pool = urllib3.PoolManager(ssl_context=context, maxsize=4, blocksize=_BLOCK)
                else:
                    address, headers = split_proxy(proxy)
                    pool = urllib3.ProxyManager(
                        address,
                        proxy_headers=headers,
                        ssl_context=context,
                        maxsize=4,
                        blocksize=_BLOCK,
                    )
                self._pools[proxy, own] = pool
            return pool

    def _tls(self, own: bool) -> ssl.SSLContext:
        """What is trusted.  A registry's CA holds for its token service and blob store, too, as
        with Docker: a company's registry and GitLab are two hosts with one CA."""
        context = ssl.create_default_context()
        try:
            for file in self.endpoint.certificates:
                context.load_verify_locations(cafile=file)
            if own and self.endpoint.client is not None:
                context.load_cert_chain(*self.endpoint.client)
        except (OSError, ssl.SSLError) as e:
            raise RegistryError(
                f"cannot load the certificates for {self.endpoint.domain}: {e}",
                remedy="repair the files in its certs.d directory",
                code="RL-REGISTRY-TLS",
            ) from e
        if self.endpoint.insecure:
            # Whoever made the registry insecure knows; a warning per request helps nobody.
            urllib3.disable_warnings(InsecureRequestWarning)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _wait(self, seconds: float) -> None:
        if self.cancelled.wait(seconds):
            raise Cancelled("cancelled")

    def _tls_error(self, url: str, error: SSLError) -> RegistryError:
        host = _host(url)
        text = str(error)
        if "WRONG_VERSION_NUMBER" in text or "record layer failure" in text:
            why = f"{host} does not speak TLS"
        else:
            why = f"the certificate of {host} cannot be verified: {_reason(error)}"
        return RegistryError(
            why,
            remedy=f"put its CA into ~/.config/containers/certs.d/{self.endpoint.domain}/ca.crt, "
            "or give --tls-verify=false if you trust the network",
            code="RL-REGISTRY-TLS",
        )


def unreachable(host: str, error: BaseException) -> RegistryError:
    """The RegistryError for what the network did."""
    return RegistryError(
        f"cannot reach {host}: {_reason(error)}",
        remedy="check its name, the network and the proxy (HTTPS_PROXY), and try again",
        code="RL-REGISTRY-UNREACHABLE",
    )


def _reason(error: BaseException) -> str:
    """The innermost cause in its own words; urllib3 wraps it several times."""
    seen = [error]
    while True:
        inner = seen[-1].__cause__ or seen[-1].__context__
        if inner is None or inner in seen or not str(inner):
            break
        seen.append(inner)
    # A refused connection is a time-out by urllib3's classes, and none by any other word.
    timeout = isinstance(error, urllib3.exceptions.TimeoutError)
    if timeout and not isinstance(error, NewConnectionError):
        return "no answer in time"
    inner = seen[-1]
    text = inner.strerror if isinstance(inner, OSError) and inner.strerror else str(inner)
    return printable(str(text)[:200])


def _retry_after_s(response: Response, default_s: float) -> float:
    """The pause that the registry asks for (RFC 9110 section 10.2.3), in seconds."""
    text = response.headers.get("Retry-After", "").strip()
    if not text:
        return default_s
    seconds = number(text)
    if seconds is not None:
        return float(seconds)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return default_s


def number(text: str) -> int | None:
    """A decimal number in a header, None for what is none; a huge one is huge enough with 18
    digits."""
    text = text.strip()
    if not (text.isascii() and text.isdecimal()):
        return None
    return int(text) if len(text) <= _DIGITS else 10**_DIGITS


def split(url: str) -> SplitResult:
    """urlsplit() of a URL that a registry has given.  Raises RegistryError."""
    try:
        parts = urlsplit(url)
        _ = parts.port, parts.hostname
    except ValueError as e:
        raise _no_url(url) from e
    return parts


def join(base: str, location: str) -> str:
    """urljoin() with what a registry has given.  Raises RegistryError."""
    try:
        return urljoin(base, location)
    except ValueError as e:
        raise _no_url(location) from e


def _no_url(text: str) -> RegistryError:
    return RegistryError(
        f"{printable(text[:100])!r} is not an address",
        remedy="check the registry's name and port; if it is right, ask its owner",
        code="RL-REGISTRY-REFUSED",
    )


def _host(url: str) -> str:
    """host:port, without a user that may stand before it."""
    return printable(urlsplit(url).netloc.rpartition("@")[2])


def _origin(url: str) -> tuple[str, str]:
    return urlsplit(url).scheme, _host(url)
