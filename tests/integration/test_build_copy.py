"""COPY into layers, in a real user namespace: the rules of BuildKit one by one."""

import io
import os
import shutil
import stat
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.copybench import Bench, bench_fixture

from rootless.build import checksum, copying
from rootless.build.copying import Layers, Tree
from rootless.build.dockerfile.ignore import Matcher
from rootless.errors import BuildError
from rootless.layer import archive

__all__ = ["bench_fixture"]
pytestmark = pytest.mark.needs("user", "userns", "subids")


# Where things go.


@pytest.mark.parametrize(
    ("line", "files"),
    [
        ("COPY a /", ["a"]),
        ("COPY a /b", ["b"]),
        ("COPY a /x/y/", ["x/y/a"]),
        ("COPY a /x/y", ["x/y"]),
        ("COPY a .", ["work/a"]),
        ("COPY a b", ["work/b"]),
        ("COPY d /d2", ["d2/e/f", "d2/g"]),
        ("COPY d /", ["e/f", "g"]),
        ("COPY d/ /x/", ["x/e/f", "x/g"]),
        ("COPY a d /x/", ["x/a", "x/e/f", "x/g"]),
        ("COPY d/* /x/", ["x/f", "x/g"]),
        ("COPY a /etc", ["etc/a"]),
        ("COPY a /etc/passwd", ["etc/passwd"]),
        ("COPY ./a /./x/../y", ["y"]),
        ("COPY /a /", ["a"]),
        ("COPY nothing* a /x/", ["x/a"]),
        ('COPY ["with space", "/x y/"]', ["x y/with space"]),
        ("COPY arr[[]0].txt /", ["arr[0].txt"]),
        ("COPY --exclude=g d /x", ["x/e/f"]),
        ("COPY --parents d/e/f /x/", ["x/d/e/f"]),
        ("COPY --parents ./d/./e/f /x/", ["x/e/f"]),
        ("COPY --parents d/*/f a /x", ["x/a", "x/d/e/f"]),
        ("COPY --parents --exclude=**/g d /x", ["x/d/e/f"]),
    ],
)
def test_places(bench: Bench, line: str, files: list[str]) -> None:
    bench.write("a", "d/e/f", "d/g", "with space", "arr[0].txt")
    layer = bench.run(line, workdir="/work" if line.split()[-1][0] != "/" else "/")
    assert layer.files() == files


def test_files_are_roots_with_their_modes_and_times(bench: Bench) -> None:
    bench.write("d/run")
    os.chmod(bench.src / "d", 0o750)
    os.chmod(bench.src / "d/run", 0o4711)
    os.utime(bench.src / "d/run", ns=(5, 1_234_567_890_123_456_789))
    os.utime(bench.src / "d", ns=(5, 1_000_000_000_000_000_000))
    layer = bench.run("COPY . /x")
    assert (layer.mode("x"), layer.mode("x/d"), layer.mode("x/d/run")) == ("755", "750", "4711")
    assert layer.is_owned_by("x/d/run", 0, 0) and layer.is_owned_by("x", 0, 0)
    assert layer.status("x/d/run").st_mtime_ns == 1_234_567_890_123_456_789
    assert layer.status("x/d").st_mtime_ns == 1_000_000_000_000_000_000


def test_what_is_below_is_untouched_and_parents_keep_their_attributes(bench: Bench) -> None:
    bench.write("opt/app/old", below=bench.base)
    os.chmod(bench.base / "opt", 0o2711)
    os.utime(bench.base / "opt/app", ns=(1, 1_000_000_000_000_000_000))
    bench.write("new")
    layer = bench.run("COPY new /opt/app/")
    assert layer.files() == ["opt/app/new"]
    assert layer.mode("opt") == "2711"
    assert layer.status("opt/app").st_mtime_ns == 1_000_000_000_000_000_000
    assert not (bench.base / "opt/app/new").exists()
    assert layer.read("/opt/app/old") == "opt/app/old"


