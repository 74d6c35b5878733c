"""Token authentication with a real registry, and a token service that signs what it grants."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.images import Image, digest, tar
from support.ports import is_free
from support.registry import Registry
from support.stores import make_context
from support.tokens import REFRESH, TokenService

from rootless.context import Context
from rootless.errors import RegistryError
from rootless.layer.export import Packing
from rootless.oci import reference
from rootless.registry import auth, login, upload
from rootless.registry.client import Client
from rootless.registry.credentials import Credentials
from rootless.registry.pull import pull
from rootless.registry.push import push_image
from rootless.store import image_changes

pytestmark = pytest.mark.needs("subids", "docker-registry")
IMAGE = Image([tar({"one": "1"}), tar({"two": "2"})], {"Cmd": ["true"]})


@pytest.fixture(scope="module")
def tokens(test_dir: str) -> Iterator[TokenService]:
    service = TokenService(f"{test_dir}/tokens")
    yield service
    service.close()


@pytest.fixture(scope="module")
def guarded(test_dir: str, tokens: TokenService, _ports: Iterator[int]) -> Iterator[Registry]:
    """A registry that wants tokens, with an image in ann/app, ann/base and public/app."""
    port = next(port for port in _ports if is_free(port))
    scopes = [f"repository:{name}:pull,push" for name in ("ann/app", "ann/base", "public/app")]
    header = {"Authorization": f"Bearer {tokens.sign('root', scopes)}"}
    running = Registry(f"{test_dir}/guarded", port, auth=tokens.setting(), headers=header)
    for name in ("ann/app", "public/app"):
        running.push(name, IMAGE)
    running.push("ann/base", Image(IMAGE.layers[:1]))
    yield running
    running.stop()


@pytest.fixture
def ctx(tmp_path: Path, tokens: TokenService) -> Context:
    tokens.asked.clear()
    return make_context(str(tmp_path))


def keep(ctx: Context, host: str, user: str, password: str = "") -> None:
    pair = base64.b64encode(f"{user}:{password or f'{user}-secret'}".encode()).decode()
    path = Path(ctx.home, ".docker", "config.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"auths": {host: {"auth": pair}}}))


def push(ctx: Context, name: str) -> list[str]:
    """Push; the phases of the layers."""
    phases: list[str] = []
    push_image(ctx, name, how=Packing(), progress=lambda _, phase, *__: phases.append(phase))
    return phases


def tagged(ctx: Context, guarded: Registry, source: str, name: str) -> str:
    """An image pulled as ann, under another name on the same registry."""
    record = pull(ctx, f"{guarded.host}/{source}")
    other = f"{guarded.host}/{name}:latest"
    image_changes.tag(ctx.paths, str(record["id"]), other)
    return other


def test_anonymous_users_get_what_is_public(
    ctx: Context, guarded: Registry, tokens: TokenService
) -> None:
    assert pull(ctx, f"{guarded.host}/public/app")["id"] == IMAGE.id
    assert tokens.asked == [("", ["repository:public/app:pull"])]
    with pytest.raises(RegistryError) as caught:
        pull(ctx, f"{guarded.host}/ann/app")
    assert caught.value.code == "RL-REGISTRY-UNAUTHORIZED"
    assert "rl login" in str(caught.value.remedy)


def test_push_needs_one_token_for_pull_and_push(
    ctx: Context, guarded: Registry, tokens: TokenService
) -> None:
    keep(ctx, guarded.host, "ann")
    other = tagged(ctx, guarded, "public/app", "ann/pushed")
    tokens.asked.clear()
    push(ctx, other)
    assert tokens.asked[0] == ("ann", ["repository:ann/pushed:pull,push"])
    # The other one is for the mount of what public/app has.
    assert [scopes for _, scopes in tokens.asked[1:]] == [
        ["repository:ann/pushed:pull,push", "repository:public/app:pull"]
    ]
    fresh = make_context(f"{ctx.home}/fresh")
    keep(fresh, guarded.host, "bob")
    record = pull(fresh, other)
    assert record["digest"] == digest(IMAGE.manifest())


def test_layers_are_mounted_from_another_repository(ctx: Context, guarded: Registry) -> None:
    keep(ctx, guarded.host, "ann")
    phases = push(ctx, tagged(ctx, guarded, "ann/app", "ann/mounted"))
    assert [phase for phase in phases if phase.startswith("mounted")] == ["mounted ann/app"] * 2


def test_who_may_only_pull_is_refused_and_not_asked_again_and_again(
    ctx: Context, guarded: Registry, tokens: TokenService
) -> None:
    keep(ctx, guarded.host, "bob")
    other = tagged(ctx, guarded, "ann/app", "ann/not-bobs")
    tokens.asked.clear()
    with pytest.raises(RegistryError) as caught:
        push(ctx, other)
    assert caught.value.code == "RL-REGISTRY-UNAUTHORIZED"
    assert len(tokens.asked) < 10


def test_a_wrong_password_is_told_in_the_service_s_words(ctx: Context, guarded: Registry) -> None:
    keep(ctx, guarded.host, "ann", "wrong")
    with pytest.raises(RegistryError, match="401 to your credentials: incorrect username"):
        pull(ctx, f"{guarded.host}/ann/app")


def test_an_expired_token_is_replaced(
    ctx: Context, guarded: Registry, tokens: TokenService
) -> None:
    tokens.expired = 1
    assert pull(ctx, f"{guarded.host}/public/app")["id"] == IMAGE.id
    assert len(tokens.asked) == 2


def test_a_token_whose_time_is_over_is_renewed_before_it_is_sent(
    ctx: Context, guarded: Registry, tokens: TokenService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "LIFETIME_S", 0)  # the service does not tell how long they last
    with Client(ctx, reference.parse(f"{guarded.host}/public/app:latest")) as client:
        found = client.manifest("latest")
        assert len(tokens.asked) == 2  # asked for by the 401, and renewed at once
        client.manifest(found.digest)
        assert len(tokens.asked) == 3


def test_login_keeps_an_identity_token_and_pull_uses_it(
    ctx: Context, guarded: Registry, tokens: TokenService
) -> None:
    target = login.server(guarded.host)
    kept = login.check(ctx, target, Credentials("ann", "ann-secret"))
    assert kept == Credentials("ann", identity_token=REFRESH)
    login.save(ctx, target, kept)
    entry = json.loads(Path(ctx.home, ".docker", "config.json").read_text())["auths"][guarded.host]
    assert entry == {"auth": base64.b64encode(b"ann:").decode(), "identitytoken": REFRESH}
    assert pull(ctx, f"{guarded.host}/ann/app")["id"] == IMAGE.id
    assert tokens.asked[-1] == ("ann", ["repository:ann/app:pull"])
    with pytest.raises(RegistryError, match="incorrect username or password"):
        login.check(ctx, target, Credentials("ann", "wrong"))


@pytest.mark.parametrize("credentials", ["registrytoken", "identitytoken"])
def test_tokens_of_dockers_file_are_sent_as_they_are_meant(
    ctx: Context, guarded: Registry, tokens: TokenService, credentials: str
) -> None:
    bearer = tokens.sign("ann", ["repository:ann/app:pull"])
    entry = {credentials: bearer if credentials == "registrytoken" else REFRESH}
    path = Path(ctx.home, ".docker", "config.json")
    path.parent.mkdir()
    path.write_text(json.dumps({"auths": {guarded.host: entry}}))
    assert pull(ctx, f"{guarded.host}/ann/app")["id"] == IMAGE.id
    assert bool(tokens.asked) == (credentials == "identitytoken")


def test_a_repository_that_is_not_ours_is_not_mounted_but_sent(
    ctx: Context, guarded: Registry
) -> None:
    keep(ctx, guarded.host, "ann")
    other = f"{guarded.host}/ann/copied:latest"
    with Client(ctx, reference.parse(other), push=True) as client:
        layer = digest(IMAGE.layer_blobs()[0][1])
        assert upload.mount(client, layer, ["closed/app"]) == ""
        assert upload.mount(client, layer, ["closed/app", "ann/app"]) == "ann/app"
