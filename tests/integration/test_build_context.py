"""Contexts of every kind, and ADD from the network: real archives, git and a server on loopback."""

import gzip
import hashlib
import io
import json
import lzma
import os
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.images import Image, digest
from support.stores import make_context
from support.webserver import Server

from rootless.build import checksum, context_git, copying_remote, oci_layout
from rootless.build.context import BuildContext, open_context, open_named
from rootless.build.copying import Transfer, Tree, perform
from rootless.build.copying_select import Source
from rootless.build.option_forms import Secret
from rootless.context import Context
from rootless.errors import BuildError, RlError
from rootless.oci import platform as platforms
from rootless.store.removal import remove_mapped_tree

pytestmark = pytest.mark.needs("user", "userns", "subids")

AMD64 = platforms.parse("linux/amd64")
DOCKERFILE = b"FROM scratch\nCOPY . /\n"


@dataclass
class Options:
    context: str
    dockerfile: str | None = None
    build_args: "dict[str, str | None]" = field(default_factory=dict)
    secrets: tuple[Secret, ...] = ()


@pytest.fixture
def ctx(test_dir: str, request: pytest.FixtureRequest) -> Iterator[Context]:
    directory = f"{test_dir}/context-{abs(hash(request.node.nodeid))}"
    os.makedirs(directory)
    ctx = make_context(directory, {"HOME": directory})
    yield ctx
    assert os.listdir(ctx.paths.tmp) == []
    remove_mapped_tree(ctx, directory)


@pytest.fixture
def project(ctx: Context) -> Path:
    root = Path(ctx.home, "project")
    root.mkdir()
    (root / "Dockerfile").write_bytes(DOCKERFILE)
    (root / "a").write_text("a")
    return root


def names(context: BuildContext) -> list[str]:
    source = Source(context.tree)
    return [relative for relative, _ in source.walk(source.view.root())]


