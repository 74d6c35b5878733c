"""pull, images, rmi, import and bootstrap, with a real registry."""

import gzip
import http.server
import json
import os
import threading
from collections.abc import Callable, Iterator

import pytest
from support.images import Image, busybox_tar, digest, tar
from support.program import Rl
from support.registry import Registry


@pytest.fixture
def tiny(registry: Registry) -> Callable[..., str]:
    """Pushes a busybox image with one file of its own; gives the reference."""

    def push(name: str, tag: str = "latest", text: str = "", **options: object) -> str:
        image = Image([busybox_tar(), tar({"note": text or name})], {"Cmd": ["cat", "/note"]})
        for key, value in options.items():
            setattr(image, key, value)
        return registry.push(name, image, tag)

    return push


@pytest.mark.parametrize(
    "options",
    [{}, {"docker": True}, {"compression": "zstd"}, {"compression": ""}],
    ids=["oci-gzip", "docker", "zstd", "plain"],
)
def test_pulled_image_runs(rl: Rl, tiny: Callable[..., str], options: dict[str, object]) -> None:
    name = f"forms/{'-'.join(str(x).lower() or 'no' for x in options.values()) or 'oci'}"
    reference = tiny(name, **options)
    rl.run("pull", reference)
    assert rl.out("run", "--rm", reference) == name
    rl.run("rmi", reference)


def test_bootstrapped_image_through_the_registry(rl: Rl, busybox_reference: str) -> None:
    rl.run("pull", busybox_reference)
    assert rl.out("run", "--rm", busybox_reference, "echo", "hi") == "hi"
    rl.run("rmi", busybox_reference)


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker"])
def test_index_gives_the_hosts_platform_or_the_asked_one(
    rl: Rl, registry: Registry, docker: bool
) -> None:
    images = [
        Image([busybox_tar(), tar({"arch": arch})], {}, arch, docker) for arch in ("amd64", "arm64")
    ]
    if os.uname().machine == "aarch64":
        images.reverse()
    reference = registry.push_index(f"test/index-{docker}".lower(), images, docker=docker)
    rl.run("pull", reference)
    assert rl.out("run", "--rm", reference, "cat", "/arch") == images[0].architecture
    rl.run("pull", "--platform", f"linux/{images[1].architecture}", reference)
    assert rl.inspect(reference)["Architecture"] == images[1].architecture
    rl.fails("pull", "--platform", "linux/s390x", reference, status=1)


def test_run_pulls_what_is_missing_and_pull_never_does_not(
    rl: Rl, tiny: Callable[..., str], no_leftovers: None
) -> None:
    reference = tiny("test/missing")
    rl.fails("run", "--rm", "--pull", "never", reference)
    assert rl.out("run", "--rm", reference) == "test/missing"
    rl.run("rmi", reference)


def test_pull_always_gets_the_new_image_of_a_tag(rl: Rl, tiny: Callable[..., str]) -> None:
    reference = tiny("test/moving", text="old")
    assert rl.out("run", "--rm", reference) == "old"
    tiny("test/moving", text="new")
    assert rl.out("run", "--rm", reference) == "old"
    assert rl.out("run", "--rm", "--pull", "always", "-q", reference) == "new"


def test_pull_by_digest(rl: Rl, registry: Registry) -> None:
    image = Image([busybox_tar(), tar({"note": "digest"})], {"Cmd": ["cat", "/note"]})
    registry.push("test/digest", image)
    reference = f"{registry.host}/test/digest@{digest(image.manifest())}"
    rl.run("pull", reference)
    assert rl.out("run", "--rm", reference) == "digest"


def test_pull_prints_docker_s_lines(rl: Rl, tiny: Callable[..., str]) -> None:
    reference = tiny("test/lines")
    out = rl.out("pull", reference)
    assert "Digest: sha256:" in out and f"Status: Downloaded newer image for {reference}" in out
    assert f"Status: Image is up to date for {reference}" in rl.out("pull", reference)
    assert rl.out("pull", "-q", reference) == reference


