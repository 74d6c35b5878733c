"""Layers into a store, by the real worker in a real user namespace; hostile ones too."""

import gzip
import hashlib
import io
import os
import stat
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.stores import leftovers, make_context

from rootless.context import Context
from rootless.errors import BadDocument, DigestMismatch, ImageError, RlError, StoreError
from rootless.layer import pack, userns
from rootless.layer.unpack import Unpacked, unpack, unpack_layer
from rootless.store import check, gc, layers

pytestmark = pytest.mark.needs("user", "userns", "subids")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def ctx(tmp_path: Path, test_dir: str, request: pytest.FixtureRequest) -> Context:
    directory = f"{test_dir}/unpack-{abs(hash(request.node.nodeid))}"
    os.makedirs(directory)
    return make_context(directory)


class Tar:
    """A layer in the making."""

    def __init__(self) -> None:
        self._out = io.BytesIO()
        self._tar = tarfile.open(
            fileobj=self._out, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape"
        )

    def add(
        self,
        name: str,
        data: bytes = b"",
        *,
        kind: bytes = tarfile.REGTYPE,
        link: str = "",
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
        mtime: int = 1_600_000_000,
        pax: dict[str, str] | None = None,
    ) -> "Tar":
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode, info.mtime = kind, link, mode, mtime
        info.uid, info.gid, info.size = uid, gid, len(data)
        info.pax_headers = pax or {}
        self._tar.addfile(info, io.BytesIO(data))
        return self

    def directory(self, name: str, mode: int = 0o755, **more: int) -> "Tar":
        return self.add(name, kind=tarfile.DIRTYPE, mode=mode, **more)

    def symlink(self, name: str, target: str) -> "Tar":
        return self.add(name, kind=tarfile.SYMTYPE, link=target, mode=0o777)

    def hard_link(self, name: str, target: str) -> "Tar":
        return self.add(name, kind=tarfile.LNKTYPE, link=target)

    def data(self) -> bytes:
        self._tar.close()
        return self._out.getvalue()


def diff_id(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def put(ctx: Context, tar: Tar) -> Path:
    """Unpack; the layer's diff directory."""
    done = unpack(ctx, ctx.paths, io.BytesIO(gzip.compress(tar.data(), 1)))
    return Path(ctx.paths.layer_diff(done.diff_id))


def inside(ctx: Context, *command: str) -> str:
    """A command's output as root of the user namespace."""
    done = subprocess.run(
        ["unshare", "--user", "--map-auto", "--map-root-user", *command],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def assert_nothing_left(ctx: Context) -> None:
    assert leftovers(ctx.paths) == []
    assert layers.list_layers(ctx.paths) == []
    assert check.check(ctx) == []


def is_whiteout(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(path: Path) -> bool:
    try:
        return os.getxattr(path, "user.overlay.opaque") == b"y"
    except OSError:
        return False


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


# Several at once, and sudden ends.


def test_three_layers_at_once_from_threads(ctx: Context) -> None:
    datas = [Tar().add(f"f{i}", os.urandom(300_000)).data() for i in range(3)]
    results: dict[int, int] = {}

    def work(i: int) -> None:
        data = datas[i // 2]  # each layer twice: one of two loses the race
        results[i] = unpack_layer(
            ctx, ctx.paths, io.BytesIO(gzip.compress(data)), "", diff_id(data)
        )

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(range(6), 300_000)
    assert layers.list_layers(ctx.paths) == sorted(diff_id(data) for data in datas)
    assert leftovers(ctx.paths) == []
    assert check.check(ctx) == []


def test_source_may_be_a_pipe_that_is_still_being_filled(ctx: Context) -> None:
    data = Tar().add("f", os.urandom(3_000_000)).data()
    read_fd, write_fd = os.pipe()

    def fill() -> None:
        with open(write_fd, "wb") as pipe:
            pipe.write(data)

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        assert unpack(ctx, ctx.paths, read_fd).diff_id == diff_id(data)
    finally:
        thread.join()
        os.close(read_fd)


def test_killed_in_the_middle_the_store_is_sound_and_gc_cleans_up(ctx: Context) -> None:
    script = f"""
import os, sys, time
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}, *{sys.path!r}]
from support.stores import make_context
from rootless.layer.unpack import unpack
data = sys.stdin.buffer.read()
class Slow:
    left = data
    def read(self, size):
        if not self.left:
            print("there", flush=True)
            time.sleep(60)
        piece, self.left = self.left[:size], self.left[size:]
        return piece
ctx = make_context({os.path.dirname(ctx.paths.store)!r})
unpack(ctx, ctx.paths, Slow())
"""
    tar = Tar().directory("d", uid=33, gid=33).add("d/f", os.urandom(3_000_000), uid=33)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(tar.data())
        process.stdin.close()
        assert process.stdout.readline() == b"there\n"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
    for pid in children:
        wait_until(lambda pid=pid: not os.path.exists(f"/proc/{pid}"))  # type: ignore[misc]
    assert len(leftovers(ctx.paths)) == 1
    assert check.check(ctx) == []
    assert gc.collect(ctx)[0] == 1
    assert_nothing_left(ctx)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_removal_of_a_layer_with_foreign_owners(ctx: Context) -> None:
    done = unpack(ctx, ctx.paths, io.BytesIO(Tar().directory("d", 0o500, uid=9).add("d/f").data()))
    assert layers.remove(ctx, done.diff_id)
    assert not layers.remove(ctx, done.diff_id)
    assert_nothing_left(ctx)


def test_gc_removes_what_nothing_refers_to(ctx: Context) -> None:
    done: Unpacked = unpack(ctx, ctx.paths, io.BytesIO(Tar().add("f", uid=33).data()))
    swept, removed = gc.collect(ctx)
    assert (swept, removed) == (0, {done.diff_id})
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
