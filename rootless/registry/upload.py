"""Blobs to a registry: asked for, mounted from another repository, or uploaded.

Source: distribution-spec v1.1, "Pushing Blobs".  A small blob goes in one PUT.  A larger one is
streamed with one PATCH, as Docker does, or with several where that is too large for the server;
when the line breaks, the registry is asked how much it has, and the rest follows; docker-registry
has forgotten the upload then, and gets it all again.
"""

from collections.abc import Callable, Sequence
from typing import BinaryIO
from urllib.parse import urlencode, urljoin, urlsplit

from rootless.errors import RegistryError
from rootless.oci.descriptor import Descriptor
from rootless.registry.client import Client, rubbish
from rootless.registry.transport import ATTEMPTS, Response, number

AT_ONCE = 1 << 20  # bytes; a blob of at most this size is sent in one piece
# bytes per request, when a server or a proxy before it takes no more at once (413)
CHUNKS = (1 << 26, 1 << 23)
_TRY_AGAIN = frozenset((408, 416, 429, 500, 502, 503, 504))

Tell = Callable[[int], None]  # bytes sent


class _Lost(Exception):
    """The registry does not know the upload any more."""

    def __init__(self, why: RegistryError) -> None:
        super().__init__(str(why))
        self.why = why


class _TooMuch(_Lost):
    """It takes no request as large as that."""


def exists(client: Client, digest: str) -> bool:
    """Whether the repository has the blob."""
    response = client.send("HEAD", client.url(f"blobs/{digest}"), {})
    if response.status in (401, 403):
        raise client.refusal(response, f"blob {digest[:19]}")
    client.transport.read(response)
    return response.status == 200


def mount(client: Client, digest: str, repositories: Sequence[str]) -> str:
    """The one of `repositories` (paths on this registry) that gave the blob, or ""."""
    for source in repositories:
        try:
            response = _begin(client, {"mount": digest, "from": source})
        except RegistryError as e:
            if e.code != "RL-REGISTRY-UNAUTHORIZED":
                raise
            continue  # that repository is not ours to read any more
        unwanted = response.status == 202 and response.headers.get("Location")
        url = _location(client, response) if unwanted else ""
        client.transport.read(response)
        if response.status == 201:
            return source
        if url:
            # It offers an upload instead, which nobody wants: let it forget.
            client.transport.read(client.send("DELETE", url, {}, attempts=1))
    return ""


def upload(client: Client, descriptor: Descriptor, path: str, what: str, tell: Tell) -> None:
    """Send the file `path`.  Raises RegistryError."""
    chunks = iter(CHUNKS)
    chunk = descriptor.size
    with open(path, "rb", buffering=0) as file:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                _Upload(client, descriptor, file, what, tell, chunk).run()
                return
            except _TooMuch as e:
                chunk = next((one for one in chunks if one < chunk), 0)
                if not chunk or attempt == ATTEMPTS:
                    raise e.why from e
            except _Lost as e:
                if exists(client, descriptor.digest):
                    return  # it was the answer that was lost
                if attempt == ATTEMPTS:
                    raise e.why from e
                client.transport.pause(attempt)


def upload_bytes(client: Client, descriptor: Descriptor, data: bytes, what: str) -> None:
    """Send a small blob that is not in a file."""
    response = _begin(client, {})
    if response.status != 202:
        raise client.refusal(response, what)
    url = _with_digest(_location(client, response), descriptor.digest)
    client.transport.read(response)
    response = client.send("PUT", url, {"Content-Type": "application/octet-stream"}, body=data)
    if response.status not in (201, 204):
        raise client.refusal(response, what)
    client.transport.read(response)


def put_manifest(client: Client, tag: str, media_type: str, data: bytes, what: str) -> None:
    """Store a manifest or index under a tag, or under its digest."""
    url = client.url(f"manifests/{tag}")
    response = client.send("PUT", url, {"Content-Type": media_type}, body=data)
    if response.status not in (200, 201, 202):
        raise client.refusal(response, what)
    client.transport.read(response)


