"""Image references by Docker's grammar.  Pure and warm: written by hand, `re` costs 5 ms.

Source: github.com/distribution/reference, reference.go (grammar) and normalize.go (docker.io,
library/, latest).  In short:

    reference = [domain "/"] path [":" tag] ["@" digest]
    domain    = host [":" port]        host = name | IPv4 | "[" IPv6 "]"
    path      = component *("/" component)
    component = alnum *(("." | "_" | "__" | 1*"-") alnum)      lower case
    tag       = [A-Za-z0-9_] *127[A-Za-z0-9_.-]
"""

from rootless.errors import BadReference

DEFAULT_DOMAIN = "docker.io"
LEGACY_DOMAIN = "index.docker.io"
OFFICIAL = "library/"
DEFAULT_TAG = "latest"
PATH_MAX = 255
TAG_MAX = 128

_LOWER_HEX = frozenset("0123456789abcdef")
_HEX = _LOWER_HEX | frozenset("ABCDEF")
_DIGITS = frozenset("0123456789")
_LOWER_ALNUM = frozenset("abcdefghijklmnopqrstuvwxyz") | _DIGITS
_ALNUM = _LOWER_ALNUM | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_TAG_FIRST = _ALNUM | {"_"}
_TAG_REST = _TAG_FIRST | {".", "-"}
_HEX_LENGTH = {"sha256": 64, "sha384": 96, "sha512": 128}