def test_images_columns_filters_and_formats(rl: Rl, tiny: Callable[..., str]) -> None:
    reference = tiny("test/listed", tag="v1")
    rl.run("pull", reference)
    repository = reference.rpartition(":")[0]
    head, *lines = rl.out("images").splitlines()
    assert head.split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert any(line.split()[:2] == [repository, "v1"] for line in lines)
    assert any(line.split()[:2] == ["busybox", "latest"] for line in lines)
    image_id = rl.out("images", "-q", "--no-trunc", reference)
    assert image_id.startswith("sha256:")
    assert rl.out("images", "--format", "{{.Repository}}:{{.Tag}}", repository) == reference
    assert "sha256:" in rl.out("images", "--digests", repository)
    assert rl.out("images", "-q", "--filter", f"reference={reference}") == image_id[7:19]
    # The test images are of 2024, and have no labels.
    old = rl.out("images", "--format", "{{.Repository}}", "-f", "until=24h", "-f", "label!=x")
    assert repository in old.split() and "busybox" not in old.split()
    rl.fails("images", "-f", "until=x", code="RL-USAGE")


def test_inspect_tells_what_docker_tells_of_an_image(rl: Rl, tiny: Callable[..., str]) -> None:
    reference = tiny("test/inspected", tag="v1")
    rl.run("pull", reference)
    found = rl.inspect(reference)
    assert found["RepoTags"] == [reference]
    assert found["Descriptor"]["digest"] == found["RepoDigests"][0].partition("@")[2]
    assert found["Descriptor"]["size"] > 100
    assert found["Created"] == "2024-01-02T03:04:05Z"
    before = found["Metadata"]["LastTagTime"]
    rl.run("tag", reference, "inspected:2")
    assert rl.inspect(reference)["Metadata"]["LastTagTime"] > before > "2026"
    place = f"{found['Os']}/{found['Architecture']}"
    assert rl.out("image", "inspect", "--platform", place, "-f", "{{.Os}}", reference) == "linux"
    refused = rl.run("image", "inspect", "--platform", "linux/s390x", reference, status=1)
    assert "RL-IMAGE-PLATFORM" in refused.stderr
    rl.run("rmi", reference, "inspected:2")


def test_rmi_removes_and_refuses(rl: Rl, tiny: Callable[..., str]) -> None:
    reference = tiny("test/removed")
    rl.run("pull", reference)
    container = rl.out("create", reference)
    rl.fails("rmi", reference, status=1)
    rl.run("rm", container)
    out = rl.out("rmi", reference)
    assert f"Untagged: {reference}" in out and "Deleted: sha256:" in out
    rl.fails("rmi", reference, status=1)


def test_rmi_keeps_layers_that_others_use(rl: Rl, tiny: Callable[..., str]) -> None:
    first, second = tiny("test/share-a"), tiny("test/share-b")
    rl.run("pull", first, second)
    rl.run("rmi", first)
    assert rl.out("run", "--rm", second) == "test/share-b"


@pytest.mark.parametrize("form", ["plain", "gz", "zst", "stdin"])
def test_import_a_root_file_system(rl: Rl, tmp_path: object, form: str) -> None:
    data, name = busybox_tar(), f"imported-{form}:1"
    path = f"{tmp_path}/rootfs.tar"
    if form == "gz":
        data = gzip.compress(data)
    if form == "zst":
        from backports import zstd

        data = zstd.compress(data)
    with open(path, "wb") as f:
        f.write(data)
    if form == "stdin":
        with open(path, "rb") as f:
            rl.run("import", "-c", 'CMD ["echo", "hi"]', "-", name, stdin=f)
    else:
        rl.run("import", "-c", 'CMD ["echo", "hi"]', "-c", "ENV A=1", path, name)
    assert rl.out("run", "--rm", name) == "hi"
    rl.run("rmi", name)


def test_import_of_rubbish_leaves_nothing(rl: Rl, tmp_path: object, no_leftovers: None) -> None:
    path = f"{tmp_path}/rubbish"
    with open(path, "wb") as f:
        f.write(b"this is no tar archive" * 100)
    rl.fails("import", path, "rubbish:1", status=1)
    assert rl.out("images", "-q", "rubbish") == ""