class _Upload:
    """One try to send a file; raises _Lost when another may go better."""

    def __init__(
        self,
        client: Client,
        descriptor: Descriptor,
        file: BinaryIO,
        what: str,
        tell: Tell,
        chunk: int,
    ) -> None:
        self._chunk = chunk  # bytes per request at most
        self._client = client
        self._digest = descriptor.digest
        self._size = descriptor.size
        self._file = file
        self._what = what
        self._tell = tell

    def run(self) -> None:
        response = _begin(self._client, {})
        if response.status != 202:
            raise self._client.refusal(response, self._what)
        url = _location(self._client, response)
        # What it wants at least in each request but the last (distribution-spec, "Pushing a blob
        # in chunks").
        least = number(response.headers.get("OCI-Chunk-Min-Length", ""))
        if least is not None:
            self._chunk = max(self._chunk, min(least, self._size))
        self._client.transport.read(response)
        position = 0
        if self._size > AT_ONCE:
            url, position = self._stream(url), self._size
        answer = self._send("PUT", _with_digest(url, self._digest), position)
        if isinstance(answer, RegistryError):
            raise _Lost(answer)
        if answer.status not in (201, 204):
            raise self._client.refusal(answer, self._what)
        self._client.transport.read(answer)

    def _stream(self, url: str) -> str:
        """Send everything by PATCH; where to go on with."""
        position = failures = 0
        while position < self._size:
            answer = self._send("PATCH", url, position)
            if not isinstance(answer, RegistryError) and answer.status == 202:
                url = _location(self._client, answer)
                before = position
                position = _received(answer, min(position + self._chunk, self._size))
                self._client.transport.read(answer)
                failures = 0 if position > before else failures + 1
                if failures == ATTEMPTS:
                    why = f"it takes the upload and stays at {position} bytes"
                    raise rubbish(self._client.source.domain, why)
                continue
            if not isinstance(answer, RegistryError) and answer.status == 413:
                raise _TooMuch(self._client.refusal(answer, self._what))
            error = (
                answer
                if isinstance(answer, RegistryError)
                else self._client.refusal(answer, self._what)
            )
            repeatable = isinstance(answer, RegistryError) or answer.status in _TRY_AGAIN
            if not repeatable:
                raise error
            failures += 1
            if failures == ATTEMPTS:
                raise error
            self._client.transport.pause(failures)
            before = position
            url, position = self._ask(url, error)
            failures = 0 if position > before else failures
        return url

    def _ask(self, url: str, error: RegistryError) -> tuple[str, int]:
        """Where the upload stands now."""
        response = self._client.send("GET", url, {})
        status = response.status
        # "0-0" is nothing or one byte: begin again.
        position = _received(response, 0) if status in (200, 202, 204) else 0
        place = response.headers.get("Location")
        found = _location(self._client, response) if place else url
        self._client.transport.read(response)
        if position <= 1:
            raise _Lost(error)
        return found, position

    def _send(self, method: str, url: str, position: int) -> Response | RegistryError:
        """The answer to the next part of the file, or the error that the network made."""
        end = min(position + self._chunk, self._size)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(end - position),
        }
        if method == "PATCH" and (position or end < self._size):
            headers["Content-Range"] = f"{position}-{end - 1}"
        try:
            return self._client.send(
                method, url, headers, body=lambda: self._part(position, end), attempts=1
            )
        except RegistryError as e:
            if e.code != "RL-REGISTRY-UNREACHABLE":
                raise
            return e

    def _part(self, position: int, end: int) -> "_Watched":
        self._file.seek(position)
        return _Watched(self._client, self._file, end, self._tell)


class _Watched:
    """A file on its way up to byte `end`: reported, and cancelled with the rest."""

    def __init__(self, client: Client, file: BinaryIO, end: int, tell: Tell) -> None:
        self._client = client
        self._file = file
        self._end = end
        self._tell = tell

    def read(self, size: int = -1, /) -> bytes:
        self._client.transport.check_cancelled()
        left = self._end - self._file.tell()
        data = self._file.read(min(size, left) if size >= 0 else left)
        self._tell(self._file.tell())
        return data


def _begin(client: Client, query: dict[str, str]) -> Response:
    url = client.url("blobs/uploads/")
    if query:
        url += f"?{urlencode(query, safe=':/')}"
    source = query.get("from")
    also = f"repository:{source}:pull" if source else ""
    return client.send("POST", url, {"Content-Length": "0"}, also=also)


def _location(client: Client, response: Response) -> str:
    """Where the upload goes on.  Raises RegistryError."""
    base = client.transport.base()
    try:
        url = urljoin(client.url("blobs/uploads/"), response.headers.get("Location", ""))
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if not response.headers.get("Location") or scheme not in ("http", "https"):
        raise rubbish(client.source.domain, "it does not say where to upload to")
    if scheme == "http" and base.startswith("https:") and not client.transport.endpoint.insecure:
        raise RegistryError(
            f"{client.source.domain} wants the upload without TLS",
            remedy="rl does not do that; ask the registry's owner",
            code="RL-REGISTRY-REFUSED",
        )
    return url


def _received(response: Response, default: int) -> int:
    """How many bytes the registry has, by its Range: 0-N."""
    _, dash, text = response.headers.get("Range", "").rpartition("-")
    last = number(text)
    return default if last is None or not dash else last + 1


def _with_digest(url: str, digest: str) -> str:
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode({'digest': digest}, safe=':')}"
