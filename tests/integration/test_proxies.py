"""Registries through an HTTP proxy: requests that it passes on, and tunnels for TLS."""

import base64
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import certificates
from support.images import Image
from support.rogue import Request, Rogue
from support.stores import make_context
from support.tunnels import Tunnels

from rootless.context import Context
from rootless.errors import RegistryError
from rootless.registry import transport
from rootless.registry.pull import pull

HOST = "registry.invalid"  # RFC 6761: nobody can resolve it, so that no request goes there itself


def test_proxy_of_the_environment_is_used(tmp_path: Path, rogue: Rogue, image: Image) -> None:
    proxy = Rogue()
    try:
        environ = {"http_proxy": f"http://ann:a%40b@{proxy.host}", "HTTPS_PROXY": proxy.host}
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
        secret = base64.b64encode(b"ann:a@b").decode()
        wanted = [head for path, head in proxy.seen if path.startswith("http://registry.invalid/")]
        assert {head["Proxy-Authorization"] for head in wanted} == {f"Basic {secret}"}
    finally:
        proxy.close()


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "http://", "http://h:port", "ftp://h"])
def test_a_proxy_that_cannot_be_used_is_told(tmp_path: Path, proxy: str) -> None:
    ctx = make_context(str(tmp_path), {"HTTPS_PROXY": proxy})
    with pytest.raises(RegistryError, match="proxy") as caught:
        pull(ctx, "registry.invalid/app")
    assert "NO_PROXY" in str(caught.value.remedy)


@pytest.fixture
def tls(rogue: Rogue, tmp_path: Path) -> str:
    """The registry speaks TLS, and is called HOST; its certificate's file."""
    certificate, key = certificates.make(str(tmp_path), f"DNS:{HOST}")
    rogue.use_tls(certificate, key)
    return certificate


@pytest.fixture
def tunnels(rogue: Rogue) -> Iterator[Tunnels]:
    proxy = Tunnels(rogue.host)
    yield proxy
    proxy.close()


def context(tmp_path: Path, proxy: str, certificate: str) -> Context:
    ctx = make_context(str(tmp_path), {"https_proxy": proxy, "HTTP_PROXY": "http://127.0.0.1:1"})
    directory = f"{ctx.home}/.config/containers/certs.d/{HOST}"
    os.makedirs(directory)
    shutil.copy(certificate, f"{directory}/ca.crt")
    return ctx


def test_tls_goes_through_a_tunnel(
    tmp_path: Path, rogue: Rogue, image: Image, tls: str, tunnels: Tunnels
) -> None:
    """The proxy gets its own credentials, and not those for the registry."""
    ctx = context(tmp_path, f"http://ann:a%40b@{tunnels.host}", tls)
    auth = base64.b64encode(b"bob:secret").decode()
    os.makedirs(f"{ctx.home}/.docker")
    Path(f"{ctx.home}/.docker/config.json").write_text(
        json.dumps({"auths": {HOST: {"auth": auth}}})
    )
    rogue.serve("app", image)
    served = list(rogue.answers)

    def guard(request: Request) -> None:
        if request.headers.get("Authorization") != f"Basic {auth}":
            request.reply(401, b"{}", {"WWW-Authenticate": 'Basic realm="x"'})
            return
        next(answer for prefix, answer in served if request.path.startswith(prefix))(request)

    rogue.on("/v2/app/", guard)
    assert pull(ctx, f"{HOST}/app")["id"] == image.id
    for authority, headers in tunnels.asked:
        assert authority == f"{HOST}:443"
        assert headers["Proxy-Authorization"] == f"Basic {base64.b64encode(b'ann:a@b').decode()}"
        assert "Authorization" not in headers
    assert not any("Proxy-Authorization" in head for _, head in rogue.seen)


def test_a_certificate_is_verified_through_a_tunnel_too(
    tmp_path: Path, rogue: Rogue, image: Image, tls: str, tunnels: Tunnels
) -> None:
    ctx = context(tmp_path, f"http://{tunnels.host}", tls)
    os.unlink(f"{ctx.home}/.config/containers/certs.d/{HOST}/ca.crt")
    rogue.serve("app", image)
    with pytest.raises(RegistryError, match="cannot be verified") as caught:
        pull(ctx, f"{HOST}/app")
    assert caught.value.code == "RL-REGISTRY-TLS"
    assert rogue.seen == []


@pytest.mark.parametrize("status", [407, 403, 502])
def test_a_proxy_that_refuses_is_told(
    tmp_path: Path, rogue: Rogue, tls: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "PAUSE_S", 0.01)
    proxy = Tunnels(rogue.host, status)
    try:
        ctx = context(tmp_path, f"http://ann:hunter2@{proxy.host}", tls)
        with pytest.raises(RegistryError, match=str(status)) as caught:
            pull(ctx, f"{HOST}/app")
        assert caught.value.code == "RL-REGISTRY-UNREACHABLE"
        assert "proxy" in caught.value.one_line()
        assert "hunter2" not in caught.value.one_line()
    finally:
        proxy.close()