class Reference:
    """A parsed reference: `domain`, `path`, and `tag` and `digest`, which may be "".

    The domain is always there ("docker.io"), the path complete ("library/busybox"): nothing is
    left to guess.  Immutable by convention, comparable, hashable.
    """

    __slots__ = ("digest", "domain", "path", "tag")

    def __init__(self, domain: str, path: str, tag: str = "", digest: str = "") -> None:
        self.domain = domain
        self.path = path
        self.tag = tag
        self.digest = digest

    @property
    def name(self) -> str:
        """docker.io/library/busybox"""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """busybox: the name as Docker shows it, and as it can be given again."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        short = self.path
        if short.startswith(OFFICIAL) and "/" not in short[len(OFFICIAL) :]:
            short = short[len(OFFICIAL) :]
        # Where the short form would mean something else (a 64-digit ID, the host localhost), keep
        # the long one.
        if is_image_id(short) or short.startswith("localhost/"):
            return self.name
        return short

    def tagged(self) -> "Reference":
        """With the tag "latest" if there is neither tag nor digest."""
        if self.tag or self.digest:
            return self
        return Reference(self.domain, self.path, DEFAULT_TAG)

    def canonical(self) -> str:
        """docker.io/library/busybox:latest, complete and unambiguous."""
        return self._complete(self.name)

    def familiar(self) -> str:
        """busybox:latest, as Docker shows it."""
        return self._complete(self.familiar_name)

    def _complete(self, name: str) -> str:
        complete = self.tagged()
        tag = f":{complete.tag}" if complete.tag else ""
        digest = f"@{complete.digest}" if complete.digest else ""
        return f"{name}{tag}{digest}"

    def __str__(self) -> str:
        return self.canonical()

    def __repr__(self) -> str:
        return f"Reference({self.domain!r}, {self.path!r}, {self.tag!r}, {self.digest!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Reference):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> "tuple[str, str, str, str]":
        return (self.domain, self.path, self.tag, self.digest)


def parse(text: str) -> Reference:
    """The Reference that `text` means.  Raises BadReference, with Docker's words.

    A tag is not added: `canonical()`, `familiar()` and `tagged()` do that.
    """
    if not text:
        raise _bad(text, "the repository name is empty")
    if is_image_id(text):
        raise BadReference(
            f"invalid repository name ({text}): it is 64 hexadecimal digits, as an image ID",
            remedy="give the image another name",
        )
    domain, rest = _split_domain(text)
    named, at, digest = rest.partition("@")
    path, colon, tag = named.partition(":")
    shown = path if path in text else path.removeprefix(OFFICIAL)
    if path != path.lower():
        raise BadReference(
            f"invalid reference format: repository name ({_cut(path)}) must be lowercase",
            remedy=f"try {_cut(text.replace(shown, shown.lower(), 1))}",
        )
    if not _is_domain(domain):
        raise _bad(text, f"{domain!r} is not a registry's host name")
    if not _is_path(path):
        raise _bad(text, f"{shown!r} is not a repository name")
    if len(path) > PATH_MAX:
        raise _bad(text, f"repository name must not be more than {PATH_MAX} characters")
    if colon:
        _check_tag(tag, text)
    if at and not is_digest(digest):
        raise _bad(text, f"{digest!r} is not a digest")
    return Reference(domain, path, tag, digest)


def is_digest(text: str) -> bool:
    """Whether `text` is "sha256:" and 64 lower-case digits, or SHA-384 or SHA-512 alike."""
    algorithm, _, value = text.partition(":")
    return len(value) == _HEX_LENGTH.get(algorithm) and all(c in _LOWER_HEX for c in value)


def is_image_id(text: str) -> bool:
    """Whether `text` is 64 lower-case hexadecimal digits: an ID, never a name."""
    return len(text) == 64 and all(c in _LOWER_HEX for c in text)


def names_registry(text: str) -> bool:
    """Whether a reference says which registry it is on: its first component looks like a host."""
    first, slash, _ = text.partition("/")
    return bool(slash) and (
        first == "localhost" or "." in first or ":" in first or first != first.lower()
    )


def _split_domain(text: str) -> "tuple[str, str]":
    """The domain, and the path as on that registry; normalize.go splitDockerDomain()."""
    first, slash, rest = text.partition("/")
    if not slash:
        return DEFAULT_DOMAIN, OFFICIAL + text
    # A first component is a host if it looks like one; upper case cannot be a path.
    if first == LEGACY_DOMAIN:
        first = DEFAULT_DOMAIN
    elif not names_registry(text):
        return DEFAULT_DOMAIN, text
    if first == DEFAULT_DOMAIN and "/" not in rest:
        rest = OFFICIAL + rest
    return first, rest


def _is_domain(text: str) -> bool:
    if text.startswith("["):
        address, bracket, rest = text[1:].partition("]")
        if not bracket or not address or not all(c in _HEX or c == ":" for c in address):
            return False
        return not rest or (rest[0] == ":" and _is_port(rest[1:]))
    host, colon, port = text.partition(":")
    if colon and not _is_port(port):
        return False
    return all(_is_domain_component(part) for part in host.split("."))


def _is_port(text: str) -> bool:
    return bool(text) and all(c in _DIGITS for c in text)


def _is_domain_component(text: str) -> bool:
    return (
        bool(text)
        and text[0] in _ALNUM
        and text[-1] in _ALNUM
        and all(c in _ALNUM or c == "-" for c in text)
    )


def _is_path(text: str) -> bool:
    return all(_is_component(part) for part in text.split("/"))


def _is_component(text: str) -> bool:
    """Alphanumeric words, between them one of . _ __ or any number of -."""
    if not text or text[0] not in _LOWER_ALNUM or text[-1] not in _LOWER_ALNUM:
        return False
    separator = ""
    for character in text:
        if character in _LOWER_ALNUM:
            if separator not in ("", ".", "_", "__") and separator.strip("-"):
                return False
            separator = ""
        elif character in "._-":
            separator += character
        else:
            return False
    return True


def _check_tag(tag: str, text: str) -> None:
    if (
        not tag
        or len(tag) > TAG_MAX
        or tag[0] not in _TAG_FIRST
        or not all(c in _TAG_REST for c in tag)
    ):
        raise _bad(text, f"{tag!r} is not a tag")


def _cut(text: str) -> str:
    """For a message: an archive or a registry may have names of any length."""
    return text if len(text) <= 200 else text[:200] + "…"


def _bad(text: str, why: str) -> BadReference:
    return BadReference(
        f"invalid reference format: {_cut(text)!r}: {_cut(why)}",
        remedy="write it as [REGISTRY/]NAME[:TAG][@sha256:DIGEST]",
    )