def tar(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.uid, info.mode = len(data), 4242, 0o640
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def fails(ctx: Context, options: Options, code: str, stdin: bytes = b"") -> BuildError:
    with pytest.raises(BuildError) as caught, open_context(ctx, options, io.BytesIO(stdin)):
        pass
    assert caught.value.code == code, caught.value.one_line()
    return caught.value


# Directories.


def test_directory(ctx: Context, project: Path) -> None:
    with open_context(ctx, Options(str(project))) as context:
        assert context.dockerfile == DOCKERFILE
        assert (context.root, context.dockerfile_name) == (str(project), "Dockerfile")
        assert names(context) == ["Dockerfile", "a"]


def test_lower_case_dockerfile(ctx: Context, project: Path) -> None:
    (project / "Dockerfile").rename(project / "dockerfile")
    with open_context(ctx, Options(str(project))) as context:
        assert context.dockerfile_name == "dockerfile"


def test_named_dockerfile_is_relative_to_the_working_directory(
    ctx: Context, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "docker").mkdir()
    (project / "docker/Other").write_bytes(b"FROM x")
    monkeypatch.chdir(project / "docker")
    (project / "docker/Other.dockerignore").write_text("*")
    with open_context(ctx, Options("..", "Other")) as context:
        assert (context.dockerfile, context.root) == (b"FROM x", str(project))
        assert names(context) == []
    monkeypatch.chdir("/")
    error = fails(ctx, Options(str(project), "docker/Other"), "RL-BUILD-NO-DOCKERFILE")
    assert f"-f {project}/docker/Other" in str(error.remedy)


def test_dockerignore(ctx: Context, project: Path) -> None:
    (project / ".dockerignore").write_text("a\nDockerfile\n.docker*\n")
    with open_context(ctx, Options(str(project))) as context:
        assert context.dockerfile == DOCKERFILE
        assert names(context) == []
    (project / "Dockerfile.dockerignore").write_text("*\n!a\n")
    with open_context(ctx, Options(str(project))) as context:
        assert names(context) == ["a"]
    with open_context(ctx, Options(str(project), "-"), io.BytesIO(b"FROM y")) as context:
        assert context.dockerfile == b"FROM y"
        assert names(context) == ["Dockerfile.dockerignore"]


def test_bad_dockerignore_is_named(ctx: Context, project: Path) -> None:
    (project / ".dockerignore").write_text("[a\n")
    error = fails(ctx, Options(str(project)), "RL-BUILD-IGNORE")
    assert f"{project}/.dockerignore" in error.what


def test_directories_that_are_none(ctx: Context, project: Path) -> None:
    fails(ctx, Options(f"{project}/nothing"), "RL-BUILD-CONTEXT")
    fails(ctx, Options(f"{project}/a"), "RL-BUILD-CONTEXT")
    fails(ctx, Options("/"), "RL-BUILD-CONTEXT")
    (project / "Dockerfile").rename(project / "Containerfile")
    error = fails(ctx, Options(str(project)), "RL-BUILD-NO-DOCKERFILE")
    assert "Containerfile" in str(error.remedy)


# Standard input.


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_archive_on_stdin(ctx: Context, pack: object) -> None:
    assert callable(pack)
    data = pack(tar(**{"./Dockerfile": DOCKERFILE, "sub/x": b"x", ".dockerignore": b"sub/y",
                       "sub/y": b"y"}))  # fmt: skip
    with open_context(ctx, Options("-"), io.BytesIO(data)) as context:
        assert context.dockerfile == DOCKERFILE
        assert names(context) == [".dockerignore", "Dockerfile", "sub", "sub/x"]
        assert os.stat(f"{context.root}/sub/x").st_uid == os.getuid()
        assert os.stat(f"{context.root}/sub/x").st_mode & 0o777 == 0o640


def test_archive_on_a_descriptor(ctx: Context, project: Path) -> None:
    (project / "c.tar").write_bytes(tar(Other=b"FROM z"))
    with open(project / "c.tar", "rb") as file:  # noqa: SIM117
        with open_context(ctx, Options("-", "Other"), file.fileno()) as context:
            assert context.dockerfile == b"FROM z"


def test_dockerfile_alone_on_stdin(ctx: Context) -> None:
    with open_context(ctx, Options("-"), io.BytesIO(b"FROM q\n")) as context:
        assert context.dockerfile == b"FROM q\n"
        assert names(context) == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "RL-BUILD-CONTEXT"),
        (b"\0\1\2", "RL-BUILD-CONTEXT"),
        (tar(x=b"1"), "RL-BUILD-NO-DOCKERFILE"),
        (tar(Dockerfile=bytes(9000))[:4000], "RL-BUILD-ARCHIVE"),
        (gzip.compress(tar(Dockerfile=b"x"))[:-20], "RL-BUILD-ARCHIVE"),
        (gzip.compress(b"FROM x"), "RL-BUILD-ARCHIVE"),
        (tar(**{"../evil": b"x"}), "RL-BUILD-ARCHIVE"),
    ],
)
def test_bad_stdin(ctx: Context, data: bytes, code: str) -> None:
    fails(ctx, Options("-"), code, data)


def test_dockerfile_of_an_archive_does_not_lead_out(ctx: Context, project: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("Dockerfile")
        info.type, info.linkname = tarfile.SYMTYPE, f"{project}/Dockerfile"
        archive.addfile(info)
    fails(ctx, Options("-"), "RL-BUILD-NO-DOCKERFILE", out.getvalue())
    fails(ctx, Options("-", "../x"), "RL-BUILD-NO-DOCKERFILE", tar(x=b"1"))


# Git.


def git(directory: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main",
         "-c", "protocol.file.allow=always", *words],
        cwd=directory, capture_output=True, text=True, check=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(directory)},
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def repository(project: Path, server: Server) -> tuple[str, str]:
    """(URL, first commit) of a repository with a branch, a tag and a second commit."""
    git(project, "init", "-q")
    (project / "sub").mkdir()
    (project / "sub/Dockerfile").write_bytes(b"FROM sub")
    git(project, "add", ".")
    git(project, "commit", "-qm", "one")
    first = git(project, "rev-parse", "HEAD")
    git(project, "tag", "-am", "v1", "v1")
    (project / "a").write_text("second")
    git(project, "commit", "-qam", "two")
    bare = Path(server.root, "r.git")
    git(project, "clone", "-q", "--bare", str(project), str(bare))
    git(bare, "update-server-info")
    return f"{server.url}/r.git", first


