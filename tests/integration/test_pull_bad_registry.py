"""Pull from registries on a bad day: each failure is one clear error and leaves nothing."""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
from support.images import OCI_MANIFEST, Image, digest, tar
from support.rogue import Request, Rogue
from support.stores import make_context

from rootless.context import Context
from rootless.errors import BadDocument, DigestMismatch, ImageError, RegistryError, RlError
from rootless.registry import transport
from rootless.registry.config import Endpoint
from rootless.registry.pull import list_tags, pull
from rootless.store import image_changes, images

RANDOM = os.urandom(600_000)  # does not compress: several chunks


@pytest.fixture
def rogue() -> Iterator[Rogue]:
    server = Rogue()
    server.on("/v2/", lambda r: r.reply(200, b"{}") if r.path == "/v2/" else _missing(r))
    yield server
    server.close()


def _missing(request: Request) -> None:
    body = b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'
    request.reply(404, body, {"Content-Type": "application/json"})


@pytest.fixture
def ctx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(transport, "PAUSE_S", 0.01)
    return make_context(str(tmp_path))


@pytest.fixture
def image() -> Image:
    return Image([tar({"file": RANDOM})], {"Cmd": ["sh"]})


def blob_path(image: Image) -> str:
    return f"/v2/app/blobs/{digest(image.layer_blobs()[0][1])}"


def failure(ctx: Context, reference: str, code: str) -> RlError:
    """Pull, and expect this code and nothing left but complete blobs."""
    with pytest.raises(RlError) as caught:
        pull(ctx, reference)
    assert caught.value.code == code, caught.value.one_line()
    assert caught.value.remedy
    assert "\n" not in caught.value.one_line()
    assert os.listdir(ctx.paths.tmp) == []
    assert os.listdir(ctx.paths.images_by_id) == []
    for name in os.listdir(ctx.paths.blobs):
        assert digest(Path(ctx.paths.blobs, name).read_bytes()) == f"sha256:{name}"
    return caught.value


def test_missing_image_is_not_found(ctx: Context, rogue: Rogue) -> None:
    error = failure(ctx, f"{rogue.host}/nothing:1", "RL-REGISTRY-NOT-FOUND")
    assert "nothing:1 not found" in error.what
    assert "manifest unknown" in error.what


def test_registry_that_is_away_is_unreachable(ctx: Context, rogue: Rogue) -> None:
    rogue.close()
    error = failure(ctx, f"{rogue.host}/app", "RL-REGISTRY-UNREACHABLE")
    assert "Connection refused" in error.what


def test_host_that_does_not_exist_is_unreachable(ctx: Context) -> None:
    failure(ctx, "does-not-exist.invalid/app", "RL-REGISTRY-UNREACHABLE")


def test_certificate_that_cannot_be_verified_is_a_tls_error(ctx: Context, rogue: Rogue) -> None:
    # A name that is no loopback for rl but is one for the resolver would need /etc/hosts: the
    # endpoint is told to be secure instead.
    endpoint = Endpoint(rogue.host, rogue.host, insecure=False)
    carrier = transport.Transport(ctx, endpoint)
    with pytest.raises(RegistryError, match="does not speak TLS") as caught:
        carrier.request("GET", f"{carrier.base()}/v2/", {})
    assert caught.value.code == "RL-REGISTRY-TLS"
    assert "--tls-verify=false" in str(caught.value.remedy)


@pytest.mark.parametrize("kind", ["text/html", OCI_MANIFEST])
def test_web_page_instead_of_a_manifest_is_rubbish(ctx: Context, rogue: Rogue, kind: str) -> None:
    rogue.on("/v2/app/man", lambda r: r.reply(200, b"<html>log in", {"Content-Type": kind}))
    failure(ctx, f"{rogue.host}/app", "RL-REGISTRY-RUBBISH")


def test_endless_manifest_is_cut(ctx: Context, rogue: Rogue) -> None:
    rogue.on("/v2/app/man", lambda r: r.reply(200, b"{" * (5 << 20)))
    failure(ctx, f"{rogue.host}/app", "RL-REGISTRY-RUBBISH")


def test_schema_1_is_refused(ctx: Context, rogue: Rogue) -> None:
    rogue.on("/v2/app/man", lambda r: r.reply(200, b'{"schemaVersion":1}'))
    failure(ctx, f"{rogue.host}/app", "RL-IMAGE-SCHEMA1")


