"""What is odd in a container comes through cp, commit and export, and nothing is lost."""

import io
import os
import random
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support import traces
from support.program import Rl, program

NET_RAW = b"\x01\x00\x00\x02\x00\x20\x00\x00" + bytes(12)  # cap_net_raw+ep, revision 2
XATTR = "SCHILY.xattr.security.capability"
# Each link is 3,600 characters; three of them, one after the other, are followed.
CHAIN = """
mkdir -p /srv/a/b; cd /srv/a/b; echo end >/srv/file
long() { printf '../b/%.0s' $(seq 720); }
ln -s "$(long)two" one; ln -s "$(long)three" two; ln -s "$(long)../../file" three; cat one
"""
CHAIN_LOOK = "cd /srv/a/b; for i in one two three; do readlink $i | wc -c; done; cat one"
CHAIN_SAID = ["3604", "3606", "3611", "end"]


def archive(name: str, data: bytes, **pax: bytes) -> bytes:
    """A tar archive of one program, with extended attributes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(data), 0o755
        member.pax_headers = {key: value.decode("latin-1") for key, value in pax.items()}
        tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def read_archive(rl: Rl, *words: str) -> dict[str, tarfile.TarInfo]:
    done = subprocess.run([program(), *words], env=rl.env, capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout), errors="surrogateescape") as tar:
        return {member.name: member for member in tar}


def capability(member: tarfile.TarInfo) -> bytes:
    return member.pax_headers[XATTR].encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("userns", [[], ["--userns", "keep-id", "-u", "0"]])
def test_file_capabilities(rl: Rl, userns: list[str]) -> None:
    """A program that may use raw sockets, for whoever runs it, stays one."""
    name = rl.name()
    rl.run("create", "--name", name, "--network", "none", *userns, "busybox", "true")
    data = archive("busybox", Path("/usr/bin/busybox").read_bytes(), **{XATTR: NET_RAW})
    subprocess.run([program(), "cp", "-", f"{name}:/usr"], env=rl.env, input=data, check=True)
    assert capability(read_archive(rl, "cp", f"{name}:/usr/busybox", "-")["busybox"]) == NET_RAW
    exported = read_archive(rl, "export", name)
    assert capability(exported["usr/busybox"]) == NET_RAW
    assert [n for n, member in exported.items() if XATTR in member.pax_headers] == ["usr/busybox"]
    image = rl.out("commit", name)
    look = ("/usr/busybox", "sh", "-c", "exec /usr/busybox grep CapEff /proc/self/status")
    for more in ([], ["--userns", "keep-id"]):
        told = rl.out("run", "--rm", "--network", "none", "-u", "33", *more, image, *look)
        assert told.split() == ["CapEff:", "0000000000002000"], more
    kept = rl.name("v")  # a volume begins with what the image has at its place
    started = rl.out("create", "--network", "none", *userns, "-v", f"{kept}:/usr", image, "true")
    rl.run("start", "-a", started)
    in_volume = read_archive(rl, "cp", f"{started}:/usr/busybox", "-")["busybox"]
    assert capability(in_volume) == NET_RAW
    rl.run("rm", started)
    rl.run("volume", "rm", kept)
    other = rl.out("create", "--network", "none", "busybox", "true")
    if not userns:
        rl.run("cp", "-a", f"{name}:/usr/busybox", f"{other}:/usr/busybox")
        copied = read_archive(rl, "cp", f"{other}:/usr/busybox", "-")["busybox"]
        assert capability(copied) == NET_RAW


KINDS = """
mkdir -p /srv/d; cd /srv; echo x >file; ln file hard; ln -s file soft; mkfifo fifo
truncate -s 64M hole; echo end >>hole; printf y >"$(printf 'bad\\377name')"
mkdir -m 1777 sticky; chown 33:44 file; chmod 4755 file; chown -h 5:6 sticky soft d; chmod 2750 d
touch -d '2001-02-03 04:05:06' d
"""
KINDS_LOOK = (
    "cd /srv; stat -c '%n %a %u %g %F %h %s %y' * | tr '\\377' '?'; readlink soft; du -k hole"
)


@pytest.mark.parametrize("userns", [[], ["--userns", "keep-id", "-u", "0"]])
def test_all_kinds_of_files(rl: Rl, userns: list[str], tmp_path: Path) -> None:
    """Through commit, export, snapshots and the first use of a volume, with two ID mappings."""
    name, volume = rl.name(), rl.name("v")
    script = f"[ -e /srv/d ] || {{ {KINDS} }}; {KINDS_LOOK}"
    wanted = rl.out("run", "--name", name, "--network", "none", *userns, "busybox", "sh", "-c",
                    script)  # fmt: skip
    assert "file 4755 33 44 regular file 2 2 " in wanted and "bad?name" in wanted
    assert int(wanted.split()[-2]) < 100
    rl.run("snapshot", name, "one")
    assert rl.out("start", "-a", name) == wanted
    forked = rl.out("fork", "--snapshot", "one", name)
    assert rl.out("start", "-a", forked) == wanted
    look = ("sh", "-c", KINDS_LOOK)
    image = rl.out("commit", name)
    rl.run("export", "-o", f"{tmp_path}/all.tar", name)
    imported = rl.out("import", f"{tmp_path}/all.tar")
    for more in ([], ["--userns", "keep-id", "-u", "0"]):
        for one in (image, imported):
            assert rl.out("run", "--rm", "--network", "none", *more, one, *look) == wanted, more
    place = ("-v", f"{volume}:/srv")
    seen = rl.out("run", "--rm", "--network", "none", *userns, *place, image, *look)
    assert seen == wanted
    rl.run("volume", "rm", volume)


@pytest.mark.parametrize("userns", [[], ["--userns", "keep-id", "-u", "0"]])
def test_chains_of_10000_characters_of_links(rl: Rl, userns: list[str], tmp_path: Path) -> None:
    name = rl.name()
    run = ("run", "--name", name, "--network", "none", *userns, "busybox", "sh", "-c")
    assert rl.out(*run, CHAIN) == "end"
    rl.run("cp", "-qL", f"{name}:/srv/a/b/one", f"{tmp_path}/followed")
    assert (tmp_path / "followed").read_text() == "end\n"
    rl.run("cp", "-q", f"{name}:/srv/a", f"{tmp_path}/tree")
    lengths = [len(os.readlink(f"{tmp_path}/tree/b/{link}")) for link in ("one", "two", "three")]
    assert lengths == [3603, 3605, 3610]
    other = rl.name()
    rl.run("create", "--name", other, "--network", "none", "busybox", "cat", "/file")
    rl.run("cp", "-q", f"{tmp_path}/tree/.", f"{other}:/root/")
    (tmp_path / "new").write_text("through the links\n")
    rl.run("cp", "-q", f"{tmp_path}/new", f"{other}:/root/b/one")  # what they lead to is made
    assert rl.out("start", "-a", other) == "through the links"
    look = ("sh", "-c", CHAIN_LOOK)
    image = rl.out("commit", name)
    assert rl.out("run", "--rm", "--network", "none", image, *look).split() == CHAIN_SAID
    rl.run("export", "-o", f"{tmp_path}/all.tar", name)
    imported = rl.out("import", f"{tmp_path}/all.tar")
    assert rl.out("run", "--rm", "--network", "none", imported, *look).split() == CHAIN_SAID


def test_a_commit_has_the_owners_that_the_container_saw(rl: Rl) -> None:
    name, look = rl.name(), ["stat", "-c", "%n=%u:%g", "/f", "/g", "/h", "/etc", "/bin/busybox"]
    script = f"touch /f /g /h; chown 33:44 /g; chown -h {os.getuid()} /h; chown 7 /bin/busybox; "
    seen = rl.out("run", "--name", name, "--network", "none", "--userns", "keep-id", "-u", "0",
                  "busybox", "sh", "-c", script + " ".join(look))  # fmt: skip
    assert "/f=0:0\n/g=33:44" in seen and f"/h={os.getuid()}:0" in seen
    for more in ([], ["--squash"]):
        image = rl.out("commit", *more, name)
        assert rl.out("run", "--rm", "--network", "none", image, *look) == seen
    kept = ("--userns", "keep-id", "-u", "0")
    assert rl.out("run", "--rm", "--network", "none", *kept, image, *look) == seen


def test_killed_copies_leave_the_container_whole(
    fresh_store: Callable[..., Rl], tmp_path: Path
) -> None:
    """What was copied by then is there, and copying again does the rest."""
    rl = fresh_store(busybox=True)
    for number in range(300):
        (tmp_path / "tree" / f"{number % 7}").mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / f"{number % 7}" / f"{number}").write_bytes(b"x" * 5000)
    name = rl.out("create", "--network", "none", "busybox", "sh", "-c",
                  "mkdir -p /root; find /root/tree -type f -size 5000c | wc -l")  # fmt: skip
    generator, counts = random.Random(11), set()
    for turn in range(12):
        words = [f"{tmp_path}/tree", f"{name}:/root/"]
        if turn % 3 == 2:
            words = [f"{name}:/root", f"{tmp_path}/out-{turn}"]
        process = rl.popen("cp", "-q", *words)
        try:
            process.communicate(timeout=generator.uniform(0.03, 0.2))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        said = rl.run("start", "-a", name, check=False).stdout  # nobody holds it any more
        counts.add(int(said or 0))
    assert all(0 <= count <= 300 for count in counts)
    rl.run("cp", "-q", f"{tmp_path}/tree", f"{name}:/root/")
    assert rl.out("start", "-a", name) == "300"
    rl.run("rm", name)
    rl.run("run", "--rm", "--network", "none", "busybox", "true")
    assert not os.listdir(f"{rl.store}/tmp")


def test_a_full_disk_in_the_middle_of_commit_and_cp(
    small_rl: tuple[Rl, str], tmp_path: Path
) -> None:
    rl, store = small_rl
    status = os.statvfs(store)
    free = status.f_bavail * status.f_frsize
    name = rl.name()
    script = f"head -c {free * 2 // 3} /dev/urandom >/root/big; md5sum /root/big >/root/sum"
    rl.run("run", "--name", name, "--network", "none", "busybox", "sh", "-c", script)
    before, images = rl.out("diff", name), rl.out("images", "-aq")
    used = traces.size_of(store)
    said = rl.fails("commit", name, "full", status=1)
    assert "No space left" in said or "full" in said, said
    assert rl.out("images", "-aq") == images
    assert rl.out("diff", name) == before
    rl.run("images")  # sweeps what was cut off
    assert traces.size_of(store) < used + (1 << 20)
    (tmp_path / "big").write_bytes(os.urandom(free // 2))
    rl.fails("cp", f"{tmp_path}/big", f"{name}:/root/more", status=1, code="RL-COPY")
    rl.run("cp", "-q", f"{name}:/root/sum", f"{tmp_path}/sum")
    assert (tmp_path / "sum").read_text().endswith("/root/big\n")
    again = rl.run("start", "-a", name, check=False)
    assert again.returncode in (0, 1, 125)
    rl.run("rm", name)
    assert traces.size_of(store) < used - free // 2


def test_rm_frees_what_it_should(fresh_store: Callable[..., Rl]) -> None:
    """Bytes of files of any ID, of any mode, deep down, and of volumes without a name."""
    rl = fresh_store(busybox=True)
    rl.run("run", "--rm", "--network", "none", "busybox", "true")
    before = traces.size_of(rl.store)
    name = rl.name()
    rl.run(
        "run", "--name", name, "--network", "none", "-v", "/vol", "-v", f"{name}-kept:/kept",
        "busybox", "sh", "-c",
        "for u in 0 33 1000 65535; do mkdir -p /srv/$u/a/b; head -c 2000000 /dev/zero >/srv/$u/a/b/"
        "f; chown -R $u:$u /srv/$u; chmod 0 /srv/$u/a/b/f /srv/$u/a/b /srv/$u/a /srv/$u; done; "
        "head -c 2000000 /dev/zero >/vol/x; chown 77 /vol/x; echo kept >/kept/y",
    )  # fmt: skip
    assert traces.size_of(rl.store) > before + 2_000_000
    size = rl.out("inspect", "--size", "--format", "{{.SizeRw}}", name)
    assert 8_000_000 <= int(size) < 8_100_000
    rl.run("snapshot", name)
    again = rl.out("inspect", "--size", "--format", "{{.SizeRw}}", name)
    assert 8_000_000 <= int(again) < 8_100_000, "its frozen layer counts"
    rl.run("rm", "-v", name)
    left = traces.size_of(rl.store) - before
    assert left < 100_000, left
    assert rl.out("volume", "ls", "-q") == f"{name}-kept"