@pytest.mark.needs("git")
def test_git_context(ctx: Context, repository: tuple[str, str]) -> None:
    url, first = repository
    for ref, text in (("", "second"), ("#main", "second"), ("#v1", "a"), (f"#{first}", "a"),
                      (f"#{first[:9]}", "a"), ("?tag=v1", "a")):  # fmt: skip
        with open_context(ctx, Options(url + ref)) as context:
            assert Path(context.root, "a").read_text() == text, ref
            assert not os.path.exists(f"{context.root}/.git")
            assert (context.commit == first) == (text == "a")
    with open_context(ctx, Options(f"{url}#v1:sub")) as context:
        assert context.dockerfile == b"FROM sub"
    keep = {"BUILDKIT_CONTEXT_KEEP_GIT_DIR": "1"}
    with open_context(ctx, Options(url, build_args=dict(keep))) as context:
        assert os.path.isdir(f"{context.root}/.git")


@pytest.mark.needs("git")
def test_git_fetches_one_commit_where_it_can(ctx: Context, repository: tuple[str, str]) -> None:
    root = Path(ctx.home, "out")
    found = context_git.Repository(f"file://{ctx.home}/project")
    old = os.umask(0o077)
    try:
        where, _ = context_git.check_out(ctx.environ, found, str(root), keep_git_dir=True)
    finally:
        os.umask(old)
    assert os.stat(f"{where}/a").st_mode & 0o777 == 0o644  # whatever the caller's umask is
    assert git(Path(where), "rev-list", "--count", "HEAD") == "1"


@pytest.mark.needs("git")
@pytest.mark.parametrize("what", ["#deadbeef", "#nothing", "#main:nothing", "/../nothing.git"])
def test_git_that_is_not_there(ctx: Context, repository: tuple[str, str], what: str) -> None:
    fails(ctx, Options(repository[0] + what), "RL-BUILD-GIT")


def test_without_git(ctx: Context) -> None:
    found = context_git.parse("https://127.0.0.1:1/r.git")
    assert found is not None
    environ = {"PATH": ctx.home}
    import rootless.linux.process as process

    extra, process.EXTRA_PATH = process.EXTRA_PATH, ()
    try:
        with pytest.raises(RlError) as caught:
            context_git.check_out(environ, found, f"{ctx.home}/x")
    finally:
        process.EXTRA_PATH = extra
    assert caught.value.code == "RL-HOST-NO-GIT"


# The web.


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(str(tmp_path))
    yield server
    server.stop()


def test_archive_by_url(ctx: Context, server: Server) -> None:
    Path(server.root, "c.tgz").write_bytes(gzip.compress(tar(Dockerfile=DOCKERFILE, x=b"x")))
    with open_context(ctx, Options(f"{server.url}/c.tgz")) as context:
        assert names(context) == ["Dockerfile", "x"]
    with open_named(ctx, "n", f"{server.url}/c.tgz") as named:
        assert named.tree is not None and os.listdir(named.tree.root)


def test_dockerfile_by_url(ctx: Context, server: Server, project: Path) -> None:
    Path(server.root, "D").write_bytes(b"FROM w")
    with open_context(ctx, Options(f"{server.url}/D")) as context:
        assert (context.dockerfile, names(context)) == (b"FROM w", [])
    with open_context(ctx, Options(str(project), f"{server.url}/D")) as context:
        assert (context.dockerfile, context.root) == (b"FROM w", str(project))


