"""Signatures of what is pulled, checked before anything of it reaches the store.

Signatures are those that cosign and skopeo attach: in the image's repository, under the tag
sha256-<hex>.sig, a manifest whose layers are signed statements ("simple signing": JSON that names
the manifest's digest and the image), each with its signature as an annotation.
Source: sigstore/cosign, specs/SIGNATURE_SPEC.md; who must sign: containers-policy.json(5).
"""

import base64
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rootless.errors import BadDocument, HostError, RegistryError, RlError
from rootless.oci import documents, policy
from rootless.oci.descriptor import Descriptor
from rootless.oci.manifest import OCI_MANIFEST
from rootless.oci.reference import Reference
from rootless.records import dataclass

if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.registry.client import Client

_PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
_SIGNATURE = "dev.cosignproject.cosign/signature"
_STATEMENT = "cosign container image signature"
_SIGNATURES_MAX = 100  # per manifest: each costs a request
_PAYLOAD_MAX = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class _Signed:
    """A statement as it came, and its signature; nothing of it is trusted yet."""

    payload: bytes
    signature: bytes


def check(ctx: "Context", client: "Client", image: Reference, digests: Sequence[str]) -> None:
    """Make sure that the policy, and --require-signature, allow `image`.

    `digests` are those of its index and of the manifest that was chosen in it: a signature of
    either will do, as the index names the manifest by its digest.  Raises RegistryError
    RL-SIGNATURE, BadDocument for a policy that is none, HostError.
    """
    wanted = list(_required(ctx))
    found, scope, file = _by_policy(ctx, image)
    wanted += [(one, f"{file} ({scope})") for one in found]
    signed: list[_Signed] | None = None
    for requirement, source in wanted:
        if requirement.kind == policy.ACCEPT:
            continue
        if requirement.kind == policy.REJECT:
            raise _refused(image, f"{source} rejects it")
        if requirement.kind == policy.GPG:
            raise _refused(
                image, f"{source} wants a GPG signature (signedBy), which rl cannot check"
            )
        if requirement.unsupported:
            fields = ", ".join(requirement.unsupported)
            raise _refused(image, f"{source} wants {fields}, which rl cannot check")
        keys = _keys(requirement)
        if signed is None:
            signed = list(_fetch(client, dict.fromkeys(digests)))
        _check_one(image, requirement, keys, signed, digests, source)


def _required(ctx: "Context") -> "Iterator[tuple[policy.Requirement, str]]":
    """--require-signature: each of these keys, for the image's repository."""
    listed = ctx.config.get("require-signatures")
    for path in listed if isinstance(listed, list) else []:
        path = os.path.expanduser(str(path))
        yield (
            policy.Requirement(policy.SIGSTORE, policy.Identity("matchRepository"), (path,)),
            f"--require-signature {path}",
        )


def _by_policy(
    ctx: "Context", image: Reference
) -> "tuple[tuple[policy.Requirement, ...], str, str]":
    """The requirements of policy.json, their scope, and the file; () without a file."""
    home = ctx.environ.get("XDG_CONFIG_HOME") or f"{ctx.home}/.config"
    for file in (f"{home}/containers/policy.json", "/etc/containers/policy.json"):
        try:
            with open(file, "rb") as stream:
                data = stream.read()
        except FileNotFoundError:
            continue
        except OSError as e:
            # Not to be read is not to be overlooked.
            raise BadDocument(
                f"cannot read {file}: {e.strerror}", remedy="make it readable for you"
            ) from e
        try:
            found, scope = policy.parse(data, file).requirements(image)
        except BadDocument as e:
            e.remedy = f"repair {file}; see containers-policy.json(5)"
            raise
        return found, scope, file
    return (), "", ""


def _keys(requirement: policy.Requirement) -> list[Any]:
    found = []
    for path in requirement.paths:
        try:
            with open(path, "rb") as file:
                found.append(_key(file.read(), path))
        except OSError as e:
            raise _bad_key(path, e.strerror or "cannot be read") from e
    for text in requirement.keys:
        try:
            data = base64.b64decode(text, validate=True)
        except ValueError as e:  # binascii.Error, or no ASCII
            raise _bad_key("keyData", "it is not base64") from e
        found.append(_key(data, "keyData"))
    return found


