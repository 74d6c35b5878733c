"""Hostile and damaged layers: nothing outside is touched, and nothing is left of them."""

import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.layers import Tar, assert_nothing_left, diff_id, inside, is_opaque, put

from rootless.context import Context
from rootless.errors import BadDocument, DigestMismatch, RlError
from rootless.layer import pack
from rootless.layer.unpack import unpack, unpack_layer
from rootless.store import layers

pytestmark = pytest.mark.needs("user", "userns", "subids")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def ctx(layer_ctx: Context) -> Context:
    return layer_ctx


# Hostile layers: nothing outside is touched, and nothing is left.


@pytest.mark.parametrize("name", ["../escape", "a/../../escape", "..", "./../escape"])
def test_name_that_leaves_the_root_is_refused(ctx: Context, name: str) -> None:
    with pytest.raises(BadDocument, match=r"root directory|leads out"):
        put(ctx, Tar().add("ok").add(name, b"1"))
    assert_nothing_left(ctx)


def test_absolute_names_are_below_the_root(ctx: Context) -> None:
    root = put(ctx, Tar().add("/etc/absolute", b"1").add("/../../up", b"2"))
    assert (root / "etc/absolute").exists()
    assert (root / "up").exists()
    assert not os.path.exists("/etc/absolute")


@pytest.mark.parametrize("how", ["absolute", "relative", "chain", "proc"])
def test_write_through_a_symlink_stays_inside(ctx: Context, tmp_path: Path, how: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    tar = Tar()
    if how == "absolute":
        tar.symlink("out", str(victim)).directory(str(victim)[1:])
    elif how == "relative":
        tar.symlink("out", "../" * 30 + str(victim)[1:]).directory(str(victim)[1:])
    elif how == "chain":
        tar.symlink("a", "/").symlink("out", "a" + str(victim)).directory(str(victim)[1:])
    else:
        tar.symlink("out", "/proc/self/cwd").directory("proc/self/cwd")
    root = put(ctx, tar.add("out/evil", b"1").add("out/.wh.hidden"))
    assert os.listdir(victim) == []
    inner = root / ("proc/self/cwd" if how == "proc" else str(victim)[1:])
    assert sorted(os.listdir(inner)) == ["evil", "hidden"]


@pytest.mark.parametrize("how", ["absolute", "relative", "chain"])
def test_symlink_to_a_directory_of_a_layer_below_is_followed(
    ctx: Context, tmp_path: Path, how: str
) -> None:
    tar = Tar().symlink("usr/lib64", str(tmp_path / "new") if how == "absolute" else "../opt/lib")
    if how == "chain":
        tar.symlink("opt/lib", "/srv/x")
    root = put(ctx, tar.add("usr/lib64/deep/file", b"1"))
    assert not (tmp_path / "new").exists()
    assert (root / "usr/lib64").is_symlink()
    place = {"absolute": str(tmp_path / "new")[1:], "relative": "opt/lib", "chain": "srv/x"}[how]
    assert (root / place / "deep/file").is_file()


def test_file_over_a_symlink_replaces_the_link(ctx: Context, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    root = put(ctx, Tar().symlink("out", str(victim)).add("out", b"evil", mode=0o777))
    assert victim.read_text() == "untouched"
    assert not (root / "out").is_symlink()


def test_directory_over_a_symlink_changes_nothing_behind_it(ctx: Context, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o700)
    put(ctx, Tar().symlink("out", str(victim)).directory("out", 0o777, mtime=1))
    assert victim.stat().st_mode & 0o777 == 0o700
    assert victim.stat().st_mtime != 1


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../../../../etc/passwd", "link/passwd", "d", ""]
)
def test_hard_link_out_of_the_root_is_refused(ctx: Context, target: str) -> None:
    tar = Tar().symlink("link", "/etc").directory("d")
    with pytest.raises(BadDocument):
        put(ctx, tar.hard_link("passwd", target))
    assert_nothing_left(ctx)


def test_hard_link_to_a_symlink_links_the_link(ctx: Context) -> None:
    root = put(ctx, Tar().symlink("link", "/etc/passwd").hard_link("hard", "link"))
    assert (root / "hard").readlink() == Path("/etc/passwd")


def test_file_where_a_directory_is_needed_is_refused(ctx: Context) -> None:
    with pytest.raises(BadDocument, match="Not a directory"):
        put(ctx, Tar().add("f").add("f/below"))
    assert_nothing_left(ctx)


def test_symlink_loop_is_refused(ctx: Context) -> None:
    with pytest.raises(BadDocument):
        put(ctx, Tar().symlink("a", "b").symlink("b", "a").add("a/f"))
    assert_nothing_left(ctx)


def test_path_as_deep_as_paths_can_be_is_made_archived_and_removed(ctx: Context) -> None:
    tar = Tar().add("d/" * 2040 + "f", uid=9).add("d/" * 2030 + "g/x")
    first = unpack(ctx, ctx.paths, io.BytesIO(tar.data()))
    _, size = pack.diff_id_of(ctx, ctx.paths.layer_diff(first.diff_id))
    assert size > 2040 * 512
    assert layers.remove(ctx, first.diff_id)
    unpack(ctx, ctx.paths, io.BytesIO(Tar().add("d/" * 2040 + "f").add("d").data()))
    with pytest.raises(BadDocument, match="too long"):
        put(ctx, Tar().add("d/" * 2100 + "f"))


def test_file_takes_the_place_of_a_directory_that_is_open(ctx: Context) -> None:
    tar = Tar().add("a/d/e/f").add("a/d/g").add("a/d", b"file").add("a/h").symlink("a/d", "x")
    root = put(ctx, tar.add("a/d/i").directory("a/h").add("a/h/j").hard_link("a/k", "a/h/j"))
    assert sorted(os.listdir(root / "a")) == ["d", "h", "k", "x"]
    assert (root / "a/x/i").is_file()
    assert is_opaque(root / "a/h")


def test_directory_that_comes_twice_has_what_came_last(ctx: Context) -> None:
    tar = Tar().directory("d", 0o700, uid=5, gid=6, mtime=1_100_000_000).add("d/f")
    root = put(ctx, tar.directory("d", 0o711, mtime=1_200_000_000))
    assert inside(ctx, "stat", "-c", "%a %u:%g %Y", f"{root}/d") == "711 0:0 1200000000"


def test_implied_directory_in_the_place_of_a_whiteout_hides_what_is_below(ctx: Context) -> None:
    root = put(ctx, Tar().add(".wh.d").add("d/e/f"))
    assert is_opaque(root / "d")
    assert (root / "d/e/f").is_file()


def test_name_that_is_too_long_is_refused(ctx: Context) -> None:
    with pytest.raises(BadDocument, match="too long"):
        put(ctx, Tar().add("x" * 256))
    assert_nothing_left(ctx)


# Damage.


def test_wrong_diff_id_is_a_mismatch(ctx: Context) -> None:
    data = Tar().add("f", b"1" * 5000).data()
    wrong = diff_id(b"other")
    with pytest.raises(DigestMismatch) as caught:
        unpack_layer(ctx, ctx.paths, io.BytesIO(data), "", wrong)
    assert (caught.value.expected, caught.value.actual) == (wrong, diff_id(data))
    assert_nothing_left(ctx)


def test_digest_counts_what_follows_the_end(ctx: Context) -> None:
    data = Tar().add("f").data() + b"behind" * 1000
    assert unpack(ctx, ctx.paths, io.BytesIO(data)).diff_id == diff_id(data)


@pytest.mark.parametrize("left", [1, 100, 5000, 90_000])
def test_layer_that_is_cut_off_is_refused(ctx: Context, left: int) -> None:
    data = gzip.compress(Tar().add("f", os.urandom(100_000)).add("g").data())
    with pytest.raises(BadDocument, match=r"cut off|damaged|neither"):
        unpack(ctx, ctx.paths, io.BytesIO(data[:left]))
    assert_nothing_left(ctx)


@pytest.mark.parametrize("data", [b"", b"rubbish" * 1000, gzip.compress(b"rubbish" * 1000)])
def test_what_is_no_layer_is_refused(ctx: Context, data: bytes) -> None:
    with pytest.raises(BadDocument):
        unpack(ctx, ctx.paths, io.BytesIO(data))
    assert_nothing_left(ctx)


def test_source_that_fails_leaves_nothing(ctx: Context) -> None:
    class Source:
        def __init__(self) -> None:
            self.data = io.BytesIO(gzip.compress(Tar().add("f", os.urandom(500_000)).data()))

        def read(self, size: int, /) -> bytes:
            if self.data.tell() > 200_000:
                raise RlError("the download broke off")
            return self.data.read(size)

    with pytest.raises(RlError, match="broke off"):
        unpack(ctx, ctx.paths, Source())
    assert_nothing_left(ctx)


def test_full_disk_is_one_clear_error(test_dir: str) -> None:
    # A store on a small tmpfs of its own, in namespaces of its own.
    script = f"""
import io, os, sys, tarfile
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}, *{sys.path!r}]
from support.stores import leftovers, make_context
from rootless.errors import StoreError
from rootless.layer.unpack import unpack
from rootless.store import check
ctx = make_context("/mnt/full")
out = io.BytesIO()
with tarfile.open(fileobj=out, mode="w") as tar:
    info = tarfile.TarInfo("big"); info.size = 9 << 20
    tar.addfile(info, io.BytesIO(bytes(9 << 20)))
try:
    unpack(ctx, ctx.paths, io.BytesIO(out.getvalue()))
except StoreError as e:
    print(e.code, leftovers(ctx.paths), check.check(ctx))
"""
    done = subprocess.run(
        ["unshare", "--user", "--map-auto", "--map-root-user", "--mount", "sh", "-c",
         'mount -t tmpfs -o size=4m t /mnt && mkdir /mnt/full && exec "$@"', "sh",
         sys.executable, "-c", script],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "RL-STORE-FULL [] []\n", done.stderr
