"""diff, commit and export: what a container has written, as a list, an image and an archive."""

import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from support.builds import Project
from support.program import Rl, program
from support.registry import Registry

BASE = """
    FROM busybox
    RUN mkdir -p /srv/keep /srv/gone /srv/swap /srv/again && touch /srv/keep/a /srv/gone/b \\
     && touch /srv/swap/c /srv/again/old && ln -s keep /srv/link && chmod 755 /srv
"""
CHANGE = """
cd /srv; echo x >keep/a; echo new >keep/n; rm -r gone; rm -r swap; echo file >swap; rm -r again
mkdir again; touch again/fresh; rm link; ln -s again link; chmod 700 /srv; mkdir -p deep/er
mkfifo p; chown 33:44 keep/n; chmod 4755 keep/n; ln keep/n hard
truncate -s 32M hole; echo end >>hole; printf y >"$(printf 'bad\\377name')"
"""
CHANGED = [
    "C /srv", "C /srv/again", "A /srv/again/fresh", "D /srv/again/old",
    r"A /srv/bad\udcffname", "A /srv/deep", "A /srv/deep/er", "D /srv/gone", "A /srv/hard",
    "A /srv/hole", "C /srv/keep", "C /srv/keep/a", "A /srv/keep/n", "C /srv/link", "A /srv/p",
    "C /srv/swap",
]  # fmt: skip
LOOK = (
    "cd /srv; find . | sort | tr '\\n' ' '; stat -c '%n %a %u %g %F %s %y' * keep/*; "
    "stat -c %h hard; cat keep/a swap"
)


def plain(text: str) -> str:
    """Without surrogates, which pytest-xdist cannot send."""
    return text.encode("ascii", "backslashreplace").decode()


@pytest.fixture
def container(rl: Rl, project: Project) -> str:
    """A container that has changed things of all kinds, and has ended."""
    image = project.build(BASE)
    name = rl.name()
    rl.run("run", "--name", name, "--network", "none", image, "sh", "-c", CHANGE)
    return name


def test_diff_names_what_has_changed(rl: Rl, container: str) -> None:
    lines = plain(rl.out("diff", container)).splitlines()
    assert sorted(lines, key=lambda line: line[2:]) == CHANGED
    assert rl.out("diff", "--format", "{{.Kind}}", container).splitlines().count("D") == 2
    assert rl.out("diff", rl.out("create", "busybox")) == ""
    rl.fails("diff", "nobody", status=1, code="RL-CONTAINER-NOT-FOUND")


def test_diff_of_a_running_container_that_has_changed_nothing(rl: Rl, tmp_path: Path) -> None:
    container = rl.start("-v", f"{tmp_path}:/srv/deep/place", "-v", "/vol", "--tmpfs", "/mem")
    added = rl.out("diff", container).splitlines()
    assert all(line[0] == "A" or line == "C /srv" for line in added)  # the places of the mounts
    rl.run("exec", container, "touch", "/vol/x", "/mem/y", "/proc/self/comm")
    assert rl.out("diff", container).splitlines() == added


def test_what_is_committed_is_what_was_there(rl: Rl, container: str, registry: Registry) -> None:
    name = f"{registry.host}/made:{os.getpid()}"
    rl.run("start", "-a", container, check=False)  # once more, with an error or two
    image = rl.out("commit", container, name)
    assert rl.inspect(name)["Id"] == image
    probe = ["run", "--rm", "--network", "none"]
    before = rl.name()
    rl.run("commit", "-c", 'CMD ["sleep", "100"]', container, before)
    wanted = plain(rl.out(*probe, before, "sh", "-c", LOOK))
    assert "4755 33 44" in wanted and "udcff" in wanted
    assert plain(rl.out(*probe, name, "sh", "-c", LOOK)) == wanted
    assert int(rl.out(*probe, name, "du", "-k", "/srv/hole").split()[0]) < 100
    squashed = rl.out("commit", "--squash", container)
    assert plain(rl.out(*probe, squashed, "sh", "-c", LOOK)) == wanted
    # The same through a registry, but for times, which Docker's layers have in whole seconds.
    rl.run("push", name)
    rl.run("rmi", "-f", name, before)
    rl.run("rm", container)
    rl.run("pull", name)
    again = plain(rl.out(*probe, name, "sh", "-c", LOOK))
    assert [line.split(".")[0] for line in again.split("+0000")] == [
        line.split(".")[0] for line in wanted.split("+0000")
    ]


def test_the_config_of_a_commit(rl: Rl) -> None:
    container = rl.out(
        "create", "-e", "A=1", "-l", "of=test", "-w", "/tmp", "-u", "7", "--expose", "80",
        "--entrypoint", "echo", "-v", "/data", "--stop-signal", "INT", "busybox", "hello",
    )  # fmt: skip
    image = rl.out(
        "commit", "-a", "Ann <ann@example.org>", "-m", "words", "-c", "ENV B=2", "-c", "EXPOSE 81",
        "--change", "LABEL more=yes", container,
    )  # fmt: skip
    document = rl.inspect(image)
    config = document["Config"]
    assert config["Env"][-2:] == ["A=1", "B=2"]
    assert config["Labels"] == {"of": "test", "more": "yes"}
    assert (config["WorkingDir"], config["User"]) == ("/tmp", "7")
    assert (config["Entrypoint"], config["Cmd"]) == (["echo"], ["hello"])
    assert sorted(config["ExposedPorts"]) == ["80/tcp", "81/tcp"]
    assert list(config["Volumes"]) == ["/data"]
    assert (document["Author"], document["Comment"]) == ("Ann <ann@example.org>", "words")
    assert rl.out("history", "--format", "{{.Comment}}", image).splitlines()[0] == "words"
    rl.fails("commit", "-c", "RUN true", container, code="RL-USAGE")
    rl.fails("commit", container, "Upper:case", status=1)
    rl.run("rm", "-v", container)