def test_whiteouts_hide_files_of_lower_layers(rl: Rl, registry: Registry) -> None:
    layers = [
        busybox_tar(),
        tar({"d": None, "d/a": "a", "d/b": "b", "gone": "x", "o": None, "o/old": "x"}),
        tar({"d/.wh.a": "", ".wh.gone": "", "o/.wh..wh..opq": "", "o/new": "y"}),
    ]
    reference = registry.push("test/whiteouts", Image(layers, {}))
    script = "ls /d; ls /o; test -e /gone || echo no"
    assert rl.out("run", "--rm", reference, "sh", "-c", script).split() == ["b", "new", "no"]


@pytest.mark.parametrize(
    "files",
    [
        {"../escaped": "x"},
        {"/abs/../../escaped": "x"},
        {"link": "-> /", "link/escaped": "x"},
        {"link": "-> ../../../../../../..", "link/tmp/escaped-by-rl-test": "x"},
    ],
)
def test_layer_cannot_write_outside(
    rl: Rl, registry: Registry, no_leftovers: None, files: dict[str, bytes | str | None]
) -> None:
    reference = registry.push("test/hostile", Image([tar(files)], {}), f"t{abs(hash(str(files)))}")
    rl.run("pull", reference, check=False)
    assert not os.path.exists("/tmp/escaped-by-rl-test")
    for directory, _, names in os.walk(rl.store):
        if "escaped" in names:
            assert "/layers/" in directory and "/diff" in directory, directory


def test_registry_away(rl: Rl, free_port: Callable[[], int], no_leftovers: None) -> None:
    rl.fails("pull", f"127.0.0.1:{free_port()}/x:1", status=1, code="RL-REGISTRY")


def test_no_such_image_in_the_registry(rl: Rl, registry: Registry, no_leftovers: None) -> None:
    rl.fails("pull", f"{registry.host}/none/such:1", status=1)
    rl.fails("run", "--rm", f"{registry.host}/none/such:1", "true", status=125)


def test_bad_reference(rl: Rl, no_leftovers: None) -> None:
    rl.fails("pull", "UPPER/Case", status=1)
    rl.fails("run", "--rm", "UPPER/Case", "true")


def test_damaged_layer_is_a_digest_mismatch(rl: Rl, registry: Registry, no_leftovers: None) -> None:
    image = Image([busybox_tar(), tar({"note": "damage me"})], {})
    reference = registry.push("test/damaged", image)
    path = registry.blob_file(digest(image.layer_blobs()[1][1]))
    size = os.path.getsize(path)
    with open(path, "wb") as f:
        f.write(gzip.compress(b"x" * 1000)[:size].ljust(size, b"\0"))
    rl.fails("pull", reference, status=1)
    assert rl.out("images", "-q", reference) == ""


class _Rubbish(http.server.BaseHTTPRequestHandler):
    """Answers every manifest request with `body`."""

    body = b""
    kind = "application/vnd.oci.image.manifest.v1+json"

    def do_GET(self) -> None:
        self.send_response(200)
        body = b"{}" if self.path == "/v2/" else self.body
        self.send_header("Content-Type", self.kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def rubbish() -> Iterator[Callable[..., str]]:
    """A registry that answers rubbish: gives its host for a body and a media type."""
    servers = []

    def serve(body: bytes, kind: str = _Rubbish.kind) -> str:
        handler = type("Handler", (_Rubbish,), {"body": body, "kind": kind})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"127.0.0.1:{server.server_address[1]}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", _Rubbish.kind),
        (b"<html>portal</html>", "text/html"),
        (b"[1, 2]", _Rubbish.kind),
        (b"{}", _Rubbish.kind),
        (b'{"schemaVersion": 1}', "application/vnd.docker.distribution.manifest.v1+prettyjws"),
        (json.dumps({"schemaVersion": 2, "layers": [{}], "config": 7}).encode(), _Rubbish.kind),
        (b'{"schemaVersion": 2, "manifests": []}', "application/vnd.oci.image.index.v1+json"),
        (b"x" * 5_000_000, _Rubbish.kind),
    ],
    ids=["empty", "html", "list", "object", "schema1", "wrong-types", "empty-index", "huge"],
)
def test_rubbish_from_a_registry_is_one_line(
    rl: Rl, no_leftovers: None, rubbish: Callable[..., str], body: bytes, kind: str
) -> None:
    rl.fails("pull", f"{rubbish(body, kind)}/x:1", status=1)