def _key(data: bytes, where: str) -> Any:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError as e:
        raise HostError(
            f"signatures cannot be checked: {e}",
            remedy="install the Python package cryptography",
            code="RL-HOST-CRYPTOGRAPHY",
        ) from e
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as e:
        raise _bad_key(where, "it is no public key in PEM form") from e
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        raise _bad_key(where, "it is not an ECDSA, RSA or Ed25519 key")
    return key


def _fetch(client: "Client", digests: Iterable[str]) -> Iterator[_Signed]:
    """All signatures that are attached to manifests.  Raises RegistryError, BadDocument."""
    for digest in digests:
        tag = f"{digest.replace(':', '-')}.sig"
        what = f"the signatures of {digest[:19]}"
        try:
            response = client.get(client.url(f"manifests/{tag}"), {"Accept": OCI_MANIFEST}, what)
        except RegistryError as e:
            if e.code == "RL-REGISTRY-NOT-FOUND":
                continue
            raise
        data = client.transport.read(response, documents.DOCUMENT_MAX)
        listed = documents.objects(documents.load(data, what), "layers", what)
        if len(listed) > _SIGNATURES_MAX:
            raise BadDocument(f"{what}: more than {_SIGNATURES_MAX}")
        for place, layer in enumerate(listed):
            where = f"{what}: layers[{place}]"
            descriptor = Descriptor.from_json(layer, where)
            if descriptor.media_type != _PAYLOAD or descriptor.size > _PAYLOAD_MAX:
                continue
            text = documents.string_map(layer, "annotations", where).get(_SIGNATURE, "")
            try:
                signature = base64.b64decode(text, validate=True)
            except ValueError:  # binascii.Error, or no ASCII
                continue
            yield _Signed(client.small_blob(descriptor, where), signature)


def _check_one(
    image: Reference,
    requirement: policy.Requirement,
    keys: list[Any],
    signed: list[_Signed],
    digests: Sequence[str],
    source: str,
) -> None:
    if not signed:
        raise _refused(
            image,
            f"it is not signed, and {source} wants a signature",
            "ask the image's owner for a signature (of cosign 3 with --new-bundle-format=false), "
            "or whoever wrote that rule",
        )
    why = "none of its signatures is by the key that"
    for one in signed:
        if not any(_verifies(key, one) for key in keys):
            continue
        claimed, digest = _statement(one.payload)
        if digest not in digests:
            why = "its signature is that of another manifest, and not what"
        elif not requirement.identity.accepts(image, claimed):
            why = f"its signature is for {claimed}, and not what"
        else:
            return
    raise _refused(image, f"{why} {source} wants")


def _verifies(key: Any, signed: _Signed) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signed.signature, signed.payload, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signed.signature, signed.payload, padding.PKCS1v15(), hashes.SHA256())
        else:
            key.verify(signed.signature, signed.payload)
    except InvalidSignature:
        return False
    return True


def _statement(payload: bytes) -> tuple[str, str]:
    """(docker-reference, docker-manifest-digest) of a statement; ("", "") for another kind."""
    try:
        critical = json.loads(payload)["critical"]
        if critical["type"] != _STATEMENT:
            return "", ""
        claimed = critical["identity"]["docker-reference"]
        digest = critical["image"]["docker-manifest-digest"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "", ""
    return (claimed, digest) if isinstance(claimed, str) and isinstance(digest, str) else ("", "")


def _refused(
    image: Reference,
    why: str,
    remedy: str = "ask the image's owner for a signature, or whoever wrote that rule",
) -> RegistryError:
    return RegistryError(
        f"{image.familiar()} is refused: {why}", remedy=remedy, code="RL-SIGNATURE"
    )


def _bad_key(where: str, why: str) -> RlError:
    return RlError(
        f"cannot use the public key {where}: {why}",
        remedy="it is what cosign generate-key-pair or openssl pkey -pubout writes",
        code="RL-SIGNATURE-KEY",
    )
