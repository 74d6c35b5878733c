"""Every header of a registry's answers, and the lists in them, spoilt: what was asked for, or one
error of one line, and a store as it was.  The documents: test_spoilt_images.py."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support import signing
from support.images import OCI_MANIFEST, Image, digest
from support.mutants import mutants
from support.rogue import Request, Rogue

from rootless.context import Context
from rootless.errors import RlError
from rootless.oci import reference
from rootless.oci.descriptor import Descriptor
from rootless.registry import search, signatures, transport, upload
from rootless.registry.client import Client
from rootless.registry.pull import list_tags, pull

IMAGE = Image([], {"Cmd": ["sh"]})
VALUES = (
    "", "x", "-1", "0", "1", "9" * 20, "9" * 5000, "1.5", "\x1b[31m", "\xe9", "\u0663", ",", ";",
    "=", '"', "a" * 9000, "/" * 5000, "//[", "http://[::1", "http://h:99999999", "http://h:x/",
    "ftp://h/x", "https://", "http://\x1b/", "bytes 0-0/1", "bytes=", "0-" + "9" * 5000, "chunked",
    "gzip", '<http://[>; rel="next"', '<>; rel="next"', '<//[::1>; rel="next"',
    'Bearer realm="//["', 'Bearer realm="http://h:x"', 'Bearer realm="\x1b"', "Bearer realm=",
    "Basic", "sha256:" + "0" * 64, "sha256:" + "9" * 5000, "text/html",
    "application/json; charset=\x1b",
)  # fmt: skip


def latin(text: str) -> str:
    """As a header can be sent."""
    return text.encode().decode("latin-1")


def told(action: Callable[[], object]) -> bool:
    """Whether it worked; else its error is a line that can be shown."""
    try:
        action()
    except RlError as e:
        line = e.one_line()
        assert line.isprintable(), line
        assert len(line) < 1500, line
        return False
    return True


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong once stays wrong: no pauses before it is asked again."""
    monkeypatch.setattr(transport, "PAUSE_S", 0.0)
    monkeypatch.setattr(transport, "RETRY_AFTER_MAX_S", -1.0)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Content-Type", 200),
        ("Docker-Content-Digest", 200),
        ("Content-Encoding", 200),
        ("Transfer-Encoding", 200),
        ("Content-Length", 200),
        ("Content-Range", 200),
        ("Location", 307),
        ("WWW-Authenticate", 401),
        ("Retry-After", 429),
        ("Link", 200),
    ],
)
def test_a_spoilt_header_of_an_answer(ctx: Context, rogue: Rogue, header: str, status: int) -> None:
    config, manifest, value = IMAGE.config_blob(), IMAGE.manifest(), ""

    def odd(body: bytes) -> Callable[[Request], None]:
        def answer(request: Request) -> None:
            request.close_connection = True  # its length may be a lie
            request.reply(status, body, {"Content-Type": OCI_MANIFEST, header: latin(value)})

        return answer

    rogue.on("/v2/app/manifests/", odd(manifest))
    rogue.on("/v2/app/blobs/", odd(config))
    rogue.on("/v2/app/tags/list", odd(b'{"tags":["a"]}'))
    blob = Descriptor("", digest(config), len(config))
    with Client(ctx, reference.parse(f"{rogue.host}/app")) as client:
        for value in VALUES:  # noqa: B007 - the answers have it
            told(lambda: client.manifest("latest"))
            told(lambda: client.small_blob(blob, "config"))
            told(client.tags)
    value = "9" * 5000
    told(lambda: pull(ctx, f"{rogue.host}/app"))
    assert os.listdir(ctx.paths.tmp) == []


@pytest.mark.parametrize("header", ["Location", "Range", "OCI-Chunk-Min-Length", "Content-Length"])
def test_a_spoilt_header_of_an_upload(
    ctx: Context, rogue: Rogue, header: str, tmp_path: Path
) -> None:
    data = b"x" * (upload.AT_ONCE + 1)
    path = f"{tmp_path}/blob"
    with open(path, "wb") as file:
        file.write(data)
    blob = Descriptor("", digest(data), len(data))
    named = reference.parse(f"{rogue.host}/app")
    good = {"Location": "/v2/app/blobs/uploads/1", "Range": "0-0"}
    value = ""

    def answer(request: Request) -> None:
        request.close_connection = True
        if request.command == "HEAD":
            request.reply(404)
            return
        request.reply(202, b"", good | {header: latin(value)})

    rogue.on("/v2/app/", answer)
    with Client(ctx, named, push=True) as client:
        for value in VALUES:  # noqa: B007 - the answers have it
            assert not told(lambda: upload.upload(client, blob, path, "blob", lambda _: None))
            told(lambda: upload.mount(client, blob.digest, ["other"]))


def test_spoilt_lists_of_a_registry(ctx: Context, rogue: Rogue) -> None:
    """Tags, the catalogue, what a search has found."""
    rogue.on("/v2/", lambda r: r.reply(200, b"{}"))
    body = b""
    for path in ("/v2/app/tags/list", "/v2/_catalog", "/v1/search"):
        rogue.on(path, lambda r: r.reply(200, body))
    listed = {"tags": ["a", "b"], "repositories": ["a", "b"], "errors": [{"message": "x"}]}
    found = {"name": "a", "description": "b", "star_count": 1, "is_official": True}
    bodies = [data for _, data in mutants(json.dumps({**listed, "results": [found]}).encode())]
    more = [
        b"",
        b"x",
        b"{",
        b"[" * 100_000,
        b'{"tags":' * 50_000,
        b"9" * 5000,
        b"\xff",
        b'{"results":[{"name":"a","star_count":1e999}]}',
    ]
    with Client(ctx, reference.parse(f"{rogue.host}/app")) as client:
        for body in [*bodies, *more]:  # noqa: B007 - the answers have it
            told(client.tags)
            told(lambda: search._by_search(client, rogue.host, "a", 5))
            told(lambda: search._by_catalogue(client, rogue.host, "a", 5))


def test_a_list_of_tags_without_an_end_ends(ctx: Context, rogue: Rogue) -> None:
    pages = iter(range(10**9))

    def page(request: Request) -> None:
        link = {"Link": f'</v2/app/tags/list?n={next(pages)}>; rel="next"'}
        request.reply(200, b'{"tags":[]}', link)

    rogue.on("/v2/app/tags/list", page)
    assert not told(lambda: list_tags(ctx, f"{rogue.host}/app"))


def test_spoilt_signatures(ctx: Context, rogue: Rogue) -> None:
    """The manifest that they are attached by, and what was signed."""
    wanted = digest(IMAGE.manifest())
    payload = signing.statement(f"{rogue.host}/app", wanted)
    layer = {
        "mediaType": signing.PAYLOAD,
        "digest": digest(payload),
        "size": len(payload),
        "annotations": {signing.ANNOTATION: "YQ=="},
    }
    attached = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [layer]}
    rogue.on("/v2/app/blobs/", lambda r: r.reply(200, payload))
    body = b""
    rogue.on("/v2/app/manifests/", lambda r: r.reply(200, body))
    with Client(ctx, reference.parse(f"{rogue.host}/app")) as client:
        for _, body in mutants(json.dumps(attached).encode()):  # noqa: B007 - the answer has it
            told(lambda: list(signatures._fetch(client, [wanted])))
    for _, data in mutants(payload):
        assert all(isinstance(one, str) for one in signatures._statement(data))