def test_control_characters_from_a_registry_are_made_harmless(ctx: Context, rogue: Rogue) -> None:
    body = json.dumps({"errors": [{"message": "\x1b[2Jgone\n"}]}).encode()
    rogue.on("/v2/app/man", lambda r: r.reply(404, body))
    error = failure(ctx, f"{rogue.host}/app", "RL-REGISTRY-NOT-FOUND")
    assert "\x1b" not in error.one_line()


def test_manifest_by_digest_is_verified(ctx: Context, rogue: Rogue, image: Image) -> None:
    rogue.serve("app", image)
    wanted = digest(b"something else")
    rogue.on(f"/v2/app/manifests/{wanted}", lambda r: r.reply(200, image.manifest()))
    error = failure(ctx, f"{rogue.host}/app@{wanted}", "RL-DIGEST-MISMATCH")
    assert isinstance(error, DigestMismatch)
    assert error.actual == digest(image.manifest())


def test_config_is_verified(ctx: Context, rogue: Rogue, image: Image) -> None:
    reference = rogue.serve("app", image)
    changed = image.config_blob().replace(b'"sh"', b'"ls"')
    path = f"/v2/app/blobs/{digest(image.config_blob())}"
    rogue.on(path, lambda r: r.reply(200, changed))
    failure(ctx, reference, "RL-DIGEST-MISMATCH")


