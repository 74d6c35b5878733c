"""search: the catalogue of a real registry, and a server that answers as Docker Hub does."""

import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from support.images import Image, tar
from support.program import Rl
from support.registry import Registry


class _Hub(BaseHTTPRequestHandler):
    """The v1 search; /v2/ says that it is a registry, and its catalogue is for nobody."""

    answers: ClassVar[dict[str, Any]] = {}

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        status, body = 404, b"{}"
        if parts.path == "/v2/":
            status = 200
        elif parts.path == "/v2/_catalog":
            status = 405
        elif parts.path == "/v1/search" and query["q"] != ["none"]:
            results = [
                {"name": "alpine", "description": "A minimal\n image " + "x" * 60,
                 "star_count": 100, "is_official": True},
                {"name": "ann/alpine", "description": None, "star_count": 3, "is_automated": True},
            ]  # fmt: skip
            status = 200
            body = json.dumps({"results": results[: int(query["n"][0])]}).encode()
        elif parts.path == "/v1/search":
            body = b"<html>"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_search_is_shown_as_docker_does(rl: Rl, hub: str) -> None:
    lines = rl.out("search", f"{hub}/alp").splitlines()
    assert lines[0].split() == ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]
    assert lines[1].split()[0] == f"{hub}/alpine" and lines[1].endswith("[OK]")
    assert "…" in lines[1] and "…" not in rl.out("search", "--no-trunc", f"{hub}/alp")
    names = ("search", "--format", "{{.Name}} {{.StarCount}}")
    assert rl.out(*names, "--filter", "is-official=true", f"{hub}/alp") == f"{hub}/alpine 100"
    assert rl.out(*names, "-f", "stars=101", f"{hub}/alp") == ""
    assert rl.out(*names, "-f", "is-official=false", f"{hub}/alp") == f"{hub}/ann/alpine 3"
    assert len(rl.out(*names, "--limit", "1", f"{hub}/alp").splitlines()) == 1
    assert json.loads(rl.out("search", "--format", "json", "--limit", "1", f"{hub}/a"))


def test_a_registry_without_search_has_its_catalogue_looked_through(
    rl: Rl, registry: Registry
) -> None:
    for name in ("find/one", "find/two", "else/where"):
        registry.push(name, Image([tar({"a": name})]), "v1")
    found = rl.out("search", "--format", "{{.Name}}", f"{registry.host}/FIND/")
    assert found.splitlines() == [f"{registry.host}/find/one", f"{registry.host}/find/two"]
    assert len(rl.out("search", "--format", "{{.Name}}", f"{registry.host}/").splitlines()) >= 3
    registry.push("find/one", Image([tar({"a": "2"})]), "v2")
    tags = rl.out("search", "--list-tags", f"{registry.host}/find/one").splitlines()
    assert tags[0].split() == ["NAME", "TAG"]
    # In the registry's order, which is not always the alphabet's.
    assert sorted(line.split()[1] for line in tags[1:]) == ["v1", "v2"]
    assert tags[1].split()[0] == f"{registry.host}/find/one"


def test_what_cannot_be_searched_is_told(rl: Rl, hub: str) -> None:
    rl.fails("search", f"{hub}/none", status=1, code="RL-REGISTRY-NO-SEARCH")
    assert "ann/alpine" in rl.out("search", f"{hub}/" + os.fsdecode(b"not-utf-8-\xff"))
    rl.fails("search", "--list-tags", f"{hub}/none", status=1, code="RL-REGISTRY-NOT-FOUND")
    for words in (("--limit", "101", "x"), ("--limit", "0", "x"), ("--limit", "x", "x"),
                  ("--list-tags", "a:b"), ("docker.io/",), ()):  # fmt: skip
        rl.fails("search", *words, code="RL-USAGE")
    for words in (("-f", "stars=x", "x"), ("-f", "is-official=x", "x"), ("-f", "x=1", "x")):
        rl.fails("search", *words, code="RL-FILTER")