@pytest.mark.parametrize("path", ["/nothing", "/short", "/to-file"])
def test_bad_urls(ctx: Context, server: Server, path: str) -> None:
    fails(ctx, Options(server.url + path), "RL-BUILD-DOWNLOAD")


def test_passwords_are_not_shown(ctx: Context, server: Server) -> None:
    url = server.url.replace("http://", "http://ann:secret@") + "/nothing"
    assert "secret" not in fails(ctx, Options(url), "RL-BUILD-DOWNLOAD").one_line()


# Named contexts.


def test_named_contexts(ctx: Context, project: Path) -> None:
    (project / ".dockerignore").write_text("a")
    with open_named(ctx, "lib", str(project)) as named:
        assert named.kind == "tree" and named.tree is not None
        assert named.tree.name == "the context lib"
        with pytest.raises(BuildError, match="dockerignore"):
            Source(named.tree).find("a")
    with open_named(ctx, "base", "docker-image://alpine:3") as named:
        assert (named.kind, named.image) == ("image", "alpine:3")
    (project / "index.json").write_text("{}")
    with open_named(ctx, "l", f"oci-layout://{project}:v1") as named:
        assert (named.kind, named.layout, named.image) == ("oci-layout", str(project), "v1")
    for text in ("oci-layout:///no/where", "target:x", "/no/where"):
        with pytest.raises(BuildError), open_named(ctx, "x", text):
            pass


@pytest.mark.parametrize("compression", ["gzip", "zstd", ""])
def test_oci_layouts_become_images(ctx: Context, project: Path, compression: str) -> None:
    image = Image([tar(x=b"one"), tar(y=b"two")], {"Env": ["A=1"]}, compression=compression)
    write_layout(project, {"v1": image, "v2": Image([tar(z=b"three")])})
    for asked in ("v1", digest(image.manifest())):
        record = oci_layout.load(ctx, str(project), asked, AMD64)
        assert record["id"] == image.id
        assert [len(os.listdir(ctx.paths.layer_diff(str(one)))) for one in record["layers"]] == [
            1,
            1,
        ]  # type: ignore[attr-defined]
    for asked in ("", "v3"):
        with pytest.raises(BuildError) as caught:
            oci_layout.load(ctx, str(project), asked, AMD64)
        assert caught.value.code == "RL-BUILD-CONTEXT"


def test_damaged_layouts_are_refused(ctx: Context, project: Path) -> None:
    image = Image([tar(x=b"one")])
    write_layout(project, {"v1": image})
    layer = digest(image.layer_blobs()[0][1])
    place = project / "blobs" / layer.replace(":", "/")
    place.write_bytes(place.read_bytes()[:-3] + b"abc")
    with pytest.raises(RlError) as caught:
        oci_layout.load(ctx, str(project), "", AMD64)
    assert caught.value.code in ("RL-DIGEST-MISMATCH", "RL-BAD-DOCUMENT")


def write_layout(root: Path, images: dict[str, Image]) -> None:
    def put(data: bytes) -> str:
        place = root / "blobs" / digest(data).replace(":", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return digest(data)

    entries = []
    for name, image in images.items():
        for _, blob in image.layer_blobs():
            put(blob)
        put(image.config_blob())
        entries.append(
            {
                "mediaType": image.media_type,
                "digest": put(image.manifest()),
                "size": len(image.manifest()),
                "annotations": {"org.opencontainers.image.ref.name": name},
            }
        )
    (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))


# ADD.


