"""`rl import`: the action, with a real store; its output is the image ID."""

import bz2
import gzip
import http.server
import io
import json
import lzma
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stores import leftovers, make_context

from rootless.cli.actions import import_image
from rootless.context import Context
from rootless.errors import BadDocument, BadReference, RlError, UsageError
from rootless.store import check, images, layers

try:
    from backports import zstd
except ImportError:
    from compression import zstd  # type: ignore[import-not-found,no-redef]

pytestmark = pytest.mark.needs("user", "userns", "subids")


@pytest.fixture
def ctx(test_dir: str, request: pytest.FixtureRequest) -> Context:
    directory = f"{test_dir}/import-{abs(hash(request.node.nodeid))}"
    os.makedirs(directory)
    return make_context(directory)


def archive() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("etc/hello")
        info.size, info.uid = 5000, 33
        tar.addfile(info, io.BytesIO(b"hello" * 1000))
    return out.getvalue()


TAR = archive()
PACK = {
    "tar": lambda data: data,
    "gz": lambda data: gzip.compress(data, mtime=0),
    "zst": zstd.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
}


def run(ctx: Context, capfd: pytest.CaptureFixture[str], source: str, **values: object) -> str:
    assert import_image.main(ctx, {"source": source, **values}) == 0
    return capfd.readouterr().out.strip()


@pytest.mark.parametrize("kind", PACK)
def test_archive_becomes_an_image(
    ctx: Context, capfd: pytest.CaptureFixture[str], tmp_path: Path, kind: str
) -> None:
    packed = PACK[kind](TAR)
    (tmp_path / "rootfs").write_bytes(packed)
    image_id = run(ctx, capfd, f"{tmp_path}/rootfs", reference="my/base:1")
    record = images.resolve(ctx.paths, "my/base:1")
    assert (record["id"], record["size"]) == (image_id, 5000)
    [diff_id] = record["layers"]  # type: ignore[misc]
    with open(f"{ctx.paths.layer_diff(diff_id)}/etc/hello") as file:
        assert file.read() == "hello" * 1000
    [blob] = record["layer_blobs"]  # type: ignore[misc]
    stored = Path(ctx.paths.blob(blob)).read_bytes()
    if kind in ("gz", "zst"):
        assert stored == packed
    else:
        assert gzip.decompress(stored) == TAR
    assert check.check(ctx, content=True) == []
    assert leftovers(ctx.paths) == []


