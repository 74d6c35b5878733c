"""Sigstore signatures, made and attached as cosign does."""

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from support.images import OCI_CONFIG, OCI_MANIFEST
from support.registry import Registry

PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
ANNOTATION = "dev.cosignproject.cosign/signature"


def new_key(kind: str = "ecdsa") -> Any:
    """A private key: ecdsa (P-256, cosign's), rsa or ed25519."""
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(
        ec.SECP256R1()
    )  # fmt: skip


def write_public(key: Any, path: str) -> str:
    """The public key as PEM in the file `path`."""
    data = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with open(path, "wb") as file:
        file.write(data)
    return path


def statement(reference: str, digest: str, kind: str = "cosign container image signature") -> bytes:
    """What is signed."""
    critical = {
        "identity": {"docker-reference": reference},
        "image": {"docker-manifest-digest": digest},
        "type": kind,
    }
    return json.dumps({"critical": critical, "optional": None}).encode()


def sign_bytes(key: Any, data: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(hashes.SHA256()))
    signature: bytes = key.sign(data)
    return signature


def attach(
    registry: Registry, repository: str, digest: str, signed: list[tuple[bytes, bytes]]
) -> None:
    """Attach (payload, signature) pairs to the manifest `digest`, in place of what was attached."""
    layers = []
    for payload, signature in signed:
        registry.put_blob(repository, payload)
        layers.append(
            {
                "mediaType": PAYLOAD,
                "digest": f"sha256:{hashlib.sha256(payload).hexdigest()}",
                "size": len(payload),
                "annotations": {ANNOTATION: base64.b64encode(signature).decode()},
            }
        )
    config = b'{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":[]}}'
    registry.put_blob(repository, config)
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {
            "mediaType": OCI_CONFIG,
            "digest": f"sha256:{hashlib.sha256(config).hexdigest()}",
            "size": len(config),
        },
        "layers": layers,
    }
    tag = f"{digest.replace(':', '-')}.sig"
    registry.put_manifest(repository, tag, OCI_MANIFEST, json.dumps(document).encode())


def sign(registry: Registry, repository: str, digest: str, key: Any, reference: str = "") -> None:
    """Sign a manifest as `cosign sign --key` does: for the repository, without its tag."""
    payload = statement(reference or f"{registry.host}/{repository}", digest)
    attach(registry, repository, digest, [(payload, sign_bytes(key, payload))])
