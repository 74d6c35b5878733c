"""Files that are old or new, never half; directories that a killed command leaves."""

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.stores import make_context

from rootless.errors import StoreError
from rootless.store import atomic, layout
from rootless.store.removal import remove_tree

ROOT = str(Path(__file__).parents[2])


def test_json_comes_back_as_it_went_in(tmp_path: Path) -> None:
    value = {"name": "ä", "broken": "\udc80", "list": [1, None, {}]}
    atomic.write_json(f"{tmp_path}/x", value)
    assert atomic.read_json(f"{tmp_path}/x") == value
    assert os.listdir(tmp_path) == ["x"]
    assert os.stat(f"{tmp_path}/x").st_mode & 0o777 == 0o600


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_damaged_json_says_which_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"x\.json") as caught:
        atomic.read_json(str(path))
    assert caught.value.code == "RL-STORE-CORRUPT"


def test_full_disk_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x"
    atomic.write_bytes(str(path), b"old")
    # The kernel's own limit on a file's size stands for the full disk: EFBIG, and no signal.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(StoreError):
            atomic.write_bytes(str(path), b"x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "RL-STORE-FULL"),
        (errno.EDQUOT, "RL-STORE-FULL"),
        (errno.EROFS, "RL-STORE-UNWRITABLE"),
    ],
)
def test_errno_of_a_failed_write_has_its_code(number: int, code: str) -> None:
    error = atomic.store_error(OSError(number, os.strerror(number)), "write x")
    assert error.code == code
    assert error.remedy


def test_symlink_is_replaced_at_once(tmp_path: Path) -> None:
    atomic.replace_symlink("one", f"{tmp_path}/link")
    atomic.replace_symlink("two", f"{tmp_path}/link")
    assert os.readlink(f"{tmp_path}/link") == "two"
    assert os.listdir(tmp_path) == ["link"]


def test_temporary_directory_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    ctx = make_context(str(tmp_path))
    with atomic.TemporaryDirectory(ctx.paths) as path:
        os.makedirs(f"{path}/a/b", 0o700)
        os.chmod(f"{path}/a/b", 0)
        os.symlink("/", f"{path}/a/root")
    assert os.listdir(ctx.paths.tmp) == []


def test_sweep_spares_the_living_and_removes_what_a_kill_left(tmp_path: Path) -> None:
    ctx = make_context(str(tmp_path))
    code = (
        f"import sys, time; sys.path.insert(0, {ROOT!r})\n"
        "from rootless.paths import Paths\n"
        "from rootless.store.atomic import TemporaryDirectory\n"
        f"with TemporaryDirectory(Paths({ctx.paths.store!r}, '')) as path:\n"
        "    open(path + '/file', 'w').close()\n"
        "    print(path, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        path = child.stdout.readline().strip()
        assert atomic.sweep(ctx) == 0
        assert os.path.exists(f"{path}/file")
        child.kill()
        child.wait()
        assert atomic.sweep(ctx) == 1
    assert os.listdir(ctx.paths.tmp) == []


def test_removal_does_not_follow_symlinks(tmp_path: Path) -> None:
    keep = tmp_path / "keep"
    keep.mkdir()
    (keep / "file").touch()
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(keep)
    assert remove_tree(str(tree))
    assert (keep / "file").exists()
    (tmp_path / "link").symlink_to(keep)
    assert remove_tree(f"{tmp_path}/link")
    assert (keep / "file").exists()


def test_removal_goes_deeper_than_python_recurses_and_paths_may_be(tmp_path: Path) -> None:
    top = tmp_path / "deep"
    top.mkdir()
    fd = os.open(top, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("directory", dir_fd=fd)
        below = os.open("directory", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    assert remove_tree(str(top))
    assert not top.exists()


def test_store_is_made_once_private_and_with_an_oci_layout(tmp_path: Path) -> None:
    ctx = make_context(str(tmp_path))
    layout.prepare(ctx.paths)
    assert os.stat(ctx.paths.store).st_mode & 0o777 == 0o700
    assert atomic.read_json(ctx.paths.oci_layout) == {"imageLayoutVersion": "1.0.0"}
    assert atomic.read_json(ctx.paths.oci_index)["manifests"] == []


@pytest.mark.parametrize(
    ("text", "code"),
    [("2", "RL-STORE-NEWER"), ("two", "RL-STORE-CORRUPT"), ("", "RL-STORE-CORRUPT")],
)
def test_store_of_another_version_is_refused(tmp_path: Path, text: str, code: str) -> None:
    ctx = make_context(str(tmp_path))
    Path(ctx.paths.version).write_text(text)
    with pytest.raises(StoreError) as caught:
        layout.prepare(ctx.paths)
    assert caught.value.code == code
    assert caught.value.remedy


def test_store_where_a_file_is_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("x")
    with pytest.raises(StoreError, match="in its way") as caught:
        make_context(str(tmp_path))
    assert caught.value.code == "RL-STORE-UNWRITABLE"


def test_store_in_a_directory_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.joinpath("home").mkdir()
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreError) as caught:
            make_context(str(tmp_path))
    finally:
        tmp_path.chmod(0o700)
    assert caught.value.code == "RL-STORE-UNWRITABLE"


def test_two_commands_make_the_store_at_once(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {ROOT!r})\n"
        "from rootless.paths import Paths\n"
        "from rootless.store.layout import prepare\n"
        f"prepare(Paths({str(tmp_path)!r} + '/store', ''))\n"
    )
    started = time.monotonic()
    children = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    assert time.monotonic() - started < 30
    assert (tmp_path / "store" / "version").read_text() == "1\n"
