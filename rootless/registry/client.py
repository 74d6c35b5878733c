"""The distribution-spec's requests: manifests, blobs, tags of one repository.

Whatever is fetched by digest is verified against it, manifests and configs too.
"""

import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlsplit

from rootless.context import Context
from rootless.errors import RegistryError
from rootless.log import printable
from rootless.oci import digest as digests
from rootless.oci import manifest as manifests
from rootless.oci.descriptor import Descriptor
from rootless.oci.documents import DOCUMENT_MAX
from rootless.oci.manifest import Index, Manifest
from rootless.oci.reference import Reference, is_digest
from rootless.records import dataclass
from rootless.registry import config, credentials
from rootless.registry.auth import Authorizer, unauthorized
from rootless.registry.blobs import BlobStream
from rootless.registry.config import Source
from rootless.registry.transport import ATTEMPTS, Body, Response, Transport, join, split

URLS_MAX = 10  # of one blob, beside the registry
TAGS_MAX = 10_000
PAGES_MAX = 1000  # of a list of tags; some may be empty, and some lead back


@dataclass(frozen=True, slots=True)
class Fetched:
    """A manifest or index, and the digest that names it."""

    document: Manifest | Index
    digest: str


class Client:
    """One repository on one registry.  Safe to share between threads.  Use as a context manager.

    `name` is what the user calls it, in messages; `source` is where it is by registries.conf,
    without it the image's own place, no mirror.
    Raises RegistryError RL-REGISTRY-REFUSED for what registries.conf blocks, BadDocument.
    """

    def __init__(
        self,
        ctx: Context,
        name: Reference,
        *,
        tls_verify: bool = True,
        push: bool = False,
        source: Source | None = None,
    ) -> None:
        if source is None and push:
            source = config.target(ctx, name, tls_verify=tls_verify)
        elif source is None:
            source = config.sources(ctx, name, tls_verify=tls_verify)[-1]
        self.name = name
        self.source = source.named
        self.transport = Transport(ctx, source.endpoint)
        self._auth = Authorizer(
            self.transport,
            lambda: credentials.find(ctx, self.source.domain, self.source.path),
            f"repository:{self.source.path}:{'pull,push' if push else 'pull'}",
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.transport.close()

    def manifest(self, tag_or_digest: str) -> Fetched:
        """The manifest or index of a tag or digest; verified against the latter.

        Raises RegistryError RL-REGISTRY-*, BadDocument, DigestMismatch.
        """
        what = f"{self.name.familiar_name}{'@' if is_digest(tag_or_digest) else ':'}{tag_or_digest}"
        url = self.url(f"manifests/{tag_or_digest}")
        response = self.get(url, {"Accept": ", ".join(manifests.ACCEPTED)}, what)
        content_type = response.headers.get("Content-Type", "")
        promised = response.headers.get("Docker-Content-Digest", "")
        data = self.transport.read(response, DOCUMENT_MAX)
        if is_digest(tag_or_digest):
            digests.verify(data, digests.checked(tag_or_digest, what), f"manifest of {what}")
        else:
            self._check_is_json(data, content_type, what)
            # The header is the registry's own word about these bytes.
            if is_digest(promised) and promised.startswith("sha256:"):
                digests.verify(data, promised, f"manifest of {what}")
        document = manifests.parse(data, content_type, f"manifest of {what}")
        return Fetched(document, document.digest)

    def small_blob(self, descriptor: Descriptor, what: str) -> bytes:
        """A blob that is a document (a config), in memory, verified."""
        if descriptor.size > DOCUMENT_MAX:
            raise RegistryError(
                f"{what} has {descriptor.size} bytes, more than {DOCUMENT_MAX} are not read",
                remedy="is it an image?",
                code="RL-REGISTRY-RUBBISH",
            )
        chunks = []
        with self.blob(descriptor, what) as stream:
            while chunk := stream.read(1 << 20):
                chunks.append(chunk)
        return b"".join(chunks)

    def blob(self, descriptor: Descriptor, what: str) -> BlobStream:
        """A blob as a stream that verifies size and digest at its end; closed by the caller."""
        url = self.url(f"blobs/{descriptor.digest}")

        def get(headers: Mapping[str, str]) -> Response:
            try:
                return self.get(url, headers, what)
            except RegistryError as e:
                if e.code != "RL-REGISTRY-NOT-FOUND" or not descriptor.urls:
                    raise
                return self._elsewhere(descriptor.urls, headers, e)

        return BlobStream(self.transport, get, descriptor, what)

    def _elsewhere(
        self, urls: Sequence[str], headers: Mapping[str, str], missing: RegistryError
    ) -> Response:
        """A blob that the registry may not distribute, from where its descriptor says.

        Nobody there gets credentials, whatever they ask for (CVE-2020-15157), nor is anything
        fetched without TLS, unless that is allowed for the registry itself.
        """
        tried = []
        for url in urls[:URLS_MAX]:
            parts = split(url)
            where = printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"[:100])
            if parts.scheme != "https" and not (
                parts.scheme == "http" and self.transport.endpoint.insecure
            ):
                tried.append(f"{where} is not https")
                continue
            try:
                response = self.transport.request("GET", url, headers)
            except RegistryError as e:
                if e.code not in ("RL-REGISTRY-UNREACHABLE", "RL-REGISTRY-TLS"):
                    raise
                tried.append(e.what)
                continue
            if response.status in (200, 206):
                return response
            self.transport.done(response)
            tried.append(f"{where} answers {response.status}")
        what = f"{missing.what}; nor is it where its image says: {', '.join(tried)}"
        raise RegistryError(what, remedy=missing.remedy, code=missing.code)

    def tags(self) -> list[str]:
        """All tags of the repository, as the registry orders them."""
        found: list[str] = []
        url: str | None = self.url("tags/list")
        for _ in range(PAGES_MAX):
            if url is None:
                return found
            response = self.get(url, {"Accept": "application/json"}, self.name.familiar_name)
            link = response.headers.get("Link", "")
            data = self.transport.read(response)
            try:
                tags = json.loads(data)["tags"] or []
                found += [str(tag) for tag in tags]
            except (ValueError, KeyError, TypeError, RecursionError) as e:
                raise rubbish(self.source.domain, "its list of tags is none") from e
            if len(found) > TAGS_MAX:
                raise rubbish(self.source.domain, f"it has more than {TAGS_MAX} tags")
            url = next_page(url, link)
        raise rubbish(self.source.domain, f"its list of tags has more than {PAGES_MAX} pages")

    def get(self, url: str, headers: Mapping[str, str], what: str) -> Response:
        """A successful answer to GET, its body not read yet.

        Raises RegistryError RL-REGISTRY-UNAUTHORIZED, -NOT-FOUND, -RATE-LIMITED, -ERROR.
        """
        response = self.send("GET", url, headers)
        if response.status in (200, 206, 416):
            return response
        raise self.refusal(response, what)

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        body: Body = None,
        attempts: int = ATTEMPTS,
        also: str = "",
    ) -> Response:
        """The answer to a request with our credentials, of any status but 401.

        `also` is a further scope that the request needs.
        Raises RegistryError RL-REGISTRY-UNAUTHORIZED, RL-REGISTRY-UNREACHABLE and what Authorizer
        and Transport raise.
        """
        # Credentials go to the registry alone: an upload's place may be on another host.
        own = urlsplit(url)[:2] == urlsplit(self.transport.base())[:2]
        for tries_left in (2, 1, 0):  # anonymous; with what the 401 asks for; with a new token
            sent = self._auth.header(also) if own else ""
            authorization = {"Authorization": sent} if sent else {}
            response = self.transport.request(
                method, url, {**headers, **authorization}, body=body, attempts=attempts
            )
            if response.status != 401 or not own:
                return response
            challenge = response.headers.get("WWW-Authenticate", "")
            data = b"" if method == "HEAD" else self.transport.read(response)
            if not tries_left or not self._auth.answer(challenge, sent, also):
                break
        raise unauthorized(self.source.domain, self._why(401, data, ""))

    def refusal(self, response: Response, what: str) -> RegistryError:
        """The RegistryError for an answer that is no success; closes it.

        RL-REGISTRY-UNAUTHORIZED, -NOT-FOUND, -RATE-LIMITED, -ERROR.
        """
        try:
            retry_after = response.headers.get("Retry-After", "")
            data = self.transport.read(response)
        except RegistryError:
            data = b""
        return self._refusal(response.status, data, what, retry_after)

    def _refusal(self, status: int, data: bytes, what: str, retry_after: str) -> RegistryError:
        why = self._why(status, data, what)
        domain = self.source.domain
        if status in (401, 403):
            return unauthorized(domain, why)
        if status == 404:
            return RegistryError(
                f"{what} not found on {domain}: {why}",
                remedy="check its name and tag",
                code="RL-REGISTRY-NOT-FOUND",
            )
        if status == 429:
            wait = f"in {retry_after[:40]} s" if retry_after.isdecimal() else "later"
            return RegistryError(
                f"{domain} limits how often you may ask: {why}",
                remedy=f"try again {wait}, or log in to the registry for a higher limit",
                code="RL-REGISTRY-RATE-LIMITED",
            )
        return RegistryError(
            f"{domain} has a problem with {what}: {why}",
            remedy="try again later, or ask the registry's owner",
            code="RL-REGISTRY-ERROR",
        )

    def _why(self, status: int, data: bytes, what: str) -> str:
        """The registry's own words (distribution-spec, "Error Codes"), made harmless."""
        said = []
        try:
            for error in json.loads(data)["errors"]:
                said.append(str(error.get("message") or error.get("code") or ""))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass
        text = printable(", ".join(word for word in said if word))[:200]
        return f"{text} (HTTP {status})" if text else f"HTTP {status}"

    def _check_is_json(self, data: bytes, content_type: str, what: str) -> None:
        """A captive portal and a wrong address answer 200 with a web page."""
        kind = content_type.partition(";")[0].strip().lower()
        if kind == "text/html" or data.lstrip()[:1] != b"{":
            start = data[:20].decode("utf-8", "replace")
            raise rubbish(
                self.source.domain,
                f"its answer about {what} is no manifest: {kind or 'bytes'} that begins {start!r}",
            )

    def url(self, rest: str) -> str:
        """The address of `rest` in this repository."""
        return f"{self.transport.base()}/v2/{quote(self.source.path)}/{quote(rest, safe='/:')}"


def rubbish(domain: str, why: str) -> RegistryError:
    """The RegistryError for an answer that no registry gives."""
    return RegistryError(
        f"{domain} makes no sense: {printable(why)}",
        remedy="is it a registry, and is there a login page or proxy in between?",
        code="RL-REGISTRY-RUBBISH",
    )


def next_page(url: str, link: str) -> str | None:
    """The URL of a Link header with rel="next" on the same host.  Raises RegistryError."""
    target, _, attributes = link.partition(";")
    target = target.strip()
    if "next" not in attributes or not (target.startswith("<") and target.endswith(">")):
        return None
    following = join(url, target[1:-1])
    same = split(following)[:2] == split(url)[:2]
    return following if same and following != url else None