def test_an_existing_destination_keeps_its_mode_and_directories_in_it_take_the_sources(
    bench: Bench,
) -> None:
    bench.write("x/sub/", below=bench.base)
    os.chmod(bench.base / "x", 0o711)
    os.chmod(bench.base / "x/sub", 0o711)
    bench.write("d/sub/f")
    os.chmod(bench.src / "d", 0o700)
    os.chmod(bench.src / "d/sub", 0o700)
    layer = bench.run("COPY d /x")
    assert (layer.mode("x"), layer.mode("x/sub")) == ("711", "700")


def test_links_of_the_image_are_followed_inside_it(bench: Bench) -> None:
    bench.write("usr/lib/", "run/", below=bench.base)
    (bench.base / "lib").symlink_to("usr/lib")
    (bench.base / "var").symlink_to("/run/../../../run")
    (bench.base / "to-nowhere").symlink_to("/srv/deep")
    bench.write("a", "d/f")
    assert bench.run("COPY a /lib/").files() == ["usr/lib/a"]
    assert bench.run("COPY a /var/x/").files() == ["run/x/a"]
    assert bench.run("COPY d /to-nowhere").files() == ["srv/deep/f"]
    assert bench.run("COPY a /to-nowhere").files() == ["srv/deep"]


def test_link_option_does_not_look_at_the_image(bench: Bench) -> None:
    bench.write("usr/lib/", below=bench.base)
    (bench.base / "lib").symlink_to("usr/lib")
    bench.write("a")
    assert bench.run("COPY --link a /lib/").files() == ["lib/a"]
    with pytest.raises(BuildError) as caught:
        bench.run("COPY --link --chown=app a /")
    assert caught.value.code == "RL-BUILD-OWNER"
    assert bench.run("COPY --link --chown=7:8 a /").is_owned_by("a", 7, 8)


def test_links_in_the_source_stay_links_but_a_named_one_is_followed(bench: Bench) -> None:
    bench.write("d/f")
    (bench.src / "d/l").symlink_to("../../up")
    (bench.src / "named").symlink_to("d/f")
    layer = bench.run("COPY d named /x/")
    assert os.readlink(f"{layer.upper}/x/l") == "../../up"
    assert layer.read("/x/named") == "d/f"
    assert stat.S_ISREG(layer.status("x/named").st_mode)


def test_files_replace_files_and_links_but_never_directories(bench: Bench) -> None:
    bench.write("x/f", "x/d/", below=bench.base)
    (bench.base / "x/l").symlink_to("f")
    bench.write("s/f", "s/l", "t/d", "u/f/g", "u2/l/g")
    layer = bench.run("COPY s /x")
    assert (layer.read("/x/f"), layer.read("/x/l")) == ("s/f", "s/l")
    assert not os.path.islink(f"{layer.upper}/x/l")
    for line in ("COPY t /x", "COPY t/d /x/d/../../x/", "COPY u /x", "COPY u2 /x", "COPY s /x/f"):
        with pytest.raises(BuildError) as caught:
            bench.run(line)
        assert caught.value.code == "RL-BUILD-COPY", line


def test_the_last_of_several_files_wins_a_name(bench: Bench) -> None:
    bench.write("a.jar", "b.jar")
    assert bench.run("COPY *.jar /app.jar").read("/app.jar") == "b.jar"


def test_holes_stay_holes(bench: Bench) -> None:
    with open(bench.src / "a", "wb") as file:
        file.write(b"begin")
        file.seek(8 << 20)
        file.write(b"end")
        file.truncate(16 << 20)
    if os.stat(bench.src / "a").st_blocks * 512 > 1 << 20:
        pytest.skip("this file system has no holes")
    layer = bench.run("COPY a /")
    assert layer.status("a").st_blocks * 512 < 1 << 20
    assert Path(layer.upper, "a").read_bytes() == (bench.src / "a").read_bytes()


def test_hard_links_stay_together(bench: Bench) -> None:
    bench.write("a")
    os.link(bench.src / "a", bench.src / "b")
    layer = bench.run("COPY . /x")
    assert layer.status("x/a").st_ino == layer.status("x/b").st_ino


