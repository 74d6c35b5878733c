"""Layers that registries are not to distribute: fetched from where their manifest says."""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.images import Image, tar
from support.pulling import failure
from support.registry import Registry
from support.rogue import Request, Rogue

from rootless.context import Context
from rootless.errors import RegistryError
from rootless.layer.export import Packing
from rootless.oci import reference
from rootless.registry.client import Client
from rootless.registry.config import Endpoint, Source
from rootless.registry.pull import pull_image
from rootless.registry.push import push_image
from rootless.store import image_changes, images

pytestmark = pytest.mark.needs("subids")


@pytest.fixture
def elsewhere() -> Iterator[Rogue]:
    server = Rogue()
    yield server
    server.close()


def foreign(elsewhere: Rogue, *before: str) -> tuple[Image, bytes]:
    """An image whose one layer is elsewhere, and the layer's blob."""
    urls = [*before, f"http://{elsewhere.host}/layer"]
    image = Image([tar({"file": os.urandom(4000)})], {"Cmd": ["x"]}, foreign=True, urls=urls)
    return image, image.layer_blobs()[0][1]


def test_it_is_fetched_from_elsewhere_and_pushed_without_it(
    ctx: Context, registry: Registry, elsewhere: Rogue
) -> None:
    image, blob = foreign(elsewhere, "http://127.0.0.1:1/layer")
    elsewhere.on("/layer", lambda r: r.reply(200, blob))
    registry.put_blob("foreign/one", image.config_blob())
    registry.put_manifest("foreign/one", "1", image.media_type, image.manifest())
    pulled = pull_image(ctx, f"{registry.host}/foreign/one:1")
    target = f"{registry.host}/foreign/two:1"
    image_changes.tag(ctx.paths, str(pulled.record["id"]), target)
    said = []
    pushed = push_image(
        ctx, target, how=Packing(), progress=lambda _, phase, *__: said.append(phase)
    )
    assert pushed.digest == pulled.digest
    assert said == ["preparing", "foreign"]


def test_the_registry_is_asked_first(ctx: Context, rogue: Rogue, elsewhere: Rogue) -> None:
    image, _ = foreign(elsewhere)
    pull_image(ctx, rogue.serve("app", image))
    assert elsewhere.seen == []


def test_a_transfer_that_breaks_goes_on(ctx: Context, rogue: Rogue, elsewhere: Rogue) -> None:
    image, blob = foreign(elsewhere)
    reference = rogue.serve("app", image)
    rogue.answers = [one for one in rogue.answers if "blobs" not in one[0]]
    rogue.on("/v2/app/blobs/", lambda r: r.reply(404))
    config = image.config_blob()
    rogue.on(f"/v2/app/blobs/{image.id}", lambda r: r.reply(200, config))
    starts = []

    def part(request: Request) -> None:
        start = int(request.headers.get("Range", "bytes=0-")[6:-1])
        starts.append(start)
        where = {"Content-Range": f"bytes {start}-{len(blob) - 1}/{len(blob)}"} if start else {}
        request.reply(206 if start else 200, blob[start:], where, cut=0 if start else 1000)

    elsewhere.on("/layer", part)
    pull_image(ctx, reference)
    assert starts == [0, 1000]


def test_nobody_elsewhere_gets_credentials(ctx: Context, rogue: Rogue, elsewhere: Rogue) -> None:
    """CVE-2020-15157: whoever made the image would get them."""
    image, _ = foreign(elsewhere)
    rogue.serve("app", image)
    rogue.on("/v2/app/blobs/" + "sha256:", lambda r: r.reply(404))
    config = image.config_blob()
    rogue.on(f"/v2/app/blobs/{image.id}", lambda r: r.reply(200, config))
    auth = base64.b64encode(b"ann:secret").decode()
    os.makedirs(f"{ctx.home}/.docker")
    document = {"auths": {host: {"auth": auth} for host in (rogue.host, elsewhere.host)}}
    Path(f"{ctx.home}/.docker/config.json").write_text(json.dumps(document))
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{elsewhere.host}/token"'}
    elsewhere.on("/layer", lambda r: r.reply(401, b"", challenge))
    error = failure(ctx, f"{rogue.host}/app", "RL-REGISTRY-NOT-FOUND")
    assert "answers 401" in error.what
    assert [path for path, _ in elsewhere.seen] == ["/layer"]
    assert not any("Authorization" in head for _, head in elsewhere.seen)


def test_what_is_there_is_verified(ctx: Context, rogue: Rogue, elsewhere: Rogue) -> None:
    image, blob = foreign(elsewhere)
    rogue.serve("app", image)
    rogue.on("/v2/app/blobs/sha256:", lambda r: r.reply(404))
    config = image.config_blob()
    rogue.on(f"/v2/app/blobs/{image.id}", lambda r: r.reply(200, config))
    elsewhere.on("/layer", lambda r: r.reply(200, blob[:-1] + b"x"))
    failure(ctx, f"{rogue.host}/app", "RL-DIGEST-MISMATCH")
    assert images.list_images(ctx.paths) == []


def test_without_tls_only_where_the_registry_may_do_without(
    ctx: Context, rogue: Rogue, elsewhere: Rogue
) -> None:
    image, _ = foreign(elsewhere, "ftp://127.0.0.1/layer")
    named = reference.parse(f"{rogue.host}/app")
    secure = Source(named, Endpoint(rogue.host, rogue.host, insecure=False))
    client = Client(ctx, named, source=secure)
    missing = RegistryError("not found", code="RL-REGISTRY-NOT-FOUND")
    with pytest.raises(RegistryError, match="is not https"):
        client._elsewhere(image.urls, {}, missing)
    assert elsewhere.seen == []