def test_layer_with_other_bytes_is_a_mismatch_and_never_kept(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    reference = rogue.serve("app", image)
    blob = bytearray(image.layer_blobs()[0][1])
    blob[4] ^= 1  # in gzip's time stamp: the tar is the same, the blob is not
    rogue.on(blob_path(image), lambda r: r.reply(200, bytes(blob)))
    failure(ctx, reference, "RL-DIGEST-MISMATCH")
    assert os.listdir(ctx.paths.layers) == []


def test_layer_that_is_not_its_diff_id_is_refused(ctx: Context, rogue: Rogue) -> None:
    honest = Image([tar({"file": b"good"})])
    evil = Image([tar({"file": b"evil"})])
    manifest = json.loads(evil.manifest())
    config = honest.config_blob()
    manifest["config"] |= {"digest": digest(config), "size": len(config)}
    rogue.serve("app", evil)
    rogue.on(f"/v2/app/blobs/{digest(config)}", lambda r: r.reply(200, config))
    kind = {"Content-Type": OCI_MANIFEST}
    data = json.dumps(manifest).encode()
    rogue.on("/v2/app/manifests/latest", lambda r: r.reply(200, data, kind))
    failure(ctx, f"{rogue.host}/app", "RL-DIGEST-MISMATCH")
    assert os.listdir(ctx.paths.layers) == []


def test_layer_that_is_no_archive_is_an_error(ctx: Context, rogue: Rogue) -> None:
    reference = rogue.serve("app", Image([b"this is no tar archive" * 100]))
    with pytest.raises(BadDocument):
        pull(ctx, reference)
    assert os.listdir(ctx.paths.tmp) == []
    assert os.listdir(ctx.paths.layers) == []


def test_numbers_of_layers_and_diff_ids_must_agree(ctx: Context, rogue: Rogue) -> None:
    image = Image([tar({"a": b"1"}), tar({"b": b"2"})])
    manifest = json.loads(image.manifest())
    del manifest["layers"][1]
    rogue.serve("app", image)
    data = json.dumps(manifest).encode()
    rogue.on("/v2/app/manifests/latest", lambda r: r.reply(200, data))
    failure(ctx, f"{rogue.host}/app", "RL-BAD-DOCUMENT")


def test_broken_transfer_goes_on_where_it_broke(ctx: Context, rogue: Rogue, image: Image) -> None:
    reference = rogue.serve("app", image)
    blob = image.layer_blobs()[0][1]
    ranges: list[str] = []

    def flaky(request: Request) -> None:
        asked = request.headers.get("Range", "")
        ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-") or 0)
        head = {"Content-Range": f"bytes {start}-{len(blob) - 1}/{len(blob)}"}
        rest = blob[start:]
        request.reply(206 if asked else 200, rest, head if asked else None, cut=200_000)

    rogue.on(blob_path(image), flaky)
    pull(ctx, reference)
    assert ranges[0] == ""
    assert ranges[1].startswith("bytes=")
    assert len(ranges) == 4  # 600 kB in pieces of 200 kB at most


def test_registry_without_ranges_starts_again(ctx: Context, rogue: Rogue, image: Image) -> None:
    reference = rogue.serve("app", image)
    blob = image.layer_blobs()[0][1]
    asked: list[str] = []

    def once(request: Request) -> None:
        asked.append(request.headers.get("Range", ""))
        request.reply(200, blob, cut=300_000 if len(asked) == 1 else 0)

    rogue.on(blob_path(image), once)
    pull(ctx, reference)
    assert len(asked) == 2


def test_layer_that_stays_too_short_is_truncated(ctx: Context, rogue: Rogue, image: Image) -> None:
    reference = rogue.serve("app", image)
    blob = image.layer_blobs()[0][1][:1000]

    def short(request: Request) -> None:
        if "Range" in request.headers:
            head = {"Content-Range": f"bytes 1000-{len(blob)}/*"}
            request.reply(206, b"", head)
        else:
            request.reply(200, blob)

    rogue.on(blob_path(image), short)
    failure(ctx, reference, "RL-REGISTRY-TRUNCATED")


def test_layer_that_is_longer_than_announced_is_refused(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    reference = rogue.serve("app", image)
    blob = image.layer_blobs()[0][1] + b"more"
    rogue.on(blob_path(image), lambda r: r.reply(200, blob))
    failure(ctx, reference, "RL-REGISTRY-RUBBISH")


def test_too_many_requests_are_repeated_after_the_pause_asked_for(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    reference = rogue.serve("app", image)
    calls: list[float] = []

    def busy(request: Request) -> None:
        calls.append(time.monotonic())
        if len(calls) == 1:
            request.reply(429, b"", {"Retry-After": "1"})
        elif len(calls) == 2:
            request.reply(503)
        else:
            request.reply(200, image.manifest(), {"Content-Type": OCI_MANIFEST})

    rogue.on("/v2/app/manifests/latest", busy)
    pull(ctx, reference)
    assert calls[1] - calls[0] >= 1


def test_rate_limit_that_lasts_is_reported_with_its_time(ctx: Context, rogue: Rogue) -> None:
    rogue.on("/v2/app/man", lambda r: r.reply(429, b"", {"Retry-After": "3600"}))
    error = failure(ctx, f"{rogue.host}/app", "RL-REGISTRY-RATE-LIMITED")
    assert "in 3600 s" in str(error.remedy)
    assert len(rogue.paths("manifests")) == 1


def test_server_error_that_lasts_is_reported(ctx: Context, rogue: Rogue) -> None:
    rogue.on("/v2/app/man", lambda r: r.reply(500, b"oops"))
    failure(ctx, f"{rogue.host}/app", "RL-REGISTRY-ERROR")
    assert len(rogue.paths("manifests")) == transport.ATTEMPTS


def login(ctx: Context, host: str) -> str:
    """Credentials for `host`; the header that they make."""
    auth = base64.b64encode(b"ann:secret").decode()
    os.makedirs(f"{ctx.home}/.docker")
    Path(f"{ctx.home}/.docker/config.json").write_text(
        json.dumps({"auths": {host: {"auth": auth}}})
    )
    return f"Basic {auth}"


def require(rogue: Rogue, header: str, challenge: str) -> None:
    """Everything below /v2/app needs this Authorization."""
    before = list(rogue.answers)

    def guard(request: Request) -> None:
        if request.headers.get("Authorization") != header:
            request.reply(401, b"{}", {"WWW-Authenticate": challenge})
            return
        next(answer for prefix, answer in before if request.path.startswith(prefix))(request)

    rogue.on("/v2/app/", guard)


def test_basic_authentication_uses_dockers_credentials(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    reference = rogue.serve("app", image)
    require(rogue, login(ctx, rogue.host), 'Basic realm="x"')
    pull(ctx, reference)


def test_token_is_fetched_with_scope_and_credentials(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    reference = rogue.serve("app", image)
    header = login(ctx, rogue.host)
    challenge = (
        f'Bearer realm="http://{rogue.host}/token",service="reg",scope="repository:app:pull"'
    )
    require(rogue, "Bearer T", challenge)
    rogue.on("/token", lambda r: r.reply(200, b'{"token":"T"}'))
    pull(ctx, reference)
    path, headers = next(seen for seen in rogue.seen if seen[0].startswith("/token"))
    assert "service=reg" in path
    assert "scope=repository%3Aapp%3Apull" in path
    assert headers["Authorization"] == header
    assert len(rogue.paths("/token")) == 1


def test_expired_token_is_replaced(ctx: Context, rogue: Rogue, image: Image) -> None:
    reference = rogue.serve("app", image)
    challenge = f'Bearer realm="http://{rogue.host}/token"'
    good = list(rogue.answers)
    valid = {"Bearer 1": 1, "Bearer 2": 99}  # requests that each token is good for
    tokens: list[int] = []

    def guard(request: Request) -> None:
        sent = request.headers.get("Authorization", "")
        if valid.get(sent, 0) <= 0:
            request.reply(401, b"", {"WWW-Authenticate": challenge})
            return
        valid[sent] -= 1
        next(answer for prefix, answer in good if request.path.startswith(prefix))(request)

    def token(request: Request) -> None:
        tokens.append(len(tokens) + 1)
        request.reply(200, json.dumps({"access_token": str(tokens[-1])}).encode())

    rogue.on("/v2/app/", guard)
    rogue.on("/token", token)
    pull(ctx, reference)
    assert tokens == [1, 2]


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_have_a_remedy(ctx: Context, rogue: Rogue, status: int) -> None:
    login(ctx, rogue.host)
    body = b'{"errors":[{"code":"DENIED","message":"not for you"}]}'
    head = {"WWW-Authenticate": 'Basic realm="x"'}
    rogue.on("/v2/app/man", lambda r: r.reply(status, body, head))
    error = failure(ctx, f"{rogue.host}/app", "RL-REGISTRY-UNAUTHORIZED")
    assert "not for you" in error.what
    assert "rl login" in str(error.remedy)


@pytest.mark.parametrize("answer", [b"<html>", b"{}", b'{"token":1}', b'{"token":"a\\nb"}'])
def test_token_service_that_answers_nonsense_is_rubbish(
    ctx: Context, rogue: Rogue, answer: bytes
) -> None:
    challenge = f'Bearer realm="http://{rogue.host}/token"'
    rogue.on("/v2/app/man", lambda r: r.reply(401, b"", {"WWW-Authenticate": challenge}))
    rogue.on("/token", lambda r: r.reply(200, answer))
    failure(ctx, f"{rogue.host}/app", "RL-REGISTRY-RUBBISH")


def test_redirect_to_another_host_does_not_carry_credentials(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    elsewhere = Rogue()
    try:
        reference = rogue.serve("app", image)
        blob = image.layer_blobs()[0][1]
        target = f"http://{elsewhere.host}/storage"
        rogue.on(blob_path(image), lambda r: r.reply(307, b"", {"Location": target}))
        require(rogue, login(ctx, rogue.host), 'Basic realm="x"')
        elsewhere.on("/storage", lambda r: r.reply(200, blob))
        pull(ctx, reference)
        assert "Authorization" not in elsewhere.seen[0][1]
    finally:
        elsewhere.close()


@pytest.mark.parametrize("target", ["/v2/app/manifests/latest", "file:///etc/passwd", "ftp://h/a"])
def test_redirect_that_makes_no_sense_is_refused(ctx: Context, rogue: Rogue, target: str) -> None:
    rogue.on("/v2/app/man", lambda r: r.reply(302, b"", {"Location": target}))
    failure(ctx, f"{rogue.host}/app", "RL-REGISTRY-REFUSED")


@pytest.mark.parametrize("target", ["http://h:99999/a", "http://[::1/a", "http://", "http://a b/"])
def test_redirect_to_what_is_no_address_is_an_error(
    ctx: Context, rogue: Rogue, target: str
) -> None:
    rogue.on("/v2/app/man", lambda r: r.reply(302, b"", {"Location": target}))
    with pytest.raises(RegistryError):
        pull(ctx, f"{rogue.host}/app")


@pytest.mark.parametrize("name", ["localhost:99999/a", "localhost:0/a", f"{'h' * 300}.invalid/a"])
def test_name_that_cannot_be_a_host_is_an_error(ctx: Context, name: str) -> None:
    with pytest.raises(RegistryError):
        pull(ctx, name)


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 999 x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000,
        b"",
    ],
)
def test_what_is_no_http_is_an_error(ctx: Context, rogue: Rogue, answer: bytes) -> None:
    def raw(request: Request) -> None:
        request.wfile.write(answer)
        request.close_connection = True

    rogue.on("/v2/app/man", raw)
    with pytest.raises(RlError) as caught:
        pull(ctx, f"{rogue.host}/app")
    assert caught.value.code.startswith("RL-REGISTRY-")


def test_proxy_of_the_environment_is_used(tmp_path: Path, rogue: Rogue, image: Image) -> None:
    proxy = Rogue()
    try:
        environ = {"http_proxy": f"http://{proxy.host}", "HTTPS_PROXY": proxy.host}
        config: dict[str, object] = {"insecure-registries": ["registry.invalid"]}
        ctx = make_context(str(tmp_path), environ, config)
        rogue.serve("app", image)
        served = list(rogue.answers)

        def forward(request: Request) -> None:
            request.path = request.path.removeprefix("http://registry.invalid")
            next(answer for prefix, answer in served if request.path.startswith(prefix))(request)

        proxy.on("http://registry.invalid/", forward)
        assert pull(ctx, "registry.invalid/app")["names"] == ["registry.invalid/app:latest"]
        assert rogue.seen == []
    finally:
        proxy.close()


def test_certificates(tmp_path: Path, rogue: Rogue, image: Image) -> None:
    """Refused when unknown, taken from certs.d, not asked for when insecure."""
    key, certificate = f"{tmp_path}/key.pem", f"{tmp_path}/cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
         certificate, "-days", "2", "-subj", "/CN=t", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    rogue.use_tls(certificate, key)
    ctx = make_context(str(tmp_path))

    def ask(insecure: bool, certificates: tuple[str, ...] = ()) -> int:
        endpoint = Endpoint(rogue.host, rogue.host, insecure, certificates)
        carrier = transport.Transport(ctx, endpoint)
        response = carrier.request("GET", f"{carrier.base()}/v2/", {})
        carrier.done(response)
        assert carrier.base().startswith("https:")
        return response.status

    with pytest.raises(RegistryError, match="cannot be verified") as caught:
        ask(False)
    assert caught.value.code == "RL-REGISTRY-TLS"
    assert ask(True) == 200
    assert ask(False, (certificate,)) == 200
    with pytest.raises(RegistryError, match="cannot load"):
        ask(False, (f"{tmp_path}/missing",))
    # A registry on loopback may have TLS with whatever certificate.
    assert pull(ctx, rogue.serve("app", image))["id"] == image.id


def test_pause_that_is_asked_for_may_be_a_date(ctx: Context, rogue: Rogue, image: Image) -> None:
    reference = rogue.serve("app", image)
    calls: list[float] = []

    def busy(request: Request) -> None:
        calls.append(time.time())
        if len(calls) == 1:
            request.reply(429, b"", {"Retry-After": formatdate(time.time() + 2, usegmt=True)})
        else:
            request.reply(200, image.manifest(), {"Content-Type": OCI_MANIFEST})

    rogue.on("/v2/app/manifests/latest", busy)
    pull(ctx, reference)
    assert calls[1] - calls[0] > 0.5


def test_platform_that_an_index_lacks_names_those_it_has(ctx: Context, rogue: Rogue) -> None:
    entry = {
        "mediaType": OCI_MANIFEST,
        "digest": digest(b"x"),
        "size": 1,
        "platform": {"os": "linux", "architecture": "s390x"},
    }
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    rogue.on("/v2/app/man", lambda r: r.reply(200, index))
    error = failure(ctx, f"{rogue.host}/app", "RL-IMAGE-PLATFORM")
    assert isinstance(error, ImageError)
    assert "linux/s390x" in error.what


def test_index_that_names_itself_ends(ctx: Context, rogue: Rogue) -> None:
    inner = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    for _ in range(6):
        entry = {
            "digest": digest(inner),
            "size": len(inner),
            "mediaType": "application/vnd.oci.image.index.v1+json",
        }
        data = inner
        rogue.on(f"/v2/app/manifests/{digest(inner)}", lambda r, data=data: r.reply(200, data))
        inner = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    rogue.on("/v2/app/manifests/latest", lambda r: r.reply(200, inner))
    failure(ctx, f"{rogue.host}/app", "RL-BAD-DOCUMENT")


def test_failure_of_one_layer_ends_the_others(ctx: Context, rogue: Rogue) -> None:
    image = Image([tar({"a": RANDOM}), tar({"b": b"1"})])
    reference = rogue.serve("app", image)
    released = threading.Event()
    slow, bad = (f"/v2/app/blobs/{digest(blob)}" for _, blob in image.layer_blobs())

    def never(request: Request) -> None:
        blob = image.layer_blobs()[0][1]
        request.send_response(200)
        request.send_header("Content-Length", str(len(blob)))
        request.end_headers()
        request.wfile.write(blob[:1000])
        request.wfile.flush()
        released.wait(60)

    rogue.on(slow, never)
    rogue.on(bad, lambda r: r.reply(404))
    started = time.monotonic()
    failure(ctx, reference, "RL-REGISTRY-NOT-FOUND")
    released.set()
    assert time.monotonic() - started < 20


def test_what_arrived_before_a_failure_is_used_by_the_next_pull(ctx: Context, rogue: Rogue) -> None:
    image = Image([tar({"a": b"1"}), tar({"b": RANDOM})])
    reference = rogue.serve("app", image)
    first, second = (f"/v2/app/blobs/{digest(blob)}" for _, blob in image.layer_blobs())
    gate = threading.Event()
    blob = image.layer_blobs()[1][1]

    def late(request: Request) -> None:
        gate.wait(20)
        request.reply(404)

    rogue.on(second, late)
    states: list[tuple[str, str]] = []

    def progress(layer: str, phase: str, done: int, total: int) -> None:
        states.append((layer, phase))
        if phase == "done":
            gate.set()

    with pytest.raises(RegistryError):
        pull(ctx, reference, progress=progress)
    rogue.on(second, lambda r: r.reply(200, blob))
    pull(ctx, reference, progress=progress)
    assert (digest(image.layer_blobs()[0][1])[7:19], "exists") in states
    assert len(rogue.paths(first)) == 1


def test_tags_are_listed_over_pages(ctx: Context, rogue: Rogue) -> None:
    link = {"Link": '</v2/app/tags/list?last=b>; rel="next"'}
    rogue.on("/v2/app/tags/list", lambda r: r.reply(200, b'{"tags":["a","b"]}', link))
    rogue.on("/v2/app/tags/list?last=b", lambda r: r.reply(200, b'{"tags":["c"]}'))
    assert list_tags(ctx, f"{rogue.host}/app") == ["a", "b", "c"]


def test_full_disk_is_reported_and_leaves_nothing(
    tmp_path: Path, rogue: Rogue, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a user namespace with a tmpfs of 300 kB as the store."""
    reference = rogue.serve("app", image)
    script = (
        "import sys, os; sys.path[:0] = sys.argv[3:]\n"
        "from support.stores import make_context\n"
        "from rootless.errors import RlError\n"
        "from rootless.registry.pull import pull\n"
        "ctx = make_context(sys.argv[1])\n"
        "try:\n"
        "    pull(ctx, sys.argv[2])\n"
        "except RlError as e:\n"
        "    print(e.code, os.listdir(ctx.paths.tmp), os.listdir(ctx.paths.layers))\n"
    )
    root = str(Path(__file__).parents[2])
    command = 'mount -t tmpfs -o size=300k none "$0" && exec "$@"'
    argv = ["unshare", "--user", "--map-root-user", "--map-auto", "--mount", "sh", "-c", command]
    done = subprocess.run(
        [*argv, str(tmp_path), sys.executable, "-c", script, str(tmp_path), reference, root,
         f"{root}/tests"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "RL-STORE-FULL [] []\n", done.stdout + done.stderr


def test_interrupted_pull_ends_at_once_and_leaves_nothing(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    reference = rogue.serve("app", image)
    blob = image.layer_blobs()[0][1]
    reached, released = threading.Event(), threading.Event()

    def stuck(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(blob)))
        request.end_headers()
        request.wfile.write(blob[:100_000])
        request.wfile.flush()
        reached.set()
        released.wait(60)

    rogue.on(blob_path(image), stuck)
    root = str(Path(__file__).parents[2])
    code = (
        f"import sys; sys.path[:0] = [{root!r}, {root + '/tests'!r}]\n"
        "from support.stores import make_context\n"
        "from rootless.registry.pull import pull\n"
        f"pull(make_context({os.path.dirname(ctx.paths.store)!r}), {reference!r})\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) as child:
        assert reached.wait(20)
        time.sleep(0.2)
        started = time.monotonic()
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=30)
        released.set()
    assert errors.rstrip().endswith(b"KeyboardInterrupt")
    assert time.monotonic() - started < 10
    assert os.listdir(ctx.paths.tmp) == []
    assert os.listdir(ctx.paths.layers) == []


def test_removed_image_is_pulled_again_from_nothing(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    reference = rogue.serve("app", image)
    pull(ctx, reference)
    image_changes.remove(ctx, reference)
    assert os.listdir(ctx.paths.layers) == []
    assert os.listdir(ctx.paths.blobs) == []
    pull(ctx, reference)
    assert images.names(ctx.paths) == [reference]
