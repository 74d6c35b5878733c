"""Digests: "sha256:<64 hex>", of bytes as they are stored.  Pure."""

import hashlib

from rootless.errors import BadDocument, DigestMismatch
from rootless.oci import reference


def of(data: bytes) -> str:
    """The SHA-256 digest of `data`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def checked(text: str, where: str) -> str:
    """`text`, if it is a digest that rl can verify.  Raises BadDocument.

    image-spec descriptor.md makes SHA-256 mandatory and SHA-512 optional; no registry we know
    uses the latter, and the store has a place for the former.
    """
    if not reference.is_digest(text):
        raise BadDocument(f"{where}: {text[:80]!r} is not a digest")
    if not text.startswith("sha256:"):
        raise BadDocument(f"{where}: {text[:80]} is no SHA-256 digest, and rl knows no other")
    return text


def verify(data: bytes, expected: str, what: str) -> None:
    """Raise DigestMismatch unless `data` has the digest `expected`."""
    actual = of(data)
    if actual != expected:
        raise DigestMismatch(what, expected, actual)
