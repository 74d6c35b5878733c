"""ADD of archives into layers, in a real user namespace: what BuildKit unpacks, and how."""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.copybench import Bench, bench_fixture

from rootless.build.copying import Layers
from rootless.errors import BuildError
from rootless.layer.view import View

__all__ = ["bench_fixture"]
pytestmark = pytest.mark.needs("user", "userns", "subids")


def archive(*members: tuple[str, Any]) -> bytes:
    """A tar of (name, content or keyword arguments of TarInfo)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, what in members:
            info = tarfile.TarInfo(name)
            info.mtime = 1_000_000_000
            data = b""
            if isinstance(what, dict):
                for key, value in what.items():
                    setattr(info, key, value)
            else:
                data = what
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


PACK: dict[str, Callable[[bytes], bytes]] = {
    "tar": lambda data: data,
    "gz": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
}


@pytest.mark.parametrize("kind", PACK)
def test_add_unpacks_archives_by_their_content(bench: Bench, kind: str) -> None:
    directory = {"type": tarfile.DIRTYPE, "mode": 0o775, "uid": 7, "gid": 8}
    data = archive(("d/", directory), ("d/f", b"x"))
    (bench.src / "innocent.txt").write_bytes(PACK[kind](data))
    layer = bench.run("ADD innocent.txt /x")
    assert layer.files() == ["x/d/f"]
    assert layer.mode("x/d") == "775" and layer.is_owned_by("x/d", 7, 8)
    assert layer.status("x/d/f").st_mtime == 1_000_000_000
    assert bench.run("ADD --chown=app innocent.txt /x").is_owned_by("x/d", 1000, 1001)
    assert bench.run("ADD --unpack=false innocent.txt /x").files() == ["x"]
    assert bench.run("COPY innocent.txt /x").files() == ["x"]


@pytest.mark.parametrize("data", [b"", b"text", gzip.compress(b"text"), bytes(10240)])
def test_add_copies_what_is_no_archive(bench: Bench, data: bytes) -> None:
    (bench.src / "a.tar.gz").write_bytes(data)
    layer = bench.run("ADD a.tar.gz /x")
    assert Path(layer.upper, "x").read_bytes() == data


def test_archives_merge_with_the_image(bench: Bench) -> None:
    bench.write("usr/lib/old", "etc/conf/a", "gone/x", below=bench.base)
    (bench.base / "lib").symlink_to("usr/lib")
    (bench.src / "a.tar").write_bytes(
        archive(
            ("lib/new", b"n"),
            ("etc/conf", b"now a file"),
            ("gone", b"file"),
            ("gone", {"type": tarfile.DIRTYPE, "mode": 0o755}),
            ("hard", {"type": tarfile.LNKTYPE, "linkname": "usr/lib/old"}),
        )
    )
    layer = bench.run("ADD a.tar /")
    assert layer.read("/usr/lib/new") == "n"
    assert layer.read("/etc/conf") == "now a file"
    assert layer.read("/hard") == "usr/lib/old"
    assert layer.status("hard").st_ino == layer.status("usr/lib/old").st_ino
    view = View(layer.directories)
    gone = view.resolve("gone")[0]
    assert gone is not None and gone.is_directory and view.children(gone) == []


@pytest.mark.parametrize(
    "members",
    [
        [("../evil", b"x")],
        [("a/../../evil", b"x")],
        [("hard", {"type": tarfile.LNKTYPE, "linkname": "../../src/secret"})],
        [("hard", {"type": tarfile.LNKTYPE, "linkname": "/etc/hostname"})],
    ],
)
def test_archives_that_lead_out_are_refused(bench: Bench, members: list[Any]) -> None:
    bench.write("secret")
    (bench.src / "a.tar").write_bytes(archive(*members))
    with pytest.raises(BuildError) as caught:
        bench.run("ADD a.tar /x/y/")
    assert caught.value.code == "RL-BUILD-ARCHIVE"
    assert "a.tar" in caught.value.what


def test_links_in_archives_lead_nowhere_else(bench: Bench) -> None:
    outside = Path(bench.directory, "outside")
    outside.mkdir()
    (bench.src / "a.tar").write_bytes(
        archive(
            ("l", {"type": tarfile.SYMTYPE, "linkname": str(outside)}),
            ("l/evil", b"x"),
            ("up", {"type": tarfile.SYMTYPE, "linkname": "../../../.."}),
            ("up/evil", b"x"),
        )
    )
    layer = bench.run("ADD a.tar /x/")
    assert os.listdir(outside) == []
    assert layer.files() == sorted(["x/evil", "x/l", f"x{outside}/evil", "x/up"])


def test_damaged_archives_are_an_error(bench: Bench) -> None:
    data = archive(("f", os.urandom(100_000)))
    (bench.src / "a.tar").write_bytes(data[:50_000])
    with pytest.raises(BuildError, match="cut off") as caught:
        bench.run("ADD a.tar /")
    assert caught.value.code == "RL-BUILD-ARCHIVE"


def test_deep_archives_and_trees(bench: Bench) -> None:
    deep = "/".join(["a"] * 1500)
    (bench.src / "a.tar").write_bytes(archive((f"{deep}/f", b"deep")))
    layer = bench.run("ADD a.tar /")
    with open(f"{layer.upper}/{deep}/f", "rb") as file:
        assert file.read() == b"deep"
    copied = bench.run("COPY --from=x /a /b", source=Layers((layer.upper,)))
    assert os.path.exists(f"{copied.upper}/b/{deep[2:]}/f")
    subprocess.run(["rm", "-rf", layer.upper, copied.upper], check=True)
