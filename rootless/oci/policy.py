"""Which images may be used, and who must have signed them: containers-policy.json(5).  Pure.

Strict as that page demands: what is unknown, doubled or of the wrong type makes the whole file
invalid.
"""

import json
from typing import Any

from rootless.errors import BadDocument, BadReference
from rootless.oci import reference
from rootless.oci.reference import Reference
from rootless.records import dataclass

ACCEPT, REJECT, SIGSTORE, GPG = "insecureAcceptAnything", "reject", "sigstoreSigned", "signedBy"
_KEYS = ("keyPath", "keyPaths", "keyData", "keyDatas")
# Of later versions of the page: who signs by a certificate, and a log of what was signed.
_TRUST = ("fulcio", "pki", "rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData",
          "rekorPublicKeyDatas")  # fmt: skip
_FIELDS = {
    ACCEPT: {"type"},
    REJECT: {"type"},
    SIGSTORE: {"type", "signedIdentity", *_KEYS, *_TRUST},
    GPG: {"type", "signedIdentity", "keyType", *_KEYS},
}
_IDENTITY_FIELDS = {
    "matchExact": (),
    "matchRepoDigestOrExact": (),
    "matchRepository": (),
    "exactReference": ("dockerReference",),
    "exactRepository": ("dockerRepository",),
    "remapIdentity": ("prefix", "signedPrefix"),
}


@dataclass(frozen=True, slots=True)
class Identity:
    """What a signature must say that the image is called: "signedIdentity"."""

    kind: str = "matchRepoDigestOrExact"
    values: tuple[str, ...] = ()

    def accepts(self, image: Reference, signed: str) -> bool:
        """Whether a signature of `signed` (its docker-reference) is one of `image`."""
        try:
            claimed = reference.parse(signed)
            if self.kind == "exactRepository":
                return claimed.name == reference.parse(self.values[0]).name
            if self.kind == "exactReference":
                return _same(reference.parse(self.values[0]), claimed)
        except BadReference:
            return False
        if self.kind == "matchRepository":
            return claimed.name == image.name
        if self.kind == "matchExact":
            return _same(image, claimed)
        name = image.name
        if self.kind == "remapIdentity" and _is_prefix(self.values[0], name):
            name = self.values[1] + name[len(self.values[0]) :]
        if claimed.name != name:
            return False
        return bool(image.digest) or (bool(image.tag) and claimed.tag == image.tag)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement; `paths` and `keys` (base64) are those of public keys, one of which must
    have signed."""

    kind: str
    identity: Identity = Identity()
    paths: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()  # fields that ask for more than a key


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole file: the global default, and transport -> scope -> requirements."""

    default: tuple[Requirement, ...]
    transports: dict[str, dict[str, tuple[Requirement, ...]]]

    def requirements(self, image: Reference) -> tuple[tuple[Requirement, ...], str]:
        """Those of an image of a registry, and the scope that they are of; most specific wins."""
        scopes = self.transports.get("docker", {})
        for scope in _scopes(image):
            if scope in scopes:
                return scopes[scope], scope or "docker"
        return self.default, "default"


def parse(data: bytes, where: str) -> Policy:
    """Raises BadDocument, which names `where`."""
    try:
        document = json.loads(data.decode(), object_pairs_hook=lambda pairs: _once(pairs, where))
    except (ValueError, RecursionError) as e:
        raise BadDocument(f"{where}: not JSON ({e})") from e
    fields = _object(document, where)
    _only(fields, {"default", "transports"}, where)
    if "default" not in fields:
        raise BadDocument(f"{where}: default is missing")
    default = _requirements(fields["default"], f"{where}: default")
    transports = {}
    for name, scopes in _object(fields.get("transports", {}), f"{where}: transports").items():
        place = f"{where}: transports.{name}"
        transports[name] = {
            scope: _requirements(listed, f"{place}.{scope or '(default)'}")
            for scope, listed in _object(scopes, place).items()
        }
    return Policy(default, transports)


def _requirements(value: object, where: str) -> tuple[Requirement, ...]:
    if not isinstance(value, list) or not value:
        raise BadDocument(f"{where}: not a list of at least one requirement")
    return tuple(_requirement(one, f"{where}[{place}]") for place, one in enumerate(value))


def _requirement(value: object, where: str) -> Requirement:
    fields = _object(value, where)
    kind = _text(fields, "type", where)
    if kind not in _FIELDS:
        raise BadDocument(f"{where}: unknown type {kind}")
    _only(fields, _FIELDS[kind], where)
    if kind in (ACCEPT, REJECT):
        return Requirement(kind)
    identity = _identity(fields["signedIdentity"], where) if "signedIdentity" in fields else None
    unsupported = tuple(name for name in _TRUST if name in fields)
    given = [name for name in _KEYS if name in fields]
    if len(given) > 1 or not (given or unsupported):
        raise BadDocument(f"{where}: exactly one of {', '.join(_KEYS)} must be there")
    if kind == GPG and fields.get("keyType") != "GPGKeys":
        raise BadDocument(f"{where}: keyType is not GPGKeys")
    found: dict[str, tuple[str, ...]] = {"paths": (), "keys": ()}
    for name in given:
        listed = fields[name] if name.endswith("s") else [fields[name]]
        if not isinstance(listed, list) or not listed:
            raise BadDocument(f"{where}: {name} is not a list of strings")
        texts = {f"{name}[{place}]": one for place, one in enumerate(listed)}
        found["paths" if "Path" in name else "keys"] = tuple(
            _text(texts, one, where) for one in texts
        )
    return Requirement(kind, identity or Identity(), found["paths"], found["keys"], unsupported)


def _identity(value: object, where: str) -> Identity:
    where = f"{where}: signedIdentity"
    fields = _object(value, where)
    kind = _text(fields, "type", where)
    if kind not in _IDENTITY_FIELDS:
        raise BadDocument(f"{where}: unknown type {kind}")
    names = _IDENTITY_FIELDS[kind]
    _only(fields, {"type", *names}, where)
    values = tuple(_text(fields, name, where) for name in names)
    if kind in ("exactReference", "exactRepository"):
        try:
            named = reference.parse(values[0])
        except BadReference as e:
            raise BadDocument(f"{where}: {names[0]}: {e.what}") from e
        if bool(named.tag or named.digest) != (kind == "exactReference"):
            word = "a tag or digest" if kind == "exactReference" else "neither tag nor digest"
            raise BadDocument(f"{where}: {names[0]} must have {word}")
    return Identity(kind, values)


def _scopes(image: Reference) -> list[str]:
    """What may name the image, the most specific first; "" is the transport's default."""
    found = [image.canonical()] if image.tag or image.digest else []
    name = image.name
    while name:
        found.append(name)
        name = name.rpartition("/")[0]
    labels = image.domain.partition(":")[0].split(".")  # wildcards have no port, as skopeo does
    found += [f"*.{'.'.join(labels[start:])}" for start in range(1, len(labels))]
    return [*found, ""]


def _is_prefix(prefix: str, name: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}/")


def _same(one: Reference, other: Reference) -> bool:
    """Equal, and more than a repository's name."""
    return one == other and bool(one.tag or one.digest)


def _once(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise BadDocument(f"{where}: {double} is there twice")
    return found


def _object(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise BadDocument(f"{where}: not an object")
    return value


def _only(fields: dict[str, object], known: set[str], where: str) -> None:
    for name in fields:
        if name not in known:
            raise BadDocument(f"{where}: unknown field {name}")


def _text(fields: "dict[str, Any]", name: str, where: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise BadDocument(f"{where}: {name} is missing or not a string")
    return value
