"""COPY and ADD into layers, in a real user namespace: the rules of BuildKit one by one."""

import bz2
import gzip
import io
import lzma
import os
import shutil
import stat
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.stores import make_context

from rootless.build import checksum, copying
from rootless.build.copying import Layers, Transfer, Tree, from_instruction, perform
from rootless.build.copying_view import View
from rootless.build.dockerfile import parse
from rootless.build.dockerfile.ignore import Matcher
from rootless.build.dockerfile.instructions import Add, Copy
from rootless.context import Context
from rootless.errors import BuildError
from rootless.store import mapping
from rootless.store.removal import remove_mapped_tree

pytestmark = pytest.mark.needs("user", "userns", "subids")

PASSWD = "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/:/bin/sh\n"


class Bench:
    """A context `src`, a base image of one layer `base`, and steps on top of it."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.ctx: Context = make_context(directory)
        self.src = Path(directory, "src")
        self.base = Path(directory, "base")
        self.matcher: Matcher | None = None
        self.steps = 0
        self.src.mkdir()
        (self.base / "etc").mkdir(parents=True)
        (self.base / "etc/passwd").write_text(PASSWD)
        (self.base / "etc/group").write_text("root:x:0:\nweb:x:50:\n")

    def write(self, *paths: str, below: Path | None = None) -> None:
        for path in paths:
            place = (below or self.src) / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if path.endswith("/"):
                place.mkdir(exist_ok=True)
            else:
                place.write_text(path)

    def transfer(self, line: str, workdir: str = "/", **changes: Any) -> Transfer:
        dockerfile = parse.parse(f"FROM scratch\n{line}\n".encode())
        [instruction] = dockerfile.stages[0].instructions
        assert isinstance(instruction, (Copy, Add))
        source = changes.pop("source", None) or Tree(str(self.src), self.matcher)
        return from_instruction(instruction, source=source, workdir=workdir, **changes)

    def run(self, line: str, workdir: str = "/", **changes: Any) -> "Layer":
        below = changes.pop("below", [str(self.base)])
        return self.perform(self.transfer(line, workdir, **changes), below)

    def perform(self, transfer: Transfer, below: list[str]) -> "Layer":
        self.steps += 1
        directory = f"{self.directory}/step{self.steps}"
        os.mkdir(directory)
        perform(self.ctx, transfer, below, directory)
        return Layer(self, f"{directory}/upper", below)

    def digest(self, line: str, **changes: Any) -> str:
        return checksum.transfer_digest(self.ctx, self.transfer(line, **changes))


class Layer:
    """What a step has written, and the image as it is then."""

    def __init__(self, bench: Bench, upper: str, below: list[str]) -> None:
        self.bench = bench
        self.upper = upper
        self.directories = [upper, *below]

    def written(self) -> list[str]:
        """The paths in the layer itself."""
        found = []
        for place, directories, files in os.walk(self.upper):
            relative = os.path.relpath(place, self.upper)
            found += [os.path.normpath(f"{relative}/{n}") for n in directories + files]
        return sorted(found)

    def files(self) -> list[str]:
        return [p for p in self.written() if not stat.S_ISDIR(self.status(p).st_mode)]

    def read(self, path: str) -> str:
        node, _ = View(self.directories).resolve(path)
        assert node is not None, f"{path} is not there: {self.written()}"
        return Path(node.places[0]).read_text()

    def status(self, path: str) -> os.stat_result:
        return os.lstat(f"{self.upper}/{path}")

    def mode(self, path: str) -> str:
        return f"{stat.S_IMODE(self.status(path).st_mode):o}"

    def is_owned_by(self, path: str, uid: int, gid: int) -> bool:
        ids = mapping.default_map(self.bench.ctx)
        status = self.status(path)
        [host_gid] = [o + gid - i for i, o, n in ids.gids if i <= gid < i + n]
        return (status.st_uid, status.st_gid) == (ids.host_uid(uid), host_gid)


@pytest.fixture
def bench(test_dir: str, request: pytest.FixtureRequest) -> Iterator[Bench]:
    directory = f"{test_dir}/copy-{abs(hash(request.node.nodeid))}"
    os.makedirs(directory)
    bench = Bench(directory)
    yield bench
    remove_mapped_tree(bench.ctx, directory)


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
    with pytest.raises(BuildError) as caught:
        bench.run("COPY --chown=1000 d /x")
    assert caught.value.code == "RL-BUILD-OWNER"


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


# Archives.


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
