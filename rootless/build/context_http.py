"""Files from the web, for contexts and ADD: one GET, with what it says about itself."""

import hashlib
import posixpath
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from rootless import __version__
from rootless.errors import BuildError
from rootless.log import printable
from rootless.records import dataclass

CODE = "RL-BUILD-DOWNLOAD"
_TIMEOUT_S = 60  # without a byte
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Download:
    """A file that has come: `name` is the last part of its URL's path, "" if that has none."""

    path: str
    name: str
    size: int
    digest: str  # "sha256:…"
    mtime_ns: int  # Last-Modified, 0 without one, as BuildKit
    etag: str = ""
    modified: str = ""  # as the server wrote it


def is_url(text: str) -> bool:
    """Whether it is an http or https URL."""
    return text.startswith(("http://", "https://"))


def name_of(url: str) -> str:
    """The file name in a URL, "" for none."""
    name = unquote(posixpath.basename(urlsplit(url).path))
    return "" if name in (".", "..") or "/" in name or "\0" in name else name


def download(url: str, path: str, authorization: str = "") -> Download:
    """GET `url` into the new file `path`.  Raises BuildError; proxies are the environment's.

    `authorization` is a header for that server, and for none that it sends us to.
    """
    found = download_if(url, path, {}, authorization)
    assert found is not None
    return found


def download_if(
    url: str, path: str, conditions: Mapping[str, str], authorization: str = ""
) -> Download | None:
    """The same with If-None-Match or If-Modified-Since; None when the server says 304."""
    # 60 ms, which most builds can do without.
    import http.client
    import urllib.error
    import urllib.request

    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    digest = hashlib.sha256()
    size = 0
    try:
        # The scheme was checked, and the opener knows no other than http and https.
        request = urllib.request.Request(  # noqa: S310
            url,
            headers={
                "User-Agent": f"rl/{__version__}",
                "Accept-Encoding": "identity",
                **conditions,
            },
        )
        if authorization:
            request.add_unredirected_header("Authorization", authorization)
        with opener.open(request, timeout=_TIMEOUT_S) as response, open(path, "xb") as file:
            length = response.headers.get("Content-Length") or ""
            modified = response.headers.get("Last-Modified") or ""
            etag = response.headers.get("ETag") or ""
            while data := response.read(_CHUNK):
                digest.update(data)
                file.write(data)
                size += len(data)
    except urllib.error.HTTPError as e:
        if e.code == 304 and conditions:
            return None
        raise _failed(url, f"the server answers {e.code} {printable(str(e.reason))[:100]}") from e
    except (OSError, http.client.HTTPException, ValueError) as e:
        raise _failed(url, printable(reason(e))[:200]) from e
    if length.isdecimal() and size != int(length):
        raise _failed(url, f"the transfer broke off, {int(length) - size} bytes short")
    value = f"sha256:{digest.hexdigest()}"
    return Download(path, name_of(url), size, value, _time_ns(modified), etag, modified)


def reason(e: Exception) -> str:
    """Why urllib could not, in words: URLError wraps the kernel's error and its number."""
    inner = getattr(e, "reason", None) or e
    return (inner.strerror if isinstance(inner, OSError) else None) or str(inner)


def _time_ns(text: str) -> int:
    import email.utils

    try:
        return int(email.utils.parsedate_to_datetime(text).timestamp()) * 1_000_000_000
    except (ValueError, TypeError, OverflowError):
        return 0


def _failed(url: str, why: str) -> BuildError:
    return BuildError(
        f"cannot download {without_password(url)}: {why}",
        remedy="check the address, the network and the proxy (https_proxy), and try again",
        code=CODE,
    )


def without_password(url: str) -> str:
    """The URL for a message."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username}:xxxxx@{host}").geturl()