@pytest.mark.needs("skopeo")
def test_skopeo_reads_the_store(
    ctx: Context, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "rootfs.tar").write_bytes(TAR)
    run(ctx, capfd, f"{tmp_path}/rootfs.tar", reference="base", change=["CMD sh"])
    done = subprocess.run(
        ["skopeo", "inspect", "--config", f"oci:{ctx.paths.store}:docker.io/library/base:latest"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["config"]["Cmd"] == ["/bin/sh", "-c", "sh"]


def test_standard_input_and_changes(
    ctx: Context, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "rootfs.tar").write_bytes(TAR)
    saved = os.dup(0)
    fd = os.open(tmp_path / "rootfs.tar", os.O_RDONLY)
    os.dup2(fd, 0)
    try:
        run(
            ctx, capfd, "-", reference="x", platform="linux/arm64", message="mine",
            change=[
                'CMD ["a", "b"]', "ENTRYPOINT /e", 'CMD ["c"]', 'ENV A=1 B="two words"',
                "ENV C three", "EXPOSE 80 53/udp", "LABEL k=v", "USER 1:2", "VOLUME /data /more",
                "WORKDIR /w",
                "workdir sub", "STOPSIGNAL SIGQUIT", "ONBUILD RUN make", "ONBUILD COPY . .",
            ],
        )  # fmt: skip
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(fd)
    record = images.resolve(ctx.paths, "x")
    assert record["platform"] == {"os": "linux", "architecture": "arm64", "variant": ""}
    assert record["config"] == {
        "Cmd": ["c"],
        "Entrypoint": ["/bin/sh", "-c", "/e"],
        "Env": ["A=1", "B=two words", "C=three"],
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Labels": {"k": "v"},
        "User": "1:2",
        "Volumes": {"/data": {}, "/more": {}},
        "WorkingDir": "/w/sub",
        "StopSignal": "SIGQUIT",
        "OnBuild": ["RUN make", "COPY . ."],
    }
    config = json.loads(Path(ctx.paths.blob(str(record["id"]))).read_bytes())
    assert config["history"][0]["comment"] == "mine"


def test_image_without_a_name(
    ctx: Context, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "rootfs.tar").write_bytes(TAR)
    image_id = run(ctx, capfd, f"{tmp_path}/rootfs.tar")
    assert images.resolve(ctx.paths, image_id)["names"] == []


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """An HTTP server on loopback; /short promises more than it gives."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/missing":
                self.send_error(404)
                return
            data = gzip.compress(TAR)
            self.send_response(200)
            self.send_header("Content-Length", str(len(data) + (self.path == "/short") * 100))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()
        thread.join()


def test_url(ctx: Context, capfd: pytest.CaptureFixture[str], server: str) -> None:
    run(ctx, capfd, f"{server}/rootfs.tar.gz", reference="x")
    assert images.resolve(ctx.paths, "x")["size"] == 5000


@pytest.mark.parametrize("path", ["short", "missing"])
def test_url_that_fails(
    ctx: Context, capfd: pytest.CaptureFixture[str], server: str, path: str
) -> None:
    with pytest.raises(RlError) as caught:
        run(ctx, capfd, f"{server}/{path}", reference="x")
    assert caught.value.code == "RL-IMPORT-SOURCE"
    assert_nothing_there(ctx)


def assert_nothing_there(ctx: Context) -> None:
    assert images.list_images(ctx.paths) == []
    assert layers.list_layers(ctx.paths) == []
    assert os.listdir(ctx.paths.blobs) == []
    assert leftovers(ctx.paths) == []


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"rubbish", "neither a tar"),
        (gzip.compress(TAR)[:-100], "cut off|damaged"),
        (TAR[:700], "cut off"),
        (gzip.compress(b"rubbish" * 500), "tar"),
    ],
)
def test_what_is_no_archive_is_refused_and_leaves_nothing(
    ctx: Context, capfd: pytest.CaptureFixture[str], tmp_path: Path, data: bytes, why: str
) -> None:
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(BadDocument, match=why):
        run(ctx, capfd, f"{tmp_path}/bad", reference="x")
    assert_nothing_there(ctx)


def test_archive_with_nothing_in_it_is_an_empty_image(
    ctx: Context, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # docker's way to make an image "scratch": tar -c -T /dev/null | docker import - scratch
    (tmp_path / "empty").write_bytes(bytes(10240))
    run(ctx, capfd, f"{tmp_path}/empty", reference="empty")
    assert images.resolve(ctx.paths, "empty")["size"] == 0


@pytest.mark.parametrize("source", ["/no/such/file", "/etc", "/etc/shadow"])
def test_source_that_cannot_be_read(
    ctx: Context, capfd: pytest.CaptureFixture[str], source: str
) -> None:
    with pytest.raises(RlError) as caught:
        run(ctx, capfd, source, reference="x")
    assert caught.value.code == "RL-IMPORT-SOURCE"


@pytest.mark.parametrize(
    "change",
    [
        "RUN ls",
        "CMD",
        "ENV",
        "ENV A",
        "EXPOSE http",
        "EXPOSE 70000",
        "LABEL =x",
        "ENV 'a",
        "",
        "ONBUILD FROM x",
        "ONBUILD onbuild RUN x",
    ],
)
def test_change_that_cannot_be_applied(
    ctx: Context, capfd: pytest.CaptureFixture[str], change: str
) -> None:
    with pytest.raises(UsageError):
        run(ctx, capfd, "/dev/null", change=[change])


@pytest.mark.parametrize("name", ["UPPER", "x@sha256:" + "0" * 64, "a:b:c"])
def test_name_that_an_image_cannot_have(
    ctx: Context, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    with pytest.raises(BadReference):
        run(ctx, capfd, "/dev/null", reference=name)


def test_same_name_again_moves_it(
    ctx: Context, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "rootfs.tar").write_bytes(TAR)
    first = run(ctx, capfd, f"{tmp_path}/rootfs.tar", reference="x", message="1")
    second = run(ctx, capfd, f"{tmp_path}/rootfs.tar", reference="x", message="2")
    assert first != second
    assert images.resolve(ctx.paths, "x")["id"] == second
    assert images.resolve(ctx.paths, first)["names"] == []