def test_odd_names_pipes_and_sockets(bench: Bench) -> None:
    Path(os.fsdecode(os.fsencode(str(bench.src)) + b"/\xff\xfe\n")).write_text("odd")
    os.mkfifo(bench.src / "pipe", 0o640)
    layer = bench.run("COPY . /x")
    assert stat.S_ISFIFO(layer.status("x/pipe").st_mode) and layer.mode("x/pipe") == "640"
    assert os.fsdecode(b"x/\xff\xfe\n") in layer.written()
    assert bench.digest("COPY . /x") == bench.digest("COPY . /x")


def test_extended_attributes_come_along(bench: Bench) -> None:
    bench.write("a")
    try:
        os.setxattr(bench.src / "a", "user.mime", b"text")
    except OSError:
        pytest.skip("no user extended attributes here")
    before = bench.digest("COPY a /")
    layer = bench.run("COPY a /")
    assert os.getxattr(f"{layer.upper}/a", "user.mime") == b"text"
    os.setxattr(bench.src / "a", "user.mime", b"other")
    assert bench.digest("COPY a /") != before


# Owners and modes.


@pytest.mark.parametrize(
    ("chown", "uid", "gid"),
    [("app", 1000, 1001), ("app:web", 1000, 50), ("5", 5, 5), ("5:web", 5, 50), ("0:7", 0, 7)],
)
def test_chown_is_for_all_that_is_made(bench: Bench, chown: str, uid: int, gid: int) -> None:
    bench.write("d/e/f")
    (bench.src / "d/l").symlink_to("e")
    layer = bench.run(f"COPY --chown={chown} d /new/x")
    for path in ("new", "new/x", "new/x/e", "new/x/e/f", "new/x/l"):
        assert layer.is_owned_by(path, uid, gid), path


def test_owner_that_is_not_mapped_is_an_error(bench: Bench) -> None:
    bench.write("a")
    with pytest.raises(BuildError, match="not mapped") as caught:
        bench.run("COPY --chown=4000000000 a /")
    assert caught.value.code == "RL-BUILD-OWNER"


def test_chmod(bench: Bench) -> None:
    bench.write("d/e/f")
    os.chmod(bench.src / "d/e", 0o700)
    layer = bench.run("COPY --chmod=4750 d /x")
    assert (layer.mode("x"), layer.mode("x/e"), layer.mode("x/e/f")) == ("755", "4750", "4750")
    layer = bench.run("COPY --chmod=u=rwX,go=rX d /x")
    assert (layer.mode("x/e"), layer.mode("x/e/f")) == ("755", "644")


def test_one_id_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from rootless.linux.idmap import IdMap

    single = IdMap([(0, os.getuid(), 1)], [(0, os.getgid(), 1)], "test")
    monkeypatch.setattr(copying.mapping, "default_map", lambda ctx: single)
    bench.write("d/f")
    assert bench.run("COPY d /x").files() == ["x/f"]
    assert bench.run("COPY --chown=0:0 d /x").files() == ["x/f"]
    (bench.src / "d/l").symlink_to("f")
    layer = bench.run("COPY --chown=1000:50 d /new/x")
    # Nobody can have them here, so that the archive of the layer says it.
    assert archived_owners(layer.upper) == {
        ".": (0, 0), "new": (1000, 50), "new/x": (1000, 50), "new/x/f": (1000, 50),
        "new/x/l": (0, 0),
    }  # fmt: skip
    origin = Layers((layer.upper,))
    again = bench.run("COPY --from=x /new/x /y", source=origin)
    assert archived_owners(again.upper)["y/f"] == (1000, 50)
    assert archived_owners(bench.run("COPY --from=x --chown=7 /new/x /y", source=origin).upper)[
        "y/f"
    ] == (7, 7)
    above = bench.run("COPY d/f /new/z", below=layer.directories)
    assert archived_owners(above.upper) == {".": (0, 0), "new": (1000, 50), "new/z": (0, 0)}