def add(ctx: Context, source: str, target: str, **changes: object) -> str:
    """The layer of ADD SOURCE TARGET; its directory."""
    directory = f"{ctx.home}/add-{len(os.listdir(ctx.home))}"
    os.makedirs(f"{directory}/fetched")
    transfer = Transfer((source,), target, Tree(ctx.home), add=True, **changes)  # type: ignore[arg-type]
    transfer = copying_remote.fetch(ctx, transfer, f"{directory}/fetched")
    assert checksum.transfer_digest(ctx, transfer).startswith("sha256:")
    perform(ctx, transfer, [], directory)
    return f"{directory}/upper"


def test_add_url(ctx: Context, server: Server) -> None:
    Path(server.root, "file.txt").write_text("hello")
    os.utime(f"{server.root}/file.txt", (1_000_000_000, 1_000_000_000))
    url = f"{server.url}/file.txt?query=1"
    upper = add(ctx, url, "/x/")
    status = os.stat(f"{upper}/x/file.txt")
    assert (status.st_mode & 0o7777, status.st_mtime) == (0o600, 1_000_000_000)
    assert Path(add(ctx, url, "/y"), "y").read_text() == "hello"
    assert os.stat(add(ctx, url, "/y", chmod="644") + "/y").st_mode & 0o777 == 0o644
    assert os.listdir(add(ctx, f"{server.url}/", "/z/") + "/z") == ["__unnamed__"]


def test_add_url_checksum(ctx: Context, server: Server) -> None:
    Path(server.root, "f").write_text("hello")
    good = f"sha256:{hashlib.sha256(b'hello').hexdigest()}"
    add(ctx, f"{server.url}/f", "/x", checksum=good)
    with pytest.raises(BuildError) as caught:
        add(ctx, f"{server.url}/f", "/x", checksum=f"sha256:{'0' * 64}")
    assert caught.value.code == "RL-BUILD-CHECKSUM"


def test_add_url_asks_and_downloads_only_what_has_changed(ctx: Context, server: Server) -> None:
    Path(server.root, "f").write_text("one")
    url = f"{server.url}/f"
    os.utime(f"{server.root}/f", (1_000_000_000, 1_000_000_000))
    assert Path(add(ctx, url, "/x"), "x").read_text() == "one"
    upper = add(ctx, url, "/x")
    assert Path(upper, "x").read_text() == "one"
    assert os.stat(f"{upper}/x").st_mtime == 1_000_000_000
    assert server.answers == [200, 304]
    add(ctx, url, "/x", checksum=f"sha256:{hashlib.sha256(b'one').hexdigest()}")
    assert server.answers == [200, 304]  # not even asked
    cache = Path(ctx.paths.store, "buildcache/http")
    [data] = [name for name in os.listdir(cache) if not name.endswith(".json")]
    os.chmod(cache / data, 0o600)
    (cache / data).write_text("bad")
    assert Path(add(ctx, url, "/x"), "x").read_text() == "one"
    Path(server.root, "f").write_text("two")
    assert Path(add(ctx, url, "/x"), "x").read_text() == "two"
    assert server.answers == [200, 304, 200, 200]
    assert len(os.listdir(cache)) == 2


def test_add_url_unpacks_only_when_told(ctx: Context, server: Server) -> None:
    Path(server.root, "a.tar").write_bytes(tar(x=b"x"))
    assert os.listdir(add(ctx, f"{server.url}/a.tar", "/d/") + "/d") == ["a.tar"]
    assert os.listdir(add(ctx, f"{server.url}/a.tar", "/d/", unpack=True) + "/d") == ["x"]


@pytest.mark.needs("git")
def test_add_git(ctx: Context, repository: tuple[str, str]) -> None:
    url, first = repository
    upper = add(ctx, f"{url}#v1", "/src", checksum=first)
    assert sorted(os.listdir(f"{upper}/src")) == ["Dockerfile", "a", "sub"]
    assert ".git" in os.listdir(add(ctx, url, "/src", keep_git_dir=True) + "/src")
    with pytest.raises(BuildError) as caught:
        add(ctx, url, "/src", checksum=first)
    assert caught.value.code == "RL-BUILD-CHECKSUM"
