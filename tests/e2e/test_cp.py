"""rl cp: Docker's rules for names, what comes through unchanged, and that nothing gets out."""

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.program import Rl, program


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of the host: files, a link, a directory with something in it."""
    top = tmp_path_factory.mktemp("cp") / "tree"
    (top / "deep").mkdir(parents=True)
    (top / "file").write_text("one\n")
    (top / "deep" / "inner").write_text("two\n")
    (top / "link").symlink_to("file")
    return top


@pytest.fixture(params=["running", "stopped"])
def container(rl: Rl, request: Any) -> Iterator[str]:
    if request.param == "running":
        yield rl.start()
    else:
        yield rl.out("create", "busybox", "sleep", "1")


def listing(rl: Rl, container: str, path: str) -> list[str]:
    """Names in the container below `path`, from an archive of it."""
    done = subprocess.run([program(), "cp", f"{container}:{path}/.", "-"], env=rl.env,
                          capture_output=True, check=True, stdin=subprocess.DEVNULL)  # fmt: skip
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        return sorted(member.name for member in archive if member.name != ".")


def content(rl: Rl, container: str, path: str, tmp_path: Path) -> str:
    rl.run("cp", "-q", f"{container}:{path}", f"{tmp_path}/got")
    return (tmp_path / "got").read_text()


def test_names_are_as_with_docker_cp(rl: Rl, container: str, tree: Path, tmp_path: Path) -> None:
    put = rl.run("cp", f"{tree}/file", f"{container}:/root/new")
    assert put.stderr == f"Successfully copied 4B to {container}:/root/new\n"
    rl.run("cp", "-q", f"{tree}/file", f"{container}:/root")
    rl.run("cp", "-q", str(tree), f"{container}:/root/made")  # is not there: gets the name
    rl.run("cp", "-q", str(tree), f"{container}:/root/made")  # is there: goes into it
    rl.run("cp", "-q", f"{tree}/.", f"{container}:/root/plain/")
    rl.run("cp", "-q", f"{tree}/link", f"{container}:/root/as-link")
    rl.run("cp", "-qL", f"{tree}/link", f"{container}:/root/as-file")
    names = listing(rl, container, "/root")
    inside = ["deep", "deep/inner", "file", "link"]
    assert names == sorted(
        ["new", "file", "as-link", "as-file", "made", "plain", "made/tree"]
        + [f"{top}/{name}" for top in ("made", "made/tree", "plain") for name in inside]
    )
    assert content(rl, container, "/root/made/tree/deep/inner", tmp_path) == "two\n"
    rl.run("cp", "-q", f"{container}:/root/made/deep/", f"{tmp_path}/out")
    assert os.listdir(f"{tmp_path}/out") == ["inner"]
    rl.run("cp", "-q", f"{container}:/root/as-link", f"{tmp_path}/l")
    assert os.readlink(f"{tmp_path}/l") == "file"


def test_overwriting_and_its_limits(rl: Rl, container: str, tree: Path, tmp_path: Path) -> None:
    rl.run("cp", "-q", f"{tree}/file", f"{container}:/root/f")
    rl.run("cp", "-q", f"{tree}/deep/inner", f"{container}:/root/f")
    assert content(rl, container, "/root/f", tmp_path) == "two\n"
    for source, target in (
        (f"{tree}/deep", f"{container}:/root/f"),  # a directory onto a file
        (f"{tree}/file", f"{container}:/root/none/"),  # no such directory
        (f"{tree}/file", f"{container}:/no/such/place"),
        (f"{tree}/none", f"{container}:/root"),
        (f"{container}:/none", str(tmp_path)),
        (f"{tree}/file/", f"{container}:/root"),  # no directory
        (f"{container}:/etc", f"{tmp_path}/none/x"),
    ):
        rl.fails("cp", source, target, status=1, code="RL-COPY")
    rl.fails("cp", "a", "b", code="RL-USAGE")
    rl.fails("cp", ":/x", "b", code="RL-USAGE")
    rl.fails("cp", "nobody:/x", "b", status=1, code="RL-CONTAINER-NOT-FOUND")
    rl.run("cp", "-q", f"{tree}/.", f"{container}:/root/d")
    os.makedirs(f"{tmp_path}/t/file")  # a directory where the tree has a file
    rl.fails("cp", f"{tmp_path}/t/.", f"{container}:/root/d", status=1, code="RL-COPY")


MAKE = """
mkdir /srv; cd /srv; echo x >file; ln file hard; ln -s /srv/file abs; ln -s ../srv rel
mkdir empty; mkdir -m 1777 sticky
chown 33:44 file sticky; chmod 4755 file; mkfifo fifo; truncate -s 64M hole
echo end >>hole; printf y >"$(printf 'bad\\377name')"; touch -d '2001-02-03 04:05:06' empty
ln -s file c0; for i in $(seq 30); do ln -s c$((i-1)) c$i; done
ln -s "$(head -c 4000 /dev/zero | tr '\\0' x)" long; :
"""
LOOK = (
    "cd /srv; stat -c '%n %a %u %g %F %h %s %y' * | grep -v 'fifo .*:'; du -k hole; readlink long"
)


@pytest.mark.parametrize("userns", ["", "keep-id", "nomap"])
def test_everything_comes_through_unchanged(rl: Rl, userns: str, tmp_path: Path) -> None:
    how = ["--userns", userns, "-u", "0"] if userns else []
    first = rl.start(*how, command=f"{MAKE} echo made; sleep 1000")
    rl.wait_log(first, "made")
    second = rl.start(*how)
    archive = f"{tmp_path}/a.tar"
    with open(archive, "wb") as file:
        subprocess.run([program(), "cp", f"{first}:/srv", "-"], stdout=file, env=rl.env, check=True)
    with open(archive, "rb") as file:
        subprocess.run([program(), "cp", "-", f"{second}:/"], stdin=file, env=rl.env, check=True)
    wanted = rl.out("exec", "-u", "0", first, "sh", "-c", LOOK)
    assert "4755 33 44" in wanted and "bad" in wanted
    assert rl.out("exec", "-u", "0", second, "sh", "-c", LOOK) == wanted
    assert os.path.getsize(archive) < 4 << 20
    # From one container to another, and by way of the host.
    third = rl.start(*how)
    rl.run("cp", "-q", f"{first}:/srv", f"{third}:/")
    assert rl.out("exec", "-u", "0", third, "sh", "-c", LOOK) == wanted
    rl.run("cp", "-q", f"{first}:/srv", f"{tmp_path}/host")
    status = os.stat(f"{tmp_path}/host/file")
    assert (status.st_uid, status.st_mode & 0o7777, status.st_nlink) == (os.getuid(), 0o4755, 2)
    inside = rl.out("exec", first, "stat", "-c", "%y", "/srv/file")
    assert inside.split(".")[1].startswith(f"{status.st_mtime_ns % 10**9:09}")
    assert os.stat(f"{tmp_path}/host/hole").st_blocks < 1000
    assert os.path.exists(os.fsencode(f"{tmp_path}/host/bad") + b"\xffname")


def test_owners_are_kept_when_asked(rl: Rl, tmp_path: Path) -> None:
    container = rl.start(command="echo x >/root/f; chown 33:44 /root/f; echo ok; sleep 1000")
    rl.wait_log(container, "ok")
    rl.run("cp", "-qa", f"{container}:/root/f", f"{tmp_path}/f")
    first = os.stat(f"{tmp_path}/f").st_uid
    assert first not in (os.getuid(), 0)  # the subordinate ID that 33 is
    rl.run("cp", "-qa", f"{tmp_path}/f", f"{container}:/root/back")
    (tmp_path / "mine").write_text("")
    rl.run("cp", "-qa", f"{tmp_path}/mine", f"{container}:/root")
    rl.run("cp", "-q", f"{tmp_path}/mine", f"{container}:/root/roots")
    look = "stat -c %u /root/back /root/mine /root/roots"
    assert rl.out("exec", container, "sh", "-c", look).split() == ["33", str(os.getuid()), "0"]
    os.unlink(f"{tmp_path}/f")


def test_volumes_are_seen_in_a_stopped_container(rl: Rl, tree: Path, tmp_path: Path) -> None:
    container = rl.out("create", "-v", f"{tree}:/host:ro", "-v", "/own", "--read-only", "busybox")
    rl.run("cp", "-q", f"{tree}/file", f"{container}:/own/x")
    assert content(rl, container, "/own/x", tmp_path) == "one\n"
    assert content(rl, container, "/host/deep/inner", tmp_path) == "two\n"
    for place in ("/host/y", "/root/y"):
        error = rl.fails("cp", f"{tree}/file", f"{container}:{place}", status=1, code="RL-COPY")
        assert "Read-only file system" in error
    rl.run("rm", "-v", container)


def test_a_link_of_the_container_leads_nowhere_else(rl: Rl, container: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, text in (("out", str(tmp_path)), ("up", "../../../../../.."), ("p", "/proc/1")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, text
            archive.addfile(link)
        for name in ("out/planted", "../escaped", "/../../absolute"):
            archive.addfile(tarfile.TarInfo(name))
    subprocess.run([program(), "cp", "-", f"{container}:/root"], input=data.getvalue(),
                   env=rl.env, capture_output=True)  # fmt: skip
    rl.fails("cp", f"{container}:/root/out/secret", f"{tmp_path}/got", status=1)
    rl.run("cp", str(secret), f"{container}:/root/out/x", check=False)  # in the container
    assert sorted(os.listdir(tmp_path)) == ["secret"]
    assert secret.read_text() == "secret\n"


SWAP = """
mkdir -p /root/d/real /root/spare; for i in $(seq 200); do echo in >/root/d/real/$i; done
ln -s %s /root/evil; echo go
while :; do mv /root/d/real /root/spare/r; mv /root/evil /root/d/real; mv /root/d/real /root/evil
mv /root/spare/r /root/d/real; done
"""


def test_swapping_directories_while_copying_never_reaches_the_host(rl: Rl, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (tmp_path / "in").mkdir()
    for number in range(50):
        (tmp_path / "in" / f"new{number}").write_text("new")
    container = rl.start(command=SWAP % outside)
    rl.wait_log(container, "go")
    for turn in range(8):
        rl.run("cp", "-q", f"{container}:/root/d/.", f"{tmp_path}/got{turn}", check=False)
        rl.run("cp", "-q", f"{tmp_path}/in/.", f"{container}:/root/d/real", check=False)
    assert os.listdir(outside) == ["secret"]
    for top, _, names in os.walk(tmp_path):
        assert "secret" not in names or top == str(outside)


def test_with_one_id(one_id_rl: Rl, tmp_path: Path) -> None:
    """Nothing can be owned by others: copies are made, and owners noted when asked."""
    (tmp_path / "f").write_text("x\n")
    container = one_id_rl.start()
    one_id_rl.run("cp", "-qa", f"{tmp_path}/f", f"{container}:/root/f")
    one_id_rl.run("cp", "-q", f"{container}:/root/f", f"{tmp_path}/g")
    assert (tmp_path / "g").read_text() == "x\n"
    assert not any(name.startswith("user.rl") for name in os.listxattr(tmp_path / "g"))


def test_fuse_overlayfs(rl: Rl, tree: Path, tmp_path: Path) -> None:
    container = rl.out("create", "--storage-driver", "fuse-overlayfs", "busybox", "true")
    rl.run("cp", "-q", str(tree), f"{container}:/root")
    assert content(rl, container, "/root/tree/deep/inner", tmp_path) == "two\n"
    rl.run("start", "-a", container)
    rl.run("cp", "-q", f"{tree}/file", f"{container}:/root/tree/deep/inner")
    assert content(rl, container, "/root/tree/deep/inner", tmp_path) == "one\n"
