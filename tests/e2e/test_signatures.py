"""Signatures: what policy.json and --require-signature let through; skopeo on both sides."""

import base64
import json
import os
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import signing
from support.builds import Project
from support.images import Image, busybox_tar, digest
from support.program import Rl
from support.registry import Registry

Policy = Callable[..., None]


@pytest.fixture
def student(fresh_store: Callable[..., Rl]) -> Rl:
    return fresh_store()


@pytest.fixture
def pushed(registry: Registry) -> tuple[str, str, str]:
    """A new image on the registry: its repository, its reference, its manifest's digest."""
    repository = f"signed/{uuid.uuid4().hex[:12]}"
    image = Image([busybox_tar()], {"Labels": {"id": repository}, "Cmd": ["echo", "signed"]})
    return repository, registry.push(repository, image, "v1"), digest(image.manifest())


@pytest.fixture
def policy(student: Rl) -> Policy:
    """Writes the user's policy.json: a default, and scopes of docker."""

    def write(default: list[dict[str, object]], **scopes: object) -> None:
        directory = f"{student.home}/.config/containers"
        os.makedirs(directory, exist_ok=True)
        document = {"default": default, "transports": {"docker": scopes}}
        Path(f"{directory}/policy.json").write_text(json.dumps(document))

    return write


def is_empty(rl: Rl) -> bool:
    """Whether nothing of any image has reached the store."""
    return all(
        not os.listdir(f"{rl.store}/{name}")
        for name in ("layers", "blobs/sha256", "images/by-id", "images/by-name", "tmp")
    )


@pytest.mark.parametrize("kind", ["ecdsa", "rsa", "ed25519"])
def test_what_the_key_has_signed_is_pulled(
    student: Rl, registry: Registry, pushed: tuple[str, str, str], tmp_path: Path, kind: str
) -> None:
    repository, reference, manifest = pushed
    key = signing.new_key(kind)
    public = signing.write_public(key, f"{tmp_path}/key.pub")
    student.fails("pull", "--require-signature", public, reference, status=1, code="RL-SIGNATURE")
    signing.sign(registry, repository, manifest, signing.new_key(kind))
    line = student.fails(
        "pull", "--require-signature", public, reference, status=1, code="RL-SIGNATURE"
    )
    assert "none of its signatures is by the key" in line
    assert is_empty(student)
    signing.sign(registry, repository, manifest, key)
    student.run("pull", "--require-signature", public, reference)


def test_a_signature_of_something_else_does_not_count(
    student: Rl, registry: Registry, pushed: tuple[str, str, str], tmp_path: Path
) -> None:
    repository, reference, manifest = pushed
    key = signing.new_key()
    public = signing.write_public(key, f"{tmp_path}/key.pub")
    here = f"{registry.host}/{repository}"
    other = f"sha256:{'0' * 64}"

    def signed(payload: bytes) -> tuple[bytes, bytes]:
        return payload, signing.sign_bytes(key, payload)

    good = signed(signing.statement(here, manifest))
    for wrong in (
        [signed(signing.statement(here, other))],
        [signed(signing.statement(f"{registry.host}/signed/other", manifest))],
        [signed(signing.statement("UPPER", manifest))],
        [signed(signing.statement(here, manifest, kind="atomic container signature"))],
        [signed(b"{}"), signed(b"[" * 5000), signed(b"\xff")],
        [(good[0] + b" ", good[1])],
        [(good[0], b""), (good[0], b"x" * 70)],
        [],
    ):
        signing.attach(registry, repository, manifest, wrong)
        student.fails(
            "pull", "--require-signature", public, reference, status=1, code="RL-SIGNATURE"
        )
        assert is_empty(student)
    signing.attach(registry, repository, manifest, [signed(b"{}"), good])
    student.run("pull", "--require-signature", public, reference)


def test_either_the_index_or_the_manifest_may_be_signed(
    student: Rl, registry: Registry, tmp_path: Path
) -> None:
    key = signing.new_key()
    public = signing.write_public(key, f"{tmp_path}/key.pub")
    repository = f"signed/{uuid.uuid4().hex[:12]}"
    image = Image([busybox_tar()], {"Labels": {"id": repository}})
    reference = registry.push_index(repository, [image], "v1")
    _, head, _ = registry.request(
        "HEAD",
        f"/v2/{repository}/manifests/v1",
        headers={"Accept": "application/vnd.oci.image.index.v1+json"},
    )
    assert head["docker-content-digest"] != digest(image.manifest())
    for signed in (head["docker-content-digest"], digest(image.manifest())):
        student.fails(
            "pull", "--require-signature", public, reference, status=1, code="RL-SIGNATURE"
        )
        signing.sign(registry, repository, signed, key)
        student.run("pull", "--require-signature", public, reference)
        signing.attach(registry, repository, signed, [])


