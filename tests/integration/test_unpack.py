"""Layers into a store, by the real worker in a real user namespace."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from support.layers import Tar, assert_nothing_left, diff_id, inside, is_opaque, is_whiteout, put
from support.stores import make_context

from rootless.context import Context
from rootless.errors import BadDocument, ImageError, RlError, StoreError
from rootless.layer import pack, userns
from rootless.layer.unpack import unpack, unpack_layer
from rootless.store import layers

pytestmark = pytest.mark.needs("user", "userns", "subids")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def ctx(layer_ctx: Context) -> Context:
    return layer_ctx


# What a layer has is there afterwards.


def test_files_keep_what_they_have(ctx: Context) -> None:
    tar = Tar().directory("./").directory("d", 0o2770, uid=5, gid=7, mtime=1_500_000_000)
    tar.add("d/suid", b"x" * 10, mode=0o4755, uid=33, gid=34, mtime=1_400_000_000)
    tar.add("empty", mode=0o600).symlink("link", "/d/suid").hard_link("hard", "d/suid")
    tar.add("fifo", kind=tarfile.FIFOTYPE, mode=0o640)
    root = put(ctx, tar)
    assert inside(ctx, "stat", "-c", "%n %a %u:%g %Y %F", *_in(root, "d", "d/suid", "empty")) == (
        f"{root}/d 2770 5:7 1500000000 directory\n"
        f"{root}/d/suid 4755 33:34 1400000000 regular file\n"
        f"{root}/empty 600 0:0 1600000000 regular empty file"
    )
    assert (root / "link").readlink() == Path("/d/suid")
    assert (root / "link").lstat().st_mtime == 1_600_000_000
    assert inside(ctx, "stat", "-c", "%h", f"{root}/hard") == "2"
    assert (root / "fifo").is_fifo()


def _in(root: Path, *names: str) -> list[str]:
    return [f"{root}/{name}" for name in names]


def test_size_and_meta_are_recorded(ctx: Context) -> None:
    data = Tar().add("a", b"x" * 1000).add("b", b"y" * 234).data()
    assert unpack_layer(ctx, ctx.paths, io.BytesIO(data), "", diff_id(data)) == 1234
    assert layers.size(ctx.paths, diff_id(data)) == 1234
    # The second time nothing is read.
    assert unpack_layer(ctx, ctx.paths, io.BytesIO(b""), "", diff_id(data)) == 1234


def test_names_of_any_bytes(ctx: Context) -> None:
    names = [
        "new\nline",
        "bad\udcff\udcfe",
        "\x1b[31m",
        "-rf",
        "x" * 255,
        "a" * 90 + "/" + "b" * 200,
    ]
    tar = Tar()
    for name in names:
        tar.add(name, b"1")
    root = put(ctx, tar)
    for name in names:
        assert os.path.isfile(os.path.join(os.fsencode(root), os.fsencode(name)))


def test_extended_attributes_but_not_those_of_overlayfs(ctx: Context) -> None:
    pax = {
        "SCHILY.xattr.user.mine": "1",
        "SCHILY.xattr.user.overlay.redirect": "/etc",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.security.selinux": "label",
    }
    tar = Tar().add("f", pax=pax).add("d", kind=tarfile.DIRTYPE, mode=0o755, pax=pax)
    done = unpack(ctx, ctx.paths, io.BytesIO(tar.data()))
    root = ctx.paths.layer_diff(done.diff_id)
    for name in ("f", "d"):
        assert [x for x in os.listxattr(f"{root}/{name}") if x.startswith("user.")] == ["user.mine"]
    assert done.skipped_xattrs == 6


def test_file_capabilities_survive(ctx: Context) -> None:
    capability = b"\x01\x00\x00\x02\x00\x20\x00\x00" + bytes(12)  # cap_net_raw+ep
    pax = {"SCHILY.xattr.security.capability": capability.decode("latin-1")}
    root = put(ctx, Tar().add("ping", b"x", uid=3, mode=0o755, pax=pax))
    names = inside(ctx, sys.executable, "-c", f"import os; print(os.listxattr('{root}/ping'))")
    assert "security.capability" in names


def test_devices_are_skipped_and_counted(ctx: Context) -> None:
    tar = Tar().add("null", kind=tarfile.CHRTYPE).add("sda", kind=tarfile.BLKTYPE).add("f")
    done = unpack(ctx, ctx.paths, io.BytesIO(tar.data()))
    assert done.skipped_devices == 2
    assert os.listdir(ctx.paths.layer_diff(done.diff_id)) == ["f"]


def test_owner_that_is_not_mapped_is_an_error_that_names_file_and_id(ctx: Context) -> None:
    for tar in (
        Tar().add("d/\x1b[31m", uid=4_000_000),
        Tar().directory("d", gid=4_000_000),
        Tar().symlink("l", "x").add("f", kind=tarfile.FIFOTYPE, uid=1, gid=4_000_000),
    ):
        with pytest.raises(ImageError, match=r"(user|group) 4000000, .* are 0 to \d+$") as caught:
            put(ctx, tar)
        assert caught.value.code == "RL-IMAGE-IDS"
        assert "\x1b" not in str(caught.value)
        assert_nothing_left(ctx)


def test_owner_that_is_not_mapped_becomes_root_where_that_is_wanted(ctx: Context) -> None:
    ctx.config = {"squash-ids": True}
    tar = Tar().add("f", uid=4_000_000, gid=4_000_000).symlink("l", "x").add("g", uid=4_000_000)
    done = unpack(ctx, ctx.paths, io.BytesIO(tar.data()))
    assert done.lost_owners == 2
    assert os.stat(f"{ctx.paths.layer_diff(done.diff_id)}/f").st_uid == os.getuid()


def test_without_subordinate_ids_all_files_are_the_callers(
    test_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = make_context(f"{test_dir}/single")
    monkeypatch.setattr("rootless.linux.idmap.subordinate_ranges", lambda *_: ([], []))
    tar = Tar().add("f", b"x", uid=33, gid=33).add(".wh.w").directory("d", 0o500, uid=5)
    tar.add("d/in", b"y", uid=5)
    done = unpack(ctx, ctx.paths, io.BytesIO(tar.data()))
    root = Path(ctx.paths.layer_diff(done.diff_id))
    assert (root / "f").stat().st_uid == os.getuid()
    assert done.lost_owners == 3
    assert is_whiteout(root / "w")


def test_directory_times_survive_what_is_put_into_them(ctx: Context) -> None:
    tar = Tar().directory("a", mtime=1000).directory("a/b", 0o555, mtime=2000)
    tar.add("a/b/c", b"x").add("a/d", b"x")
    root = put(ctx, tar)
    assert (root / "a").stat().st_mtime == 1000
    assert (root / "a/b").stat().st_mtime == 2000
    assert (root / "a/b").stat().st_mode & 0o777 == 0o555


def test_missing_parents_are_made(ctx: Context) -> None:
    root = put(ctx, Tar().add("a/b/c/file", b"x"))
    assert (root / "a/b/c/file").read_bytes() == b"x"
    assert (root / "a/b").stat().st_mode & 0o777 == 0o755


def test_sparse_file(ctx: Context, tmp_path: Path) -> None:
    with open(tmp_path / "holes", "wb") as file:
        file.seek(50_000_000)
        file.write(b"end")
    out = subprocess.run(
        ["tar", "-C", str(tmp_path), "--sparse", "-cf-", "holes"], capture_output=True, check=True
    )
    done = unpack(ctx, ctx.paths, io.BytesIO(out.stdout))
    path = Path(ctx.paths.layer_diff(done.diff_id)) / "holes"
    assert (path.stat().st_size, done.size) == (50_000_003, 50_000_003)
    assert path.stat().st_blocks < 1000
    assert path.read_bytes()[-3:] == b"end"


# Later members replace earlier ones.


@pytest.mark.parametrize(
    ("tar", "expected"),
    [
        (Tar().add("x", b"1").add("x", b"22"), "regular file 2"),
        (Tar().add("x", b"1").directory("x").add("x/f"), "directory"),
        (Tar().directory("x").add("x/f").add("x", b"22"), "regular file 2"),
        (Tar().symlink("x", "/etc").directory("x").add("x/f"), "directory"),
        (Tar().directory("x").add("x/f", b"1").symlink("x", "y"), "symbolic link"),
        (Tar().add("x", b"1").hard_link("y", "x").add("x", b"22"), "regular file 2"),
        (Tar().add("x", b"22").hard_link("x", "./x"), "regular file 2"),
        (Tar().add("x", b"22").hard_link("y", "x").hard_link("y", "x"), "regular file 2"),
    ],
)
def test_later_member_replaces_earlier_one(ctx: Context, tar: Tar, expected: str) -> None:
    root = put(ctx, tar)
    found = inside(ctx, "stat", "-c", "%F %s", f"{root}/x")
    assert found.startswith(expected)


def test_second_directory_entry_merges(ctx: Context) -> None:
    root = put(ctx, Tar().directory("d", 0o700).add("d/f", b"1").directory("d", 0o711))
    assert (root / "d/f").exists()
    assert (root / "d").stat().st_mode & 0o777 == 0o711


# Whiteouts.


def test_whiteout_becomes_a_device(ctx: Context) -> None:
    root = put(ctx, Tar().add(".wh.top").directory("d").add("d/.wh.gone"))
    assert is_whiteout(root / "top")
    assert is_whiteout(root / "d/gone")


def test_opaque_directory_gets_its_attribute_and_no_whiteouts(ctx: Context) -> None:
    tar = Tar().directory("d").add("d/.wh.before").add("d/.wh..wh..opq").add("d/own", b"1")
    tar.add("d/.wh.after").directory("d/deeper").add("d/deeper/.wh.x")
    root = put(ctx, tar)
    assert is_opaque(root / "d")
    assert sorted(os.listdir(root / "d")) == ["deeper", "own"]
    assert os.listdir(root / "d/deeper") == []


def test_opaque_root(ctx: Context) -> None:
    root = put(ctx, Tar().add(".wh..wh..opq").add("own"))
    assert is_opaque(root)
    assert os.listdir(root) == ["own"]


def test_directory_that_replaces_a_removed_one_is_opaque(ctx: Context) -> None:
    root = put(ctx, Tar().add(".wh.d").directory("d").add("d/new"))
    assert is_opaque(root / "d")


def test_whiteout_of_what_the_layer_itself_brings_hides_the_layers_below_only(ctx: Context) -> None:
    root = put(ctx, Tar().directory("d").add("d/new").add(".wh.d").add("f", b"1").add(".wh.f"))
    assert is_opaque(root / "d")
    assert (root / "d/new").exists()
    assert (root / "f").read_bytes() == b"1"


def test_aufs_bookkeeping_is_left_out(ctx: Context) -> None:
    root = put(ctx, Tar().add(".wh..wh.aufs").directory(".wh..wh.plnk").add("f"))
    assert os.listdir(root) == ["f"]


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "d/.wh.."])
def test_whiteout_of_no_name_is_refused(ctx: Context, name: str) -> None:
    with pytest.raises(BadDocument):
        put(ctx, Tar().directory("d").add(name))
    assert_nothing_left(ctx)


# And back to an archive.


def test_layer_to_archive_to_layer_is_the_same(ctx: Context) -> None:
    tar = (
        Tar()
        .directory("d", 0o2755, uid=33, gid=44, mtime=1000)
        .add("d/f", b"1", uid=1, mode=0o4755)
    )
    tar.add("d/.wh.gone").directory("o").add("o/.wh..wh..opq").add("o/own", b"2").symlink("l", "x")
    tar.hard_link("zh", "d/f").add("n\udcff", pax={"SCHILY.xattr.user.a": "b"})
    first = unpack(ctx, ctx.paths, io.BytesIO(tar.data()))
    archived = b"".join(pack.tar_of(ctx, ctx.paths.layer_diff(first.diff_id)))
    assert pack.diff_id_of(ctx, ctx.paths.layer_diff(first.diff_id)) == (
        diff_id(archived),
        len(archived),
    )
    with tarfile.open(fileobj=io.BytesIO(archived)) as reread:
        members = {m.name: m for m in reread.getmembers()}
    assert (members["d"].uid, members["d"].gid, members["d"].mode) == (33, 44, 0o2755)
    assert "d/.wh.gone" in members
    assert "o/.wh..wh..opq" in members
    second = unpack(ctx, ctx.paths, io.BytesIO(archived))
    again = b"".join(pack.tar_of(ctx, ctx.paths.layer_diff(second.diff_id)))
    assert again == archived


def test_worker_that_fails_to_start_its_task_is_an_error(ctx: Context) -> None:
    with pytest.raises(RlError):
        userns.run(ctx, "no such task", {})


def test_store_error_is_the_type_that_the_caller_sees(ctx: Context) -> None:
    with pytest.raises(StoreError):
        layers.read_meta(ctx.paths, diff_id(b"nothing"))
