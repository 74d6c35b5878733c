"""How registries are spoken to: credentials, redirects, proxies, certificates, pauses."""

import base64
import json
import os
import shutil
import time
from email.utils import formatdate
from pathlib import Path

import pytest
from support import certificates
from support.images import OCI_MANIFEST, Image, tar
from support.pulling import blob_path, failure
from support.rogue import Request, Rogue
from support.stores import make_context

from rootless.context import Context
from rootless.errors import RegistryError, RlError
from rootless.registry import transport
from rootless.registry.config import Endpoint
from rootless.registry.pull import pull


def test_certificate_that_cannot_be_verified_is_a_tls_error(ctx: Context, rogue: Rogue) -> None:
    # A name that is no loopback for rl but is one for the resolver would need /etc/hosts: the
    # endpoint is told to be secure instead.
    endpoint = Endpoint(rogue.host, rogue.host, insecure=False)
    carrier = transport.Transport(ctx, endpoint)
    with pytest.raises(RegistryError, match="does not speak TLS") as caught:
        carrier.request("GET", f"{carrier.base()}/v2/", {})
    assert caught.value.code == "RL-REGISTRY-TLS"
    assert "--tls-verify=false" in str(caught.value.remedy)


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


def test_certificates(tmp_path: Path, rogue: Rogue, image: Image) -> None:
    """Refused when unknown, taken from certs.d, not asked for when insecure."""
    certificate, key = certificates.make(str(tmp_path))
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


def test_a_client_certificate_of_certs_d_is_shown_to_the_registry(
    tmp_path: Path, rogue: Rogue, image: Image
) -> None:
    certificate, key = certificates.make(str(tmp_path))
    rogue.use_tls(certificate, key, clients=certificate)
    ctx = make_context(str(tmp_path))
    reference = rogue.serve("app", image)
    with pytest.raises(RegistryError):
        pull(ctx, reference)
    directory = Path(ctx.home, ".config", "containers", "certs.d", rogue.host)
    directory.mkdir(parents=True)
    for source, name in ((certificate, "ca.crt"), (certificate, "me.cert"), (key, "me.key")):
        shutil.copy(source, directory / name)
    assert pull(ctx, reference)["id"] == image.id


def test_a_content_encoding_is_the_layers_own(ctx: Context, rogue: Rogue, image: Image) -> None:
    """Object stores call a .tar.gz so; a blob is what its digest says, as it is sent."""
    reference = rogue.serve("app", image)
    blob = image.layer_blobs()[0][1]
    rogue.on(blob_path(image), lambda r: r.reply(200, blob, {"Content-Encoding": "gzip"}))
    assert pull(ctx, reference)["id"] == image.id


def test_connections_are_used_again(ctx: Context, rogue: Rogue) -> None:
    image = Image([tar({f"file{n}": os.urandom(1000)}) for n in range(9)])
    pull(ctx, rogue.serve("app", image))
    assert len(rogue.seen) >= 12
    assert rogue.connections <= 5  # one that wanted TLS, one for each layer at once, one more


@pytest.mark.parametrize(
    ("challenge", "code"),
    [
        ("Bearer", "RL-REGISTRY-RUBBISH"),
        ('Bearer service="x"', "RL-REGISTRY-RUBBISH"),
        ('Bearer realm=""', "RL-REGISTRY-RUBBISH"),
        ('Bearer realm="ftp://h/token"', "RL-REGISTRY-RUBBISH"),
        ('Bearer realm="http://"', "RL-REGISTRY-RUBBISH"),
        ('Bearer realm="http://[::1/"', "RL-REGISTRY-REFUSED"),
        ('Bearer realm="http://127.0.0.1:1/token"', "RL-REGISTRY-UNREACHABLE"),
        ("Negotiate", "RL-REGISTRY-UNAUTHORIZED"),
        ('Basic realm="x"', "RL-REGISTRY-UNAUTHORIZED"),
        ("", "RL-REGISTRY-UNAUTHORIZED"),
    ],
)
def test_a_challenge_that_leads_nowhere_is_told(
    ctx: Context, rogue: Rogue, challenge: str, code: str
) -> None:
    rogue.on("/v2/app/man", lambda r: r.reply(401, b"", {"WWW-Authenticate": challenge}))
    failure(ctx, f"{rogue.host}/app", code)