def archived_owners(directory: str) -> dict[str, tuple[int, int]]:
    """Who owns what by the archive of a layer; the caller's files are root's there."""
    data = io.BytesIO()
    fd = os.open(directory, os.O_RDONLY)
    archive.write_tree(fd, data.write)
    os.close(fd)
    data.seek(0)
    me = os.getuid()
    with tarfile.open(fileobj=data) as members:
        found = {m.name: (m.uid, m.gid) for m in members}
        assert not any("rl.owner" in key for m in members for key in m.pax_headers)
    return {name: (0, 0) if owner[0] == me else owner for name, owner in found.items()}


def test_an_owner_of_a_context_is_nobodys_word(bench: Bench) -> None:
    bench.write("f")
    try:
        os.setxattr(bench.src / "f", "user.rl.owner", b"7:7")
    except OSError:
        pytest.skip("no user extended attributes here")
    layer = bench.run("COPY f /")
    assert layer.is_owned_by("f", 0, 0)
    assert "user.rl.owner" not in os.listxattr(f"{layer.upper}/f")


def test_epoch_is_the_time_of_everything(bench: Bench) -> None:
    bench.write("d/f")
    layer = bench.run("COPY d /new/x", epoch=1_000_000_000)
    for path in ("new", "new/x", "new/x/f"):
        assert layer.status(path).st_mtime == 1_000_000_000, path


# From images and stages.


def test_copy_from_layers_keeps_owners_and_sees_them_merged(bench: Bench) -> None:
    bench.write("a/one", "a/two")
    first = bench.run("COPY --chown=app a /data")
    bench.write("b/two", "b/three")
    os.chmod(bench.src / "b/three", 0o600)
    second = bench.run("COPY --chown=9:9 b /data", below=first.directories)
    origin = Layers(tuple(second.directories), identity=second.upper)
    copied = bench.run("COPY --from=x /data /out", source=origin)
    assert copied.files() == ["out/one", "out/three", "out/two"]
    assert copied.read("/out/two") == "b/two"
    assert copied.is_owned_by("out/one", 1000, 1001)
    assert copied.is_owned_by("out/three", 9, 9)
    # The key too, of files that only the worker can read; remembered, it needs none.
    line = "COPY --from=x /data /out"
    key = bench.digest(line, source=origin)
    assert key == bench.digest(line, source=origin)
    assert key != bench.digest(line, source=Layers(tuple(first.directories), "first"))


def test_missing_in_an_image(bench: Bench) -> None:
    with pytest.raises(BuildError) as caught:
        bench.run("COPY --from=x /etc/paswd /", source=Layers((str(bench.base),)))
    assert caught.value.code == "RL-BUILD-NOT-FOUND"
    assert caught.value.remedy == "did you mean etc/passwd?"


# .dockerignore.


def test_ignored_files_are_not_copied(bench: Bench) -> None:
    bench.matcher = Matcher(["node_modules", "*.log", "!keep.log"])
    bench.write("node_modules/x", "a.log", "keep.log", "src/a.log")
    assert bench.run("COPY . /app").files() == ["app/keep.log", "app/src/a.log"]


# Keys.


def test_key_is_of_the_content_and_not_of_times(bench: Bench) -> None:
    bench.write("d/f", "d/g", "other")
    key = bench.digest("COPY d /x")
    os.utime(bench.src / "d/f", ns=(1, 1))
    bench.write("unrelated")
    assert bench.digest("COPY d /x") == key
    copy = shutil.copytree(bench.src, f"{bench.directory}/copy")
    assert bench.digest("COPY d /x", source=Tree(copy)) == key


@pytest.mark.parametrize(
    "change",
    [
        lambda d: (d / "f").write_text("changed"),
        lambda d: (d / "f").chmod(0o600),
        lambda d: d.chmod(0o700) or (d / "sub").mkdir(),
        lambda d: (d / "f").rename(d / "f2"),
        lambda d: (d / "l").symlink_to("f"),
    ],
)
def test_key_changes_with(bench: Bench, change: Callable[[Path], object]) -> None:
    bench.write("d/f")
    key = bench.digest("COPY d /x")
    change(bench.src / "d")
    assert bench.digest("COPY d /x") != key


