"""Fixtures of the integration tests; a module may have a `ctx` of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.images import Image, tar
from support.pulling import RANDOM
from support.rogue import Request, Rogue
from support.stores import make_context

from rootless.context import Context
from rootless.registry import transport


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
def layer_ctx(test_dir: str, request: pytest.FixtureRequest) -> Context:
    """A context on the file system of the tests' stores, which has what layers need."""
    directory = f"{test_dir}/layers-{abs(hash(request.node.nodeid))}"
    os.makedirs(directory)
    return make_context(directory)


@pytest.fixture
def image() -> Image:
    return Image([tar({"file": RANDOM})], {"Cmd": ["sh"]})