@pytest.mark.parametrize("realm", ["/token", "token", "//{host}/token", "http://{host}/token?a=b"])
def test_a_token_service_may_be_named_relative_to_the_registry(
    ctx: Context, rogue: Rogue, image: Image, realm: str
) -> None:
    reference = rogue.serve("app", image)
    realm = realm.format(host=rogue.host)
    require(rogue, "Bearer T", f'Bearer realm="{realm}"')
    for path in ("/token", "/v2/token"):
        rogue.on(path, lambda r: r.reply(200, b'{"token":"T"}'))
    pull(ctx, reference)


def test_several_challenges_in_headers_of_their_own(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    """Bearer goes before Basic, wherever it stands."""
    reference = rogue.serve("app", image)
    served = list(rogue.answers)

    def guard(request: Request) -> None:
        if request.headers.get("Authorization") == "Bearer T":
            next(answer for prefix, answer in served if request.path.startswith(prefix))(request)
            return
        request.send_response(401)
        for one in ('Basic realm="a, b"', f"Bearer realm=http://{rogue.host}/token"):
            request.send_header("WWW-Authenticate", one)
        request.send_header("Content-Length", "0")
        request.end_headers()

    rogue.on("/v2/app/", guard)
    rogue.on("/token", lambda r: r.reply(200, b'{"access_token":"T","expires_in":"soon"}'))
    pull(ctx, reference)
    assert len(rogue.paths("/token")) == 1


def test_redirect_to_another_port_does_not_carry_credentials(
    ctx: Context, rogue: Rogue, image: Image
) -> None:
    """Also not when it leads back again."""
    elsewhere = Rogue()
    try:
        reference = rogue.serve("app", image)
        path = blob_path(image)
        away = f"http://{elsewhere.host}/away"
        rogue.on(path, lambda r: r.reply(302, b"", {"Location": away}))
        require(rogue, login(ctx, rogue.host), 'Basic realm="x"')
        back = f"http://{rogue.host}/back"
        elsewhere.on("/away", lambda r: r.reply(307, b"", {"Location": back}))
        rogue.on("/back", lambda r: r.reply(200, image.layer_blobs()[0][1]))
        pull(ctx, reference)
        assert "Authorization" not in elsewhere.seen[0][1]
        back_again = [head for path, head in rogue.seen if path == "/back"]
        assert back_again
        assert not any("Authorization" in head for head in back_again)
    finally:
        elsewhere.close()


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


@pytest.mark.parametrize("status", [302, 307])
def test_a_refresh_token_goes_to_no_other_host(
    ctx: Context, rogue: Rogue, image: Image, status: int
) -> None:
    elsewhere = Rogue()
    try:
        reference = rogue.serve("app", image)
        os.makedirs(f"{ctx.home}/.docker")
        document = {"auths": {rogue.host: {"identitytoken": "refresh"}}}
        Path(f"{ctx.home}/.docker/config.json").write_text(json.dumps(document))
        require(rogue, "Bearer T", f'Bearer realm="http://{rogue.host}/token"')
        away = {"Location": f"http://{elsewhere.host}/token"}
        rogue.on("/token", lambda r: r.reply(status, b"", away))
        error = failure(ctx, reference, "RL-REGISTRY-REFUSED")
        assert "sends credentials on" in error.what
        assert elsewhere.seen == []
        here = {"Location": f"http://{rogue.host}/t2"}
        rogue.on("/token", lambda r: r.reply(status, b"", here))
        rogue.on("/t2", lambda r: r.reply(200, b'{"token":"T"}'))
        pull(ctx, reference)
    finally:
        elsewhere.close()