def test_a_change_of_equal_size_and_mtime_is_seen(bench: Bench) -> None:
    bench.write("f")
    old = os.stat(bench.src / "f")
    time.sleep(0.05)
    key = bench.digest("COPY f /")
    assert os.listdir(checksum.checksums_directory(bench.ctx))
    assert bench.digest("COPY f /") == key
    (bench.src / "f").write_text("F")
    os.utime(bench.src / "f", ns=(old.st_atime_ns, old.st_mtime_ns))
    assert bench.digest("COPY f /") != key


@pytest.mark.parametrize(
    "line", ["COPY f /y", "COPY --chown=1 f /x", "COPY --chmod=1 f /x", "COPY --link f /x",
             "ADD f /x", "COPY g /x", "COPY --exclude=z f /x"]
)  # fmt: skip
def test_key_has_the_instruction(bench: Bench, line: str) -> None:
    bench.write("f", "g")
    assert bench.digest(line) != bench.digest("COPY f /x")


def test_a_damaged_cache_is_made_again(bench: Bench) -> None:
    bench.write("f")
    time.sleep(0.05)
    key = bench.digest("COPY f /")
    directory = checksum.checksums_directory(bench.ctx)
    [name] = os.listdir(directory)
    Path(directory, name).write_text("{rubbish")
    assert bench.digest("COPY f /") == key


# Heredocs.


def test_documents(bench: Bench) -> None:
    layer = bench.run("COPY --chmod=755 <<EOF <<-TWO /x/\nhello\nEOF\n\tsecond\n\tTWO")
    assert (layer.read("/x/EOF"), layer.read("/x/TWO")) == ("hello\n", "second\n")
    assert layer.mode("x/EOF") == "755"
    assert bench.run("COPY <<EOF /etc/motd\nhi\nEOF").read("/etc/motd") == "hi\n"
    assert bench.run("COPY <<EOF /etc/motd\nhi\nEOF").mode("etc/motd") == "644"


# Mistakes.


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("COPY nothing /", "RL-BUILD-NOT-FOUND"),
        ("COPY a nothing /x/", "RL-BUILD-NOT-FOUND"),
        ("COPY --parents d/nothing /x/", "RL-BUILD-NOT-FOUND"),
        ("COPY ../a /", "RL-BUILD-ESCAPE"),
        ("COPY --chmod=9 a /", "RL-BUILD-VALUE"),
        ("COPY --chown=nobody-here a /", "RL-BUILD-OWNER"),
        ("COPY --link --chown=root a /", "RL-BUILD-OWNER"),
        ("COPY https://host/x /", "RL-BUILD-ARGUMENTS"),
        ("ADD --checksum=sha256:1 https://host/x /", "RL-BUILD-VALUE"),
        ("ADD --checksum=sha256:1 a /", "RL-BUILD-FLAG"),
        ("COPY a /etc/passwd/x", "RL-BUILD-COPY"),
        ("COPY a /etc/passwd/", "RL-BUILD-COPY"),
    ],
)
def test_mistakes(bench: Bench, line: str, code: str) -> None:
    bench.write("a", "d/f")
    with pytest.raises(BuildError) as caught:
        bench.run(line)
    assert caught.value.code == code


def test_unreadable_file_is_named(bench: Bench) -> None:
    bench.write("d/secret")
    os.chmod(bench.src / "d/secret", 0)
    with pytest.raises(BuildError, match="d/secret") as caught:
        bench.digest("COPY d /x")
    assert caught.value.code == "RL-BUILD-COPY"


def test_copy_from_a_stage_without_layers(bench: Bench) -> None:
    with pytest.raises(BuildError, match="not in the stage"):
        bench.run("COPY --from=x a /", source=Layers(()))
    assert bench.run("COPY --from=x / /y", source=Layers(())).written() == ["y"]