def test_run_create_and_build_require_it_too(
    student: Rl, registry: Registry, pushed: tuple[str, str, str], tmp_path: Path
) -> None:
    repository, reference, manifest = pushed
    key = signing.new_key()
    flag = ["--require-signature", signing.write_public(key, f"{tmp_path}/key.pub")]
    student.run("pull", reference)  # being here does not help
    student.fails("run", "--rm", *flag, reference, code="RL-SIGNATURE")
    student.fails("create", *flag, reference, status=1, code="RL-SIGNATURE")
    project = Project(student, f"{tmp_path}/context").dockerfile(f"FROM {reference}\n")
    assert "RL-SIGNATURE" in project.run(*flag, status=1).stderr
    student.fails("run", "--pull", "never", *flag, reference, code="RL-USAGE")
    student.fails("run", *flag, "0" * 64, code="RL-BAD-REFERENCE")
    signing.sign(registry, repository, manifest, key)
    assert student.out("run", "--rm", "--network", "none", *flag, reference) == "signed"
    student.run("create", *flag, reference)
    project.run(*flag)


def test_the_policy_goes_by_prefix(
    student: Rl, policy: Policy, registry: Registry, pushed: tuple[str, str, str], tmp_path: Path
) -> None:
    repository, reference, manifest = pushed
    accept, reject = {"type": "insecureAcceptAnything"}, {"type": "reject"}
    key = signing.new_key()
    public = signing.write_public(key, f"{tmp_path}/key.pub")
    sigstore: dict[str, Any] = {"type": "sigstoreSigned", "keyPath": public}
    anything = {**sigstore, "signedIdentity": {"type": "matchRepository"}}
    refused = ["pull", "-q", reference]

    policy([reject])
    assert "rejects it" in student.fails(*refused, status=1, code="RL-SIGNATURE")
    policy([accept], **{registry.host: [reject]})
    student.fails(*refused, status=1, code="RL-SIGNATURE")
    policy([accept], **{f"{registry.host}/signed": [anything]})
    assert "not signed" in student.fails(*refused, status=1, code="RL-SIGNATURE")
    policy([accept], **{"": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": public}]})
    assert "GPG" in student.fails(*refused, status=1, code="RL-SIGNATURE")
    assert is_empty(student)

    # cosign signs a repository, without a tag: matchRepoDigestOrExact wants the tag.
    signing.sign(registry, repository, manifest, key)
    policy([reject], **{f"{registry.host}/{repository}": [sigstore]})
    assert "its signature is for" in student.fails(*refused, status=1, code="RL-SIGNATURE")
    student.run("pull", "-q", f"{registry.host}/{repository}@{manifest}")
    student.run("rmi", "-f", f"{registry.host}/{repository}@{manifest}")
    policy([reject], **{f"{registry.host}/{repository}": [anything, accept]})
    student.run(*refused)
    policy([reject], **{f"{registry.host}/{repository}:v1": [anything, reject]})
    student.fails(*refused, status=1, code="RL-SIGNATURE")
    policy([reject], **{f"{registry.host}/{repository}:v1": [accept]})
    student.run(*refused)


@pytest.mark.parametrize(
    "kind", ["EC:prime256v1", "EC:secp384r1", "EC:secp521r1", "RSA:2048", "ED25519"]
)
def test_signatures_by_openssl_with_each_form_of_a_key(
    student: Rl,
    policy: Policy,
    registry: Registry,
    pushed: tuple[str, str, str],
    tmp_path: Path,
    kind: str,
) -> None:
    """Key, payload and signature as the specification says, made by nothing of ours."""
    repository, reference, manifest = pushed
    private, public, payload = (f"{tmp_path}/{name}" for name in ("key", "key.pub", "payload"))
    algorithm, _, option = kind.partition(":")
    name = {"EC": "ec_paramgen_curve", "RSA": "rsa_keygen_bits"}.get(algorithm)
    options = ["-pkeyopt", f"{name}:{option}"] if name else []
    openssl("genpkey", "-algorithm", algorithm, *options, "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", public)
    signed = (
        f'{{"critical":{{"identity":{{"docker-reference":"{reference}"}},"image":'
        f'{{"docker-manifest-digest":"{manifest}"}},"type":"cosign container image signature"}},'
        '"optional":{"creator":"openssl","timestamp":1700000000}}'
    ).encode()
    Path(payload).write_bytes(signed)
    hashed = [] if kind == "ED25519" else ["-rawin", "-digest", "sha256"]
    more = hashed or ["-rawin"]
    signature = openssl("pkeyutl", "-sign", "-inkey", private, *more, "-in", payload)

    other = signing.write_public(signing.new_key(), f"{tmp_path}/other.pub")
    data, other_data = (base64.b64encode(Path(p).read_bytes()).decode() for p in (public, other))
    forms: list[dict[str, Any]] = [
        {"keyPath": public},
        {"keyPaths": [other, public]},
        {"keyData": data},
        {"keyDatas": [other_data, data]},
    ]
    identities: list[dict[str, Any]] = [
        {},
        {"signedIdentity": {"type": "matchExact"}},
        {"signedIdentity": {"type": "matchRepository"}},
        {"signedIdentity": {"type": "exactReference", "dockerReference": reference}},
    ]
    last = None if kind == "EC:prime256v1" else 1  # all forms with the key that cosign makes
    for wanted in ([], [(signed, signature)]):
        signing.attach(registry, repository, manifest, wanted)
        for form, identity in list(zip(forms, identities, strict=True))[:last]:
            policy([{"type": "reject"}], **{registry.host: [
                {"type": "sigstoreSigned", **form, **identity}]})  # fmt: skip
            done = student.run("pull", "-q", reference, check=False)
            assert (done.returncode == 0) == bool(wanted), done.stderr
    policy([{"type": "reject"}], **{registry.host: [{"type": "sigstoreSigned", "keyPath": other}]})
    student.fails("pull", "-q", reference, status=1, code="RL-SIGNATURE")


def openssl(*args: str) -> bytes:
    return subprocess.run(["openssl", *args], capture_output=True, check=True, timeout=60).stdout


def test_a_policy_that_is_none_lets_nothing_through(
    student: Rl, policy: Policy, pushed: tuple[str, str, str]
) -> None:
    policy([{"type": "insecureAcceptAnything", "more": 1}])
    student.fails("pull", pushed[1], status=1, code="RL-BAD-DOCUMENT")
    policy([{"type": "sigstoreSigned", "keyPath": "/nowhere"}])
    student.fails("pull", pushed[1], status=1, code="RL-SIGNATURE-KEY")
    Path(f"{student.home}/.config/containers/policy.json").write_text("{")
    student.fails("pull", pushed[1], status=1, code="RL-BAD-DOCUMENT")
    assert is_empty(student)


def test_skopeo_reads_a_policy_alike(
    student: Rl, policy: Policy, registry: Registry, pushed: tuple[str, str, str], tmp_path: Path
) -> None:
    """Scopes, and what makes a file invalid.  Debian's skopeo is built without sigstore."""
    repository, reference, _ = pushed
    accept, reject = [{"type": "insecureAcceptAnything"}], [{"type": "reject"}]
    exact = f"{registry.host}/{repository}"
    file = f"{student.home}/.config/containers/policy.json"
    for default, scopes, wanted in (
        (accept, {}, True),
        (reject, {}, False),
        (reject, {"": accept}, True),
        (reject, {registry.host: accept}, True),
        (reject, {registry.host: accept, f"{registry.host}/signed": reject}, False),
        (reject, {f"{registry.host}/sign": accept}, False),
        (reject, {exact: accept}, True),
        (reject, {exact: accept, f"{exact}:v1": reject}, False),
        (reject, {f"{exact}:v2": accept}, False),
        (reject, {"*.0.0.1": accept}, True),
        (reject, {f"*.0.0.1:{registry.port}": accept}, False),
        (reject, {"*.1": accept, "*.0.1": reject}, False),
        (accept, {"127.0.0.1": reject}, True),
        ([], {}, False),
        (accept, {exact: [*accept, *reject]}, False),
        (accept, {"other.example": [{"type": "unknown"}]}, False),
        (accept, {"other.example": [{"type": "sigstoreSigned"}]}, False),
        (accept, {"other.example": [{"type": "reject", "more": 1}]}, False),
    ):
        policy(default, **scopes)
        copied = subprocess.run(
            ["skopeo", "--policy", file, "copy", "-q", "--src-tls-verify=false",
             f"docker://{reference}", f"dir:{tmp_path}/{uuid.uuid4().hex}"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        pulled = student.run("pull", "-q", reference, check=False)
        assert (copied.returncode == 0) == wanted, (default, scopes, copied.stderr)
        assert (pulled.returncode == 0) == wanted, (default, scopes, pulled.stderr)
