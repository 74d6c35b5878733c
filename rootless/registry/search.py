"""Images found by a word: by the v1 search of Docker Hub and of registries that have it, else in
the catalogue of the distribution API, which knows names only.

Sources: docs.docker.com/docker-hub/api (search), distribution's "catalog".
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from rootless.context import Context
from rootless.errors import RegistryError, UsageError
from rootless.oci import reference
from rootless.oci.reference import DEFAULT_DOMAIN, Reference
from rootless.records import dataclass
from rootless.registry.client import Client, next_page, rubbish

LIMIT_MAX = 100  # Docker Hub's own for a page
_HUB = "https://index.docker.io"
_NAMES_MAX = 100_000  # repositories that are looked through
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """A repository.  A catalogue has no description and no stars."""

    name: str  # as it can be pulled
    description: str = ""
    stars: int = 0
    official: bool = False
    automated: bool = False


def target(text: str) -> tuple[str, str]:
    """The registry and the word that [REGISTRY/]TERM means.  Raises UsageError."""
    text = text.removeprefix("https://").removeprefix("http://")
    first, slash, rest = text.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost")
    domain, term = (first, rest) if is_host else (DEFAULT_DOMAIN, text)
    if domain == reference.LEGACY_DOMAIN:
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and not term:
        raise UsageError("there is no word to look for", remedy="try: rl search alpine")
    reference.parse(f"{domain}/x")
    return domain, term


def repository(text: str) -> str:
    """The canonical repository (docker.io/library/alpine) of a reference without a tag.

    Raises BadReference, UsageError.
    """
    named = reference.parse(text)
    if named.tag or named.digest:
        raise UsageError("--list-tags wants the name of a repository", remedy="leave the tag out")
    return named.name


def search(
    ctx: Context, domain: str, term: str, *, limit: int, tls_verify: bool = True
) -> list[Found]:
    """At most `limit` repositories of the registry that have to do with `term`.

    Raises RegistryError; RL-REGISTRY-NO-SEARCH where the registry cannot search.
    """
    with Client(ctx, Reference(domain, "search"), tls_verify=tls_verify) as client:
        found = _by_search(client, domain, term, limit)
        return _by_catalogue(client, domain, term, limit) if found is None else found


def _by_search(client: Client, domain: str, term: str, limit: int) -> list[Found] | None:
    """What /v1/search says; None where there is none."""
    base = _HUB if domain == DEFAULT_DOMAIN else client.transport.base()
    query = urlencode({"q": term, "n": str(limit)}, errors="surrogateescape")
    response = client.send("GET", f"{base}/v1/search?{query}", {"Accept": "application/json"})
    if domain != DEFAULT_DOMAIN and response.status != 200:
        client.transport.read(response)
        return None
    if response.status != 200:
        raise client.refusal(response, "the search")
    data = client.transport.read(response)
    try:
        results = json.loads(data)["results"]
        return [_found(domain, one) for one in results][:limit]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as e:
        if domain != DEFAULT_DOMAIN:
            return None  # a web page of the registry, for people
        raise rubbish(domain, "its answer to a search is none") from e


def _found(domain: str, one: dict[str, Any]) -> Found:
    name = str(one["name"])
    return Found(
        name if domain == DEFAULT_DOMAIN else f"{domain}/{name}",
        str(one.get("description") or ""),
        int(one.get("star_count") or 0),
        one.get("is_official") is True,
        one.get("is_automated") is True,
    )


def _by_catalogue(client: Client, domain: str, term: str, limit: int) -> list[Found]:
    wanted = term.lower()
    found = []
    for name in _catalogue(client, domain):
        if wanted in name.lower():
            found.append(Found(f"{domain}/{name}"))
            if len(found) == limit:
                break
    return found


def _catalogue(client: Client, domain: str) -> Iterator[str]:
    """The names of all repositories, page by page."""
    url: str | None = f"{client.transport.base()}/v2/_catalog?n={_PAGE}"
    seen = 0
    while url is not None:
        response = client.send("GET", url, {"Accept": "application/json"})
        if response.status != 200:
            failure = client.refusal(response, "the catalogue")
            if response.status == 429 or response.status in (500, 502, 503, 504):
                raise failure
            raise RegistryError(
                f"{domain} cannot be searched: it has no search and gives no catalogue "
                f"(HTTP {response.status})",
                remedy="look at its web site; rl search --list-tags lists the tags of a "
                "repository that you know",
                code="RL-REGISTRY-NO-SEARCH",
            )
        link = response.headers.get("Link", "")
        data = client.transport.read(response)
        try:
            names = [str(name) for name in json.loads(data)["repositories"] or []]
        except (ValueError, KeyError, TypeError, RecursionError) as e:
            raise rubbish(domain, "its catalogue is none") from e
        yield from names
        seen += len(names)
        url = next_page(url, link) if names and seen < _NAMES_MAX else None