def test_a_running_container_goes_on_after_its_commit(rl: Rl) -> None:
    turn = " ".join(f"echo $i >/root/t; mv /root/t /root/{name};" for name in "ab")
    script = f"i=0; while :; do i=$((i+1)); {turn} done"
    container = rl.start(command=script)
    rl.run("exec", container, "sh", "-c", "until [ -e /root/b ]; do :; done")
    image = rl.out("commit", container)
    first, second = rl.out("run", "--rm", "--network", "none", image, "sh", "-c",
                           "cat /root/a /root/b").split()  # fmt: skip
    assert 0 <= int(first) - int(second) <= 1  # of one moment
    before = int(rl.out("exec", container, "cat", "/root/a") or 0)
    rl.run("exec", container, "sh", "-c", f"until [ $(cat /root/a) -gt {before} ]; do :; done")
    for _ in range(3):  # files come and go
        rl.run("commit", "--no-pause", container)


def test_export_is_the_whole_file_system(rl: Rl, container: str, tmp_path: Path) -> None:
    archive = tmp_path / "all.tar"
    rl.run("export", "-o", str(archive), container)
    with tarfile.open(archive, errors="surrogateescape") as tar:
        members = {member.name: member for member in tar}
    assert members["bin/busybox"].size > 100_000
    assert (members["srv/keep/n"].mode, members["srv/keep/n"].uid) == (0o4755, 33)
    named = [plain(name) for name in members]
    assert r"srv/bad\udcffname" in named and "srv/gone" not in named
    assert members["srv/keep/n"].islnk() or members["srv/hard"].islnk()
    assert archive.stat().st_size < 8 << 20
    image = rl.out("import", str(archive))
    probe = ["run", "--rm", "--network", "none", image, "sh", "-c", LOOK]
    own = rl.out("commit", container)
    assert plain(rl.out(*probe)) == plain(rl.out(*probe[:4], own, *probe[5:]))
    rl.fails("export", "-o", f"{tmp_path}/no/x", container, status=1, code="RL-SAVE-TARGET")
    rl.fails("export", "-o", "/dev/full", container, status=1, code="RL-SAVE-TARGET")
    for command in (f"cp {container}:/etc -", f"export {container}"):
        done = subprocess.run(["sh", "-c", f"{program()} {command} >/dev/full"], stderr=-1,
                              env=rl.environment(), text=True)  # fmt: skip
        assert done.returncode == 1 and "standard output: No space" in done.stderr, done.stderr


def test_export_leaves_out_what_is_mounted(rl: Rl, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    container = rl.start("-v", f"{tmp_path}:/host", "-v", "/vol", "--tmpfs", "/mem")
    rl.run("exec", container, "touch", "/vol/x", "/mem/y", "/root/z")
    done = subprocess.run([program(), "export", container], env=rl.env, capture_output=True)
    assert done.returncode == 0, done.stderr
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        names = set(tar.getnames())
        assert tar.getmember("etc/hosts").size == 0
    assert {"host", "vol", "mem", "proc", "root/z"} <= names
    assert not {"host/secret", "vol/x", "mem/y", "proc/1", "dev/null"} & names
    rl.run("rm", "-fv", container)


@pytest.mark.parametrize("driver", ["fuse-overlayfs", "copy"])
def test_other_storage_drivers(rl: Rl, driver: str, tmp_path: Path) -> None:
    name = rl.name()
    rl.run("run", "--name", name, "--network", "none", "--storage-driver", driver, "busybox",
           "sh", "-c", "echo x >/root/new; rm /etc/group")  # fmt: skip
    rl.run("export", "-o", f"{tmp_path}/x.tar", name)
    with tarfile.open(f"{tmp_path}/x.tar") as tar:
        names = tar.getnames()
    assert "root/new" in names and "etc/group" not in names
    if driver == "copy":
        for command in ("diff", "commit"):
            rl.fails(command, name, status=1, code="RL-CONTAINER-COPY")
    else:
        assert rl.out("diff", name).splitlines() == [
            "C /etc", "D /etc/group", "C /root", "A /root/new",
        ]  # fmt: skip
        image = rl.out("commit", name)
        assert rl.out("run", "--rm", image, "ls", "/root") == "new"


def test_killed_commits_leave_the_container_and_no_image(fresh_store: Any) -> None:
    rl = fresh_store(busybox=True)
    name = rl.name()
    rl.run("run", "--name", name, "--network", "none", "busybox", "sh", "-c",
           "for i in $(seq 400); do echo $i >/root/$i; done")  # fmt: skip
    before = rl.out("diff", name)
    for delay in range(10):
        process = rl.popen("commit", name)
        try:
            process.wait(0.03 + delay * 0.03)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert rl.out("diff", name) == before
    assert rl.out("run", "--rm", rl.out("commit", name), "cat", "/root/400") == "400"
    rl.run("image", "prune", "-af")
