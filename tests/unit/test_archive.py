"""A directory to a tar archive, as far as one user's files go (mapped IDs: test_unpack.py)."""

import io
import os
import tarfile
from pathlib import Path

from rootless.layer.archive import write_tree


def archive(directory: Path) -> bytes:
    out = io.BytesIO()
    fd = os.open(directory, os.O_RDONLY)
    try:
        write_tree(fd, out.write)
    finally:
        os.close(fd)
    return out.getvalue()


def test_tree_is_the_same_for_tarfile(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "file").write_bytes(b"x" * 1000)
    (tmp_path / "b" / "file").chmod(0o4711)
    os.link(tmp_path / "b" / "file", tmp_path / "c")
    (tmp_path / "a").symlink_to("y" * 150)
    os.mkfifo(tmp_path / "fifo")
    os.utime(tmp_path / "b" / "file", ns=(1, 1_700_000_000_999_999_999))
    with tarfile.open(fileobj=io.BytesIO(archive(tmp_path))) as tar:
        members = {m.name: m for m in tar.getmembers()}
        assert list(members) == [".", "a", "b", "b/file", "c", "fifo"]
        assert members["a"].linkname == "y" * 150
        assert (members["b/file"].mode, members["b/file"].mtime) == (0o4711, 1_700_000_000)
        assert (members["c"].type, members["c"].linkname) == (tarfile.LNKTYPE, "b/file")
        assert members["fifo"].isfifo()
        content = tar.extractfile("b/file")
        assert content is not None
        assert content.read() == b"x" * 1000


def test_same_tree_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        root = tmp_path / name
        root.mkdir()
        for entry in ("z", "a", "m") if name == "one" else ("m", "z", "a"):
            (root / entry).write_bytes(entry.encode())
            os.utime(root / entry, (0, 0))
        os.utime(root, (0, 0))
    assert archive(tmp_path / "one") == archive(tmp_path / "two")


def test_opaque_directory_says_so_first(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "!first").write_bytes(b"")
    os.setxattr(tmp_path / "d", "user.overlay.opaque", b"y")
    with tarfile.open(fileobj=io.BytesIO(archive(tmp_path))) as tar:
        assert tar.getnames() == [".", "d", "d/.wh..wh..opq", "d/!first"]
        assert not any("overlay" in key for m in tar.getmembers() for key in m.pax_headers)


def test_very_deep_tree_is_no_problem(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(600):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    with tarfile.open(fileobj=io.BytesIO(archive(tmp_path))) as tar:
        assert len(tar.getmembers()) == 601
